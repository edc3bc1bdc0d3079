"""Sets of pictures and their labels, for training and evaluation."""
