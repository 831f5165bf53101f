"""Pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

_GAP = 4


def tile(columns: Sequence[np.ndarray]) -> np.ndarray:
    """uint8[H, W, 3]: one row a sample, one column for each of the arrays, white gaps between.

    Args:
        columns: uint8[B, h, w, 3], or bool[B, h, w] for masks; all of one size.
    """
    coloured = [
        np.repeat(column[..., None].astype(np.uint8) * 255, 3, axis=-1) if column.ndim == 3 else column
        for column in columns
    ]
    gap = ((0, 0), (0, _GAP), (0, _GAP), (0, 0))
    framed = np.stack([np.pad(column, gap, constant_values=255) for column in coloured], axis=1)
    rows, across, height, width, _ = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(rows * height, across * width, 3)


def pictures(pixels: torch.Tensor) -> np.ndarray:
    """float[B, 3, H, W] in [0, 1] -> uint8[B, H, W, 3]."""
    return (pixels.float() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
