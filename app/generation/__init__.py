"""A brief becomes three variants in the project's voice, each with where it came from and a history."""
