"""From a photo, a mask and maybe labels to the arrays of a cut-out: what all photographic sources share."""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.labels import UNLABELLED
from synth.cutout import refine

SOLID = 128
"""Alpha from which a pixel belongs to the person's binary mask."""


def cut_out(
    image: np.ndarray, mask: np.ndarray, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Cut one person out of a photo, with a refined edge.

    Args:
        image: uint8[H, W, 3].
        mask: bool[H, W], not empty.
        labels: uint8[H, W], CIHP-20 or 255; None when the source knows no parsing.

    Returns:
        rgba uint8[h, w, 4]; parsing uint8[h, w], non-zero exactly where alpha >= 128; and the crop's
        (left, top) in the photo.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    # The matte needs to see some of the surroundings on every side.
    margin = max(4, round((rows[-1] - rows[0]) / 20))
    top, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    window = np.s_[top : rows[-1] + 1 + margin, left : columns[-1] + 1 + margin]
    rgba = refine(image[window], mask[window])
    solid = rgba[..., 3] >= SOLID
    if labels is None:
        parsing = np.where(solid, UNLABELLED, 0).astype(np.uint8)
    else:
        parsing = spread_labels(np.where(mask, labels, 0)[window], solid)
    return rgba, parsing, (left, top)


def spread_labels(labels: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """uint8[h, w]: labels inside `solid`, 0 outside; a solid pixel without a label takes the nearest one.

    Args:
        labels: uint8[h, w], 0 for none; at least one pixel is labelled.
        solid: bool[h, w].
    """
    bare = labels == 0
    _, nearest = cv2.distanceTransformWithLabels(
        bare.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of = np.zeros(int(nearest.max()) + 1, dtype=np.uint8)
    label_of[nearest[~bare]] = labels[~bare]
    return np.where(solid, label_of[nearest], 0).astype(np.uint8)


def without_specks(mask: np.ndarray, height: float | None = None) -> np.ndarray:
    """bool[H, W]: a person's mask, not empty, without what floats beside its largest piece.

    `height`: the person's, in pixels; by default that of the mask.
    """
    return main_piece(mask, gap=max(1, round(height or np.count_nonzero(mask.any(axis=1))) // 100))


def main_piece(mask: np.ndarray, gap: int) -> np.ndarray:
    """bool[H, W]: the largest piece of a mask that is not empty; pieces closer than about 2 * `gap` px are one."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    part = np.pad(mask[y : y + h, x : x + w], gap).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    count, pieces = cv2.connectedComponents(cv2.dilate(part, disc))
    if count <= 2:
        return mask
    largest = 1 + int(np.bincount(pieces[part > 0], minlength=count)[1:].argmax())
    main = np.zeros_like(mask)
    main[y : y + h, x : x + w] = (part > 0)[gap : gap + h, gap : gap + w] & (
        pieces[gap : gap + h, gap : gap + w] == largest
    )
    return main
