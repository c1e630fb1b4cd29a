"""A project's own texts become an adapter of its model: what is learned from, and whether it helped."""
