"""LaMa: the method, its network in plain PyTorch, and the reconstruction loss."""
