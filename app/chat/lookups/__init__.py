"""Read-only tools of the chat: which question needs one, what they look up, and how their findings are told."""
