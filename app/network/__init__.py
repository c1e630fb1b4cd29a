"""Where a project lets its automation go."""
