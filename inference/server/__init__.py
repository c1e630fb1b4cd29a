"""The HTTP face of the engine, in OpenAI's shapes, on loopback."""
