"""The working canvas: how a picture of any size is shown to a network that was trained at one size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Canvas:
    """Scales a picture so that its longer side is the network's, then pads it below and to the right.

    The aspect ratio is kept. Sizes are (height, width) in pixels.
    """

    source: tuple[int, int]
    scaled: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, source: tuple[int, int], resolution: int, multiple: int) -> Canvas:
        """The canvas for pictures of the size `source`.

        Args:
            source: height and width of the picture.
            resolution: pixels of the longer side that the network was trained at.
            multiple: height and width of the padded canvas are multiples of this.
        """
        scale = resolution / max(source)
        height, width = (max(1, round(side * scale)) for side in source)
        return cls(source, (height, width), (height + -height % multiple, width + -width % multiple))

    def picture(self, image: np.ndarray) -> np.ndarray:
        """uint8[H, W, 3] -> uint8[h, w, 3] on the canvas; the padding mirrors the picture."""
        return self._pad(self._resize(image), cv2.BORDER_REFLECT)

    def coverage(self, mask: np.ndarray) -> np.ndarray:
        """bool[H, W] -> float32[h, w]: the share of each canvas pixel that the mask covers; 0 in the padding."""
        return self._pad(np.clip(self._resize(mask.astype(np.float32)), 0, 1), cv2.BORDER_CONSTANT)

    def hole(self, mask: np.ndarray) -> np.ndarray:
        """bool[H, W] -> bool[h, w]: every canvas pixel that the mask touches, so that nothing of it is shown.

        Mirrored into the padding like the picture: what is to be erased does not stay there as a hint.
        """
        touched = self._resize(mask.astype(np.float32)) > 1e-3
        return self._pad(touched.astype(np.uint8), cv2.BORDER_REFLECT) > 0

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """uint8[H, W] -> uint8[h, w] by nearest neighbour; 0 in the padding."""
        height, width = self.scaled
        return self._pad(
            cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), cv2.BORDER_CONSTANT
        )

    def points(self, keypoints: np.ndarray) -> np.ndarray:
        """float32[..., 3] of x, y, visibility, moved to canvas pixels (pixel centres at integers)."""
        scale = np.array([self.scaled[1] / self.source[1], self.scaled[0] / self.source[0]], np.float32)
        moved = keypoints.astype(np.float32).copy()
        moved[..., :2] = (moved[..., :2] + 0.5) * scale - 0.5
        return moved

    def boxes(self, rows: int, columns: int) -> np.ndarray:
        """float32[rows * columns, 4]: left, top, right and bottom, in pixels of the picture, of a grid's cells on the
        canvas, row by row; those in the padding lie outside the picture."""
        height, width = self.padded
        down = np.linspace(0, height, rows + 1) * self.source[0] / self.scaled[0]
        across = np.linspace(0, width, columns + 1) * self.source[1] / self.scaled[1]
        top, left = (part.ravel() for part in np.meshgrid(down[:-1], across[:-1], indexing="ij"))
        bottom, right = (part.ravel() for part in np.meshgrid(down[1:], across[1:], indexing="ij"))
        return np.stack([left, top, right, bottom], axis=1).astype(np.float32)

    def back(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 or float32[h, w(, C)] on the canvas -> [H, W(, C)]: padding cut off, scaled to the picture's size."""
        height, width = self.source
        inner = np.ascontiguousarray(pixels[: self.scaled[0], : self.scaled[1]])
        if self.scaled == self.source:
            return inner
        shrinks = height < self.scaled[0]
        return cv2.resize(
            inner, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )

    def back_all(self, pictures: np.ndarray) -> np.ndarray:
        """[P, h, w(, C)] -> [P, H, W(, C)]."""
        return np.stack([self.back(picture) for picture in pictures])

    def _resize(self, pixels: np.ndarray) -> np.ndarray:
        height, width = self.scaled
        if self.scaled == self.source:
            return pixels
        shrinks = height < self.source[0]
        return cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )

    def _pad(self, pixels: np.ndarray, border: int) -> np.ndarray:
        bottom, right = (outer - inner for outer, inner in zip(self.padded, self.scaled, strict=True))
        if not (bottom or right):
            return pixels
        # cv2 reflects at most one picture's length; a strip thinner than its padding repeats its edge instead.
        if border == cv2.BORDER_REFLECT and (bottom > self.scaled[0] or right > self.scaled[1]):
            border = cv2.BORDER_REPLICATE
        return cv2.copyMakeBorder(pixels, 0, bottom, 0, right, border)
