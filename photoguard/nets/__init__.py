"""Torch modules: a frozen config and an `nn.Module` each; tensors in, tensors out."""
