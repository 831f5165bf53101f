"""A cut-out brought to the size at which a scene needs it: scaled, maybe mirrored, with its contact shadow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mildbench.geometry import Box
from mildbench.labels import KEYPOINT_FLIP, PARSING_FLIP
from synth import exact
from synth.material import Cutout, Rejected

FAINTEST = 4
"""Shadow opacities (0..255) below this are dropped, so that a shadow's footprint ends somewhere."""
FULL = 255 * 256
"""A blurred silhouette's deepest dark."""
SIDES_SWAPPED = np.array([PARSING_FLIP.get(label, label) for label in range(256)], dtype=np.uint8)
"""Label of a mirrored person's pixel by its label before."""


@dataclass(frozen=True, eq=False)
class SizedFigure:
    """A person at scene scale, in layer pixels (padded so that the shadow fits)."""

    rgba: np.ndarray
    """uint8[h, w, 4]; in the rectangle where alpha is not 0, colours go on under alpha 0."""
    parsing: np.ndarray
    """uint8[h, w]."""
    keypoints: np.ndarray
    """float32[17, 3]."""
    shadow: np.ndarray | None
    """uint8[h, w]; None until `cast_shadow`, and for a person who casts none."""
    foot: tuple[int, int]
    """(x, y) in layer pixels: the middle of the lowest part of the person."""
    reflection: np.ndarray | None = None
    """uint8[h, w, 4], straight alpha; None where nothing is mirrored."""

    @property
    def mask(self) -> np.ndarray:
        return self.parsing > 0

    @property
    def top(self) -> int:
        """The person's highest row, in layer pixels."""
        return Box.around(self.parsing).top


def fit(cutout: Cutout, scale: float, mirrored: bool, *, room_for_shadow: bool) -> SizedFigure:
    """Scale a cut-out by `scale`, mirror it if asked, and leave a margin if a shadow is to fall on it.

    Raises `Rejected` when nothing is left of the person at that size.
    """
    rgba = _resize(cutout.rgba, scale)
    height, width = rgba.shape[:2]
    # Half coverage of the area-averaged matte is the resampled binary mask.
    parsing = _resize_labels(cutout.parsing, rgba[..., 3] >= 128)
    if not parsing.any():
        raise Rejected("person vanishes at scene size", f"{cutout.provenance.file} at scale {scale:.3f}")
    keypoints = cutout.keypoints.copy()
    ratio = np.array([width / cutout.rgba.shape[1], height / cutout.rgba.shape[0]], dtype=np.float32)
    keypoints[:, :2] = (keypoints[:, :2] + 0.5) * ratio - 0.5
    if mirrored:
        rgba = cv2.flip(rgba, 1)
        parsing = cv2.LUT(cv2.flip(parsing, 1), SIDES_SWAPPED)
        keypoints = keypoints[list(KEYPOINT_FLIP)]
        keypoints[:, 0] = width - 1 - keypoints[:, 0]
    keypoints[keypoints[:, 2] == 0] = 0
    if room_for_shadow:
        pad = max(4, round(height * 0.08))
        border = (pad, pad, pad, pad, cv2.BORDER_CONSTANT)
        rgba = cv2.copyMakeBorder(rgba, *border, value=(0, 0, 0, 0))
        parsing = cv2.copyMakeBorder(parsing, *border, value=0)
        keypoints[keypoints[:, 2] > 0, :2] += pad
    return SizedFigure(rgba, parsing, np.round(keypoints, 2), None, _foot(parsing > 0))


def padded(figure: SizedFigure, top: int, bottom: int, left: int, right: int) -> SizedFigure:
    """The figure on a layer that is so many pixels larger on each side. Whatever is placed by its `foot` stays."""
    border = (top, bottom, left, right, cv2.BORDER_CONSTANT)

    def wider(plane: np.ndarray | None) -> np.ndarray | None:
        return None if plane is None else cv2.copyMakeBorder(plane, *border, value=(0, 0, 0, 0))

    keypoints = figure.keypoints.copy()
    keypoints[keypoints[:, 2] > 0, :2] += np.array([left, top], dtype=np.float32)
    return SizedFigure(
        cv2.copyMakeBorder(figure.rgba, *border, value=(0, 0, 0, 0)),
        cv2.copyMakeBorder(figure.parsing, *border, value=0),
        keypoints,
        wider(figure.shadow),
        (figure.foot[0] + left, figure.foot[1] + top),
        wider(figure.reflection),
    )


def cast_shadow(figure: SizedFigure, opacity: float) -> SizedFigure:
    """The figure with a contact shadow, or as it is for an opacity of 0."""
    if opacity <= 0:
        return figure
    return replace(figure, shadow=contact_shadow(figure.mask, opacity))


def contact_shadow(mask: np.ndarray, opacity: float) -> np.ndarray:
    """uint8[h, w]: a soft shadow on the ground under a person, as from a high, wide light.

    The silhouette laid flat about the foot line, plus a darker core where the person touches the ground.

    Args:
        mask: bool[h, w], with room around the person.
        opacity: of the darkest part, 0..1.
    """
    box = Box.around(mask)
    top, bottom, height = box.top, box.bottom - 1, box.height
    depth = max(2, round(height * 0.10))
    wide, narrow = max(1.0, height * 0.018), max(0.8, height * 0.007)
    flat = exact.resize(mask[top : bottom + 1].astype(np.uint8) * 255, (mask.shape[1], depth))
    end = min(bottom + 1 + depth // 4, mask.shape[0])
    start = max(end - depth - round(4 * wide), 0)  # above this row the blurred shadow is gone
    laid = np.zeros((mask.shape[0] - start, mask.shape[1]), dtype=np.uint16)
    laid[end - depth - start : end - start] = flat * np.linspace(64, 256, depth).astype(np.uint16)[:, None]
    sole = max(2, round(height * 0.025))
    touching = np.zeros_like(laid)
    touching[bottom + 1 - sole - start : bottom + 1 - start] = mask[
        bottom + 1 - sole : bottom + 1
    ] * np.uint16(FULL)
    soft, core = (exact.gaussian(*each).astype(np.int32) for each in ((laid, wide), (touching, narrow)))
    shadow = np.zeros(mask.shape, dtype=np.uint8)
    shadow[start:] = np.rint(np.minimum(3 * soft + 4 * core, 4 * FULL) * (255 * opacity / (4 * FULL)))
    shadow[shadow < FAINTEST] = 0
    return shadow


def _resize(rgba: np.ndarray, scale: float) -> np.ndarray:
    """Resample straight alpha; safe because a cut-out's colours go on beyond its edge (`extend_colours`)."""
    size = tuple(max(1, round(side * scale)) for side in rgba.shape[1::-1])
    return exact.resize(rgba, size)


def _resize_labels(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Nearest labels inside `mask`; a pixel of the mask that falls on no label takes the closest one."""
    highest = int(labels.max())
    if not ((labels > 0) & (labels < highest)).any():  # a source without parsing has one label only
        return np.where(mask, labels.dtype.type(highest), labels.dtype.type(0))
    resized = cv2.resize(labels, mask.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    known = resized > 0
    if known.any() and (mask & ~known).any():
        resized = exact.spread(resized, known)
    resized[~mask] = 0
    return resized


def _foot(mask: np.ndarray) -> tuple[int, int]:
    rows = np.flatnonzero(mask.any(axis=1))
    sole = mask[max(rows[-1] - max(1, len(rows) // 40), 0) : rows[-1] + 1]
    ends = Box.around(sole)
    return (ends.left + ends.right - 1) // 2, int(rows[-1])
