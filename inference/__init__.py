"""The local model server: the only process that loads weights. It owns tokens and knows nothing of marketing."""
