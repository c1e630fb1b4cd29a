"""Offline generation: JSONL in, JSONL out, resumable at any line. Knows no HTTP and no engine."""
