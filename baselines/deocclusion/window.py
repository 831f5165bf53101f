"""A square of the picture around a person, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from baselines.diffusion.canvas import Canvas
from mildbench.geometry import Box

GREY = 128
"""What a network is shown where there is nothing: the middle of its range."""


@dataclass(frozen=True)
class Window:
    """A square of `size` pixels; it may reach beyond the picture, where it is grey and without labels."""

    top: int
    left: int
    size: int

    @classmethod
    def around(cls, region: np.ndarray, margin: float) -> Window:
        """The square around bool[H, W], which is not empty, with a margin on every side.

        `margin` is a share of the longer side of the region's box; it is at least one pixel.
        """
        box = Box.around(region)
        size = box.side + 2 * max(1, round(margin * box.side))
        return cls((box.top + box.bottom - size) // 2, (box.left + box.right - size) // 2, size)

    def picture(self, image: np.ndarray, side: int) -> np.ndarray:
        """uint8[H, W, 3] -> uint8[side, side, 3]."""
        return self._canvas(side).picture(self._cut(image, (GREY, GREY, GREY)))

    def coverage(self, mask: np.ndarray, side: int) -> np.ndarray:
        """bool[H, W] -> float32[side, side]: the share of each pixel that the mask covers."""
        return self._canvas(side).coverage(self._cut(mask.view(np.uint8), 0) > 0)

    def hole(self, mask: np.ndarray, side: int) -> np.ndarray:
        """bool[H, W] -> bool[side, side]: every pixel that the mask touches."""
        return self._canvas(side).hole(self._cut(mask.view(np.uint8), 0) > 0)

    def points(self, keypoints: np.ndarray, side: int) -> np.ndarray:
        """float32[..., 3] of x, y, visibility, moved to the window scaled to `side` pixels."""
        moved = keypoints.astype(np.float32)
        moved[..., :2] -= (self.left, self.top)
        return self._canvas(side).points(moved)

    def back(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """uint8 or float32[side, side(, C)] -> [height, width(, C)] in its place; 0 outside the window."""
        whole = self._canvas(len(pixels)).back(pixels)
        placed = np.zeros((height, width, *pixels.shape[2:]), pixels.dtype)
        rows, columns = self._part(height, width)
        placed[rows, columns] = whole[
            rows.start - self.top : rows.stop - self.top, columns.start - self.left : columns.stop - self.left
        ]
        return placed

    def _canvas(self, side: int) -> Canvas:
        return Canvas.of((self.size, self.size), side, side)

    def _part(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the picture that the window shows."""
        return (
            slice(max(self.top, 0), min(self.top + self.size, height)),
            slice(max(self.left, 0), min(self.left + self.size, width)),
        )

    def _cut(self, pixels: np.ndarray, outside: int | tuple[int, ...]) -> np.ndarray:
        rows, columns = self._part(*pixels.shape[:2])
        return cv2.copyMakeBorder(
            np.ascontiguousarray(pixels[rows, columns]),
            rows.start - self.top,
            self.top + self.size - rows.stop,
            columns.start - self.left,
            self.left + self.size - columns.stop,
            cv2.BORDER_CONSTANT,
            value=outside,
        )
