"""Training: one page a model, over shared `data` and `loop`."""
