"""Projects (a brand or a client each), who belongs to them, and how one is invited."""
