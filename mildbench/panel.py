"""What was found in a photo and what was made of it, side by side, with numbers to choose people by."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mildbench.photo import BoxedMask, PhotoPerson

_LARGEST = 1600
"""Pixels of the longer side at which a photo is shown."""
_ERASED, _KEPT = (230, 40, 40), (40, 200, 60)
_DIGITS = 1 / 16
"""Height of a number over the shorter side of the photo as it is shown."""
_LEAST_DIGITS = 14
"""Pixels below which a number could not be read."""


def panel(
    photo: np.ndarray, people: Sequence[PhotoPerson], targets: Sequence[int], result: np.ndarray
) -> np.ndarray:
    """The photo with everybody numbered from the left (red: erased), and the result beside it.

    Args:
        photo: uint8[H, W, 3].
        people: from left to right.
        targets: indices of those who were erased.
        result: uint8[H, W, 3].

    Returns:
        uint8[h, w, 3], the two at most 1600 pixels on their longer sides.
    """
    scale = min(_LARGEST / max(photo.shape[:2]), 1.0)
    width, height = (max(round(side * scale), 1) for side in photo.shape[1::-1])
    left, right = (
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in (photo, result)
    )
    outlines = [_outlines(person, scale) for person in people]
    for k, (shown, extra) in enumerate(outlines):
        colour = _ERASED if k in targets else _KEPT
        tinted = left.copy()
        cv2.drawContours(tinted, shown + extra, -1, colour, cv2.FILLED)
        left = cv2.addWeighted(left, 0.6, tinted, 0.4, 0)
        cv2.drawContours(left, shown, -1, colour, max(height // 300, 1), cv2.LINE_AA)
    for k, person in enumerate(people):
        _write(left, str(k + 1), _middle(person.cut, scale), max(min(width, height) * _DIGITS, _LEAST_DIGITS))
    gap = np.full((height, max(height // 50, 2), 3), 255, np.uint8)
    return np.hstack([left, gap, right])


def _outlines(person: PhotoPerson, scale: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Contours of the person, and of what goes with them, in pixels of the panel."""

    def of(cut: BoxedMask | None) -> list[np.ndarray]:
        if cut is None:
            return []
        found, _ = cv2.findContours(cut.part.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        corner = (cut.window.left, cut.window.top)
        return [np.rint((points + corner) * scale).astype(np.int32) for points in found]

    return of(person.cut), of(person.attached)


def _middle(cut: BoxedMask, scale: float) -> tuple[int, int]:
    """x, y in the panel of the pixel that lies deepest inside the mask: always on the person."""
    part = cv2.copyMakeBorder(cut.part.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    row, column = divmod(int(cv2.distanceTransform(part, cv2.DIST_L2, 3).argmax()), part.shape[1])
    return round((cut.window.left + column - 1) * scale), round((cut.window.top + row - 1) * scale)


def _write(picture: np.ndarray, text: str, middle: tuple[int, int], height: float) -> None:
    """White digits with a dark edge, inside the frame, in place."""
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(round(height / 9), 1)
    size = cv2.getFontScaleFromHeight(font, max(round(height), 1), thickness)
    (width, tall), _ = cv2.getTextSize(text, font, size, thickness)
    edge = 2 * thickness
    x = int(np.clip(middle[0] - width // 2, edge, max(picture.shape[1] - width - edge, edge)))
    y = int(np.clip(middle[1] + tall // 2, tall + edge, max(picture.shape[0] - edge, tall + edge)))
    for ink, stroke in (((0, 0, 0), 3 * thickness), ((255, 255, 255), thickness)):
        cv2.putText(picture, text, (x, y), font, size, ink, stroke, cv2.LINE_AA)
