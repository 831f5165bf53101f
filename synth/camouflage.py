"""How much a place looks like somebody's clothes: distances between colour and texture histograms."""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.labels import PARSING
from synth.fit import SizedFigure
from synth.harmonise import gradient

SKIN_AND_HAIR = [
    PARSING.index(name)
    for name in ("hair", "face", "torso-skin", "left-arm", "right-arm", "left-leg", "right-leg")
]
LAB_BINS = (8, 8, 8)
EDGE_BINS = 8


Look = tuple[np.ndarray, np.ndarray]
"""Normalised histograms: of colour, float32[8, 8, 8], and of texture, float32[8, 1]."""


def look_of_clothes(figure: SizedFigure) -> Look:
    """How a person is dressed; the whole person where parsing is unknown."""
    clothes = figure.mask & ~np.isin(figure.parsing, SKIN_AND_HAIR)
    return _histograms(_planes(figure.rgba[..., :3]), clothes if clothes.any() else figure.mask)


class Surroundings:
    """A background prepared for many comparisons."""

    def __init__(self, image: np.ndarray) -> None:
        """`image`: uint8[H, W, 3] RGB."""
        self._planes = _planes(image)

    def distance(self, clothes: Look, mask: np.ndarray, window: tuple[slice, slice]) -> float:
        """Between a person's clothes and what lies under their footprint, 0 (alike) to 1 (nothing in common).

        Two thirds colour (Lab, 8x8x8 bins), one third texture (gradient magnitude), each the Hellinger
        distance of normalised histograms.

        Args:
            clothes: from `look_of_clothes`.
            mask: bool[h, w], the part of the person's mask inside the frame.
            window: where that part lies.
        """
        if not mask.any():
            return 1.0
        under = _histograms(self._planes[window], mask)
        colour, texture = (
            cv2.compareHist(a, b, cv2.HISTCMP_BHATTACHARYYA) for a, b in zip(clothes, under, strict=True)
        )
        return float((2 * colour + texture) / 3)


def _planes(image: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: Lab, and the gradient's magnitude."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    # Logarithmic: whether there is fine texture matters more than how strong the strongest edge is.
    edges = np.clip(np.log1p(gradient(lab[..., 0])) * (255 / np.log(1025)), 0, 255)
    return np.dstack([lab, edges.astype(np.uint8)])


def _histograms(planes: np.ndarray, mask: np.ndarray) -> Look:
    where = mask.astype(np.uint8)
    planes = np.ascontiguousarray(planes)
    colour = cv2.calcHist([planes], [0, 1, 2], where, list(LAB_BINS), [0, 256] * 3)
    texture = cv2.calcHist([planes], [3], where, [EDGE_BINS], [0, 256])
    return colour / max(colour.sum(), 1), texture / max(texture.sum(), 1)
