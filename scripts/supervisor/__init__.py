"""Starts Herald's three processes, keeps them running, and ends them. Knows nothing of what they do."""
