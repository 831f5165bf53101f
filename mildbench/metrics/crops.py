"""Boxes around masks, and pictures cut and resized as networks read them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional


class Box(NamedTuple):
    """Pixels from (left, top) up to, not including, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, mask: np.ndarray) -> Box:
        """The smallest one that holds all of the mask bool[H, W], which is not empty."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        return cls(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def of(self, planes: torch.Tensor) -> torch.Tensor:
        """[..., height, width], this part of [..., H, W]."""
        return planes[..., self.top : self.bottom, self.left : self.right]


def planes(images: torch.Tensor) -> torch.Tensor:
    """float64[B, 3, H, W] in 0 to 255 of uint8[B, H, W, 3].

    Double precision, since the sampling positions of a single-precision resize alone move values by 0.005.
    """
    return images.permute(0, 3, 1, 2).to(torch.float64)


def bicubic(pictures: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """float64[N, C, *size] of float64[N, C, h, w] in 0 to 255: Pillow's, antialiased, and not rounded to integers."""
    return functional.interpolate(pictures, size=size, mode="bicubic", antialias=True).clamp(0, 255)
