"""Answers to questions from the owner's documents, every claim with a quote that stands in them."""
