"""Benchmarks; run them with ``./scripts/bench NAME``."""
