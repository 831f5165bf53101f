"""From a photo, a mask and maybe labels to the arrays of a cut-out: what all photographic sources share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.labels import UNLABELLED
from synth import exact
from synth.cutout import refine
from synth.material import Rejected

SOLID = 128
"""Alpha from which a pixel belongs to the person's binary mask."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A person cut out of a photo."""

    rgba: np.ndarray
    """uint8[h, w, 4]."""
    parsing: np.ndarray
    """uint8[h, w], non-zero exactly where alpha >= 128."""
    corner: tuple[int, int]
    """(left, top) in the photo."""
    scale: float
    """Pixels of the crop to a pixel of the photo."""

    def keypoints(self, points: np.ndarray) -> np.ndarray:
        """float32[17, 3]: points of the photo in pixels of the crop; those of visibility 0 are left as they are."""
        moved = points.astype(np.float32)
        known = moved[:, 2] > 0
        moved[known, :2] -= self.corner
        if self.scale < 1:
            moved[known, :2] = (moved[known, :2] + 0.5) * np.float32(self.scale) - 0.5
        return moved


def cut_out(
    image: np.ndarray, mask: np.ndarray, labels: np.ndarray | None = None, scale: float = 1.0
) -> Crop:
    """Cut one person out of a photo, with a refined edge.

    Args:
        image: uint8[H, W, 3].
        mask: bool[H, W], not empty.
        labels: uint8[H, W], CIHP-20 or 255; None when the source knows no parsing.
        scale: of the crop, at most 1. The photo is reduced first, for refining takes most of the time.

    Raises `Rejected` when nothing is left of the person at that scale.
    """
    box = Box.around(mask)
    # The matte needs to see some of the surroundings on every side.
    window = box.grown(max(4, round((box.height - 1) / 20)), mask.shape)
    image, mask = image[window.place], mask[window.place]
    known: np.ndarray = np.where(mask, UNLABELLED if labels is None else labels[window.place], 0).astype(
        np.uint8
    )
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
        plane = np.where(mask, np.uint8(255), np.uint8(0))
        image = exact.resize(image, size)
        mask = exact.resize(plane, size) >= SOLID
        known = cv2.resize(known, size, interpolation=cv2.INTER_NEAREST_EXACT)
        if not known.any():
            raise Rejected("person too thin to cut out", f"{box.width} px wide, at scale {scale:.3f}")
    rgba = refine(image, mask)
    solid = rgba[..., 3] >= SOLID
    parsing = np.where(solid, UNLABELLED, 0).astype(np.uint8)
    if labels is not None:
        parsing = spread_labels(known, solid)
    return Crop(rgba, parsing, (window.left, window.top), scale)


def spread_labels(labels: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """uint8[h, w]: labels inside `solid`, 0 outside; a solid pixel without a label takes the nearest one.

    Args:
        labels: uint8[h, w], 0 for none; at least one pixel is labelled.
        solid: bool[h, w].
    """
    return np.where(solid, exact.spread(labels, labels > 0), np.uint8(0))


def without_specks(mask: np.ndarray, height: float | None = None) -> np.ndarray:
    """bool[H, W]: a person's mask, not empty, without what floats beside its largest piece.

    `height`: the person's, in pixels; by default that of the mask.
    """
    return main_piece(mask, gap=max(1, round(height or np.count_nonzero(mask.any(axis=1))) // 100))


def main_piece(mask: np.ndarray, gap: int) -> np.ndarray:
    """bool[H, W]: the largest piece of a mask that is not empty; pieces closer than about 2 * `gap` px are one."""
    box = Box.around(mask)
    part = np.pad(mask[box.place], gap).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    count, pieces = cv2.connectedComponents(cv2.dilate(part, disc))
    if count <= 2:
        return mask
    largest = 1 + int(np.bincount(pieces[part > 0], minlength=count)[1:].argmax())
    main = np.zeros_like(mask)
    inside = np.s_[gap : gap + box.height, gap : gap + box.width]
    main[box.place] = ((part > 0) & (pieces == largest))[inside]
    return main
