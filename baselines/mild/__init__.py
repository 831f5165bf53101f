"""MILD: one denoising pathway for the background and one for each survivor who is to be completed."""
