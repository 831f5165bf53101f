"""How clothes and places look, by histograms of colour and texture, and how far two looks are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mildbench.labels import PARSING
from synth import exact
from synth.fit import SizedFigure
from synth.material import Cutout

SKIN_AND_HAIR = [
    PARSING.index(name)
    for name in ("hair", "face", "torso-skin", "left-arm", "right-arm", "left-leg", "right-leg")
]
LAB_BINS = (8, 8, 8)
EDGE_BINS = 8
# Logarithmic: whether there is fine texture matters more than how strong the strongest edge is.
STEEPER = [round((1025 ** (step / EDGE_BINS) - 1) ** 2) for step in range(1, EDGE_BINS)]
"""Squared gradients from which a pixel belongs to the second bin of texture, the third, and so on."""
FINE = 4096
"""Steps in which looks are compared roughly."""

Look = tuple[np.ndarray, np.ndarray]
"""Histograms: of colour, float32[8, 8, 8], and of texture, float32[8, 1]; numbers of pixels."""


def look_of_clothes(person: Cutout | SizedFigure) -> Look:
    """How a person is dressed; the whole person where parsing is unknown."""
    mask = person.parsing > 0
    clothes = mask & ~np.isin(person.parsing, SKIN_AND_HAIR)
    return _histograms(_planes(person.rgba[..., :3]), clothes if clothes.any() else mask)


class Surroundings:
    """A background prepared for many comparisons."""

    def __init__(self, image: np.ndarray) -> None:
        """`image`: uint8[H, W, 3] RGB."""
        self._planes = _planes(image)

    def look(self, mask: np.ndarray, window: tuple[slice, slice]) -> Look:
        """Of what lies under a mask, bool[h, w], in a window of the same size."""
        return _histograms(self._planes[window], mask)

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
        colour, texture = (_hellinger(a, b) for a, b in zip(clothes, self.look(mask, window), strict=True))
        return (2 * colour + texture) / 3


def likeness(some: Sequence[Look], others: Sequence[Look]) -> np.ndarray:
    """int64[N, M]: how alike looks are, the more the higher: a rough `Surroundings.distance`, for many at once.

    Whole numbers add up to the same on every CPU.
    """
    one, other = (np.array([_roots(look) for look in looks]) for looks in (some, others))
    found: np.ndarray = np.einsum("ik,jk->ij", one, other)
    return found


def _roots(look: Look) -> np.ndarray:
    """int64[520]: square roots of shares, in steps; a product of two looks' sums up to 3 * FINE ** 2 at most."""
    colour, texture = (part.astype(np.float64).ravel() for part in look)
    shares = np.concatenate([2 * colour / max(colour.sum(), 1), texture / max(texture.sum(), 1)])
    return np.rint(np.sqrt(shares) * FINE).astype(np.int64)


def _planes(image: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: Lab, and the gradient's bin."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    steepness = exact.steepness(lab[..., 0])
    edges = np.zeros(steepness.shape, dtype=np.uint8)
    for least in STEEPER:
        edges += steepness >= least
    return np.dstack([lab, edges])


def _histograms(planes: np.ndarray, mask: np.ndarray) -> Look:
    where = mask.astype(np.uint8)
    planes = np.ascontiguousarray(planes)
    colour = cv2.calcHist([planes], [0, 1, 2], where, list(LAB_BINS), [0, 256] * 3)
    texture = cv2.calcHist([planes], [3], where, [EDGE_BINS], [0, EDGE_BINS])
    return colour, texture


def _hellinger(one: np.ndarray, other: np.ndarray) -> float:
    """Hellinger distance of two histograms of counts, 0 to 1; 1 where one is empty."""
    counts = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    total = counts[0].sum() * counts[1].sum()
    shared = math.fsum(np.sqrt(counts[0] * counts[1]))  # rounded once, whatever the order
    return math.sqrt(max(1 - shared / math.sqrt(total), 0)) if total > 0 else 1.0
