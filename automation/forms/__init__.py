"""Forms of web pages: finding their fields as a person would, filling them, submitting, and reading the answer."""
