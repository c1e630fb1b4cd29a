"""Continuous batching: requests join and leave the running batch at any step, share prefixes, and are constrained."""
