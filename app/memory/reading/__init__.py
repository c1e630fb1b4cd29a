"""Reading one file in a process of its own: parsers loop, explode in memory and have holes."""
