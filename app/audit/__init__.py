"""The audit log: what was proposed, decided, run and answered, in an append-only table."""
