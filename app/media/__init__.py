"""Pictures and films that actions publish, kept by content hash."""
