"""MagicEraser (Li et al., ECCV 2024), from its public description."""
