"""Chat: a message in, the model's constrained turn out, a proposal that waits for its approval."""
