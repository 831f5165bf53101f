"""Training diffusion models: what all trainers share (`noise`, `base`), the backbone, and SD inpainting."""
