"""Recipes: how forms were filled in before, kept for the next run."""
