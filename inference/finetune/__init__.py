"""Trains a LoRA adapter of the served model from pairs, and compares it with the model alone.

A process of its own (``python -m inference.finetune JOB``), which ``herald finetune train`` starts. What the pairs say
and whether the adapter may be used is not decided here.
"""
