"""Writes the pages that are derived from the code, so that they cannot say anything else."""
