"""Boxes of whole pixels: where the bounds of a mask are found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """Pixels from (left, top) up to, not including, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, mask: np.ndarray) -> Box:
        """The smallest one that holds all that is not 0 of a plane [H, W]; of no size where nothing is."""
        rows = np.flatnonzero(mask.any(axis=1))
        if not rows.size:
            return cls(0, 0, 0, 0)
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(mask[top:bottom].any(axis=0))
        return cls(int(columns[0]), top, int(columns[-1]) + 1, bottom)

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def side(self) -> int:
        """The longer side."""
        return max(self.width, self.height)

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns, to index a plane with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def filled(self, shape: tuple[int, ...]) -> np.ndarray:
        """bool[H, W] of this shape: what lies inside."""
        plane = np.zeros(shape, dtype=bool)
        plane[self.place] = True
        return plane

    def grown(self, margin: int, shape: tuple[int, ...]) -> Box:
        """With a margin on every side, as far as a picture of `shape` (height and width first) reaches."""
        left, top = max(self.left - margin, 0), max(self.top - margin, 0)
        return Box(left, top, min(self.right + margin, shape[1]), min(self.bottom + margin, shape[0]))

    def joined(self, other: Box) -> Box:
        """The smallest that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )
