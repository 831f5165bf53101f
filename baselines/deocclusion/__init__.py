"""Two-stage human de-occlusion: complete the mask of a hidden person, then their picture."""
