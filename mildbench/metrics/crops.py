"""Pictures as networks read them."""

from __future__ import annotations

import torch
from torch.nn import functional


def planes(images: torch.Tensor) -> torch.Tensor:
    """float64[B, 3, H, W] in 0 to 255 of uint8[B, H, W, 3].

    Double precision, since the sampling positions of a single-precision resize alone move values by 0.005.
    """
    return images.permute(0, 3, 1, 2).to(torch.float64)


def bicubic(pictures: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """float64[N, C, *size] of float64[N, C, h, w] in 0 to 255: Pillow's, antialiased, and not rounded to integers."""
    return functional.interpolate(pictures, size=size, mode="bicubic", antialias=True).clamp(0, 255)
