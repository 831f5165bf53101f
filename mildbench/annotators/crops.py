"""Square crops around people, at a network's input size, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mildbench.annotators.base import Picture
from mildbench.labels import UNLABELLED


@dataclass(frozen=True)
class Square:
    """A square of a picture in whole pixels; it may reach beyond the frame."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, box: np.ndarray, scale: float) -> Square:
        """The square centred on a box float[4] (left, top, right, bottom, in pixels), `scale` times its longer side."""
        left, top, right, bottom = (float(value) for value in box)
        side = max(round(max(right - left, bottom - top) * scale), 1)
        return cls(round((left + right - side) / 2), round((top + bottom - side) / 2), side)

    @classmethod
    def of_picture(cls, image: np.ndarray) -> Square:
        """The whole picture; what its shorter side lacks lies to the right or below."""
        return cls(0, 0, max(image.shape[:2]))

    def cut(self, pixels: np.ndarray, size: int, fill: int = 0) -> np.ndarray:
        """[size, size, ...]: the square of uint8 pixels [H, W, ...], with `fill` beyond the frame."""
        height, width = pixels.shape[:2]
        inside, there = self._windows(height, width)
        square = np.full((self.side, self.side, *pixels.shape[2:]), fill, pixels.dtype)
        square[there] = pixels[inside]
        # Area averaging, or a large photo's detail would alias.
        how = cv2.INTER_AREA if self.side > size else cv2.INTER_LINEAR
        return cv2.resize(square, (size, size), interpolation=how)

    def put_back(self, plane: np.ndarray, height: int, width: int) -> np.ndarray:
        """[height, width]: a plane over the square, resized into the picture; 0 outside the square.

        uint8 labels keep their values, float32 is interpolated.
        """
        inside, there = self._windows(height, width)
        full = np.zeros((height, width), plane.dtype)
        how = cv2.INTER_NEAREST_EXACT if plane.dtype == np.uint8 else cv2.INTER_LINEAR
        full[inside] = cv2.resize(plane, (self.side, self.side), interpolation=how)[there]
        return full

    def points(self, shares: np.ndarray) -> np.ndarray:
        """float32[..., 2]: x, y as shares of the square's side -> pixels, whose centres lie at integers."""
        return (shares * self.side + (self.left - 0.5, self.top - 0.5)).astype(np.float32)

    def _windows(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """(rows, columns) of what lies inside the frame: in the picture, and in the square."""
        top, left = min(max(self.top, 0), height), min(max(self.left, 0), width)
        bottom = min(max(self.top + self.side, top), height)
        right = min(max(self.left + self.side, left), width)
        return (
            (slice(top, bottom), slice(left, right)),
            (slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)),
        )


def squares_of(picture: Picture, scale: float) -> list[Square]:
    """A square around each person of a picture; the whole picture where nothing is known of its people."""
    if picture.masks is None and not len(picture.boxes):
        return [Square.of_picture(picture.image)]
    return [Square.around(box, scale) for box in picture.boxes]


def alone(image: np.ndarray, masks: np.ndarray | None, person: int) -> np.ndarray:
    """The picture with everybody but one turned grey, so that a model for one person looks at that one.

    Args:
        image: uint8[H, W, 3].
        masks: bool[K, H, W] or None, when the picture is returned as it is.
        person: index into `masks`.
    """
    if masks is None or len(masks) < 2:
        return image
    others = np.any(np.delete(masks, person, axis=0), axis=0) & ~masks[person]
    image = image.copy()
    image[others] = 128
    return image


def lay_labels(labels: np.ndarray, square: Square, seen: np.ndarray, mask: np.ndarray | None) -> None:
    """Write what a parser saw of one person in a square into the picture's labels, in place.

    Args:
        labels: uint8[H, W].
        square: where `seen` lies.
        seen: uint8[S, S]: CIHP-20, 0 where the parser sees nobody.
        mask: bool[H, W]: the person's pixels; there, where nobody is seen, is something carried: 255. None: wherever
            somebody is seen.
    """
    full = square.put_back(seen, *labels.shape)
    where = full > 0 if mask is None else mask
    labels[where] = np.where(full[where] == 0, UNLABELLED, full[where])
