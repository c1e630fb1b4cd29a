"""Proposals, their approval and their execution as rows: the truth about what may run, runs and ran."""
