"""Offline generation on several machines: Ray Data hands blocks of lines to workers, each with an engine of its own."""
