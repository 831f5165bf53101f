"""People where the background looks like their clothes, told by distances of colour and texture histograms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from mildbench.labels import PARSING
from synth import exact
from synth.catalogue import PeopleCatalogue
from synth.families.people import PeopleFamily
from synth.fit import SizedFigure
from synth.stage import Candidate, Place

SKIN_AND_HAIR = [
    PARSING.index(name)
    for name in ("hair", "face", "torso-skin", "left-arm", "right-arm", "left-leg", "right-leg")
]
LAB_BINS = (8, 8, 8)
EDGE_BINS = 8
# Logarithmic: whether there is fine texture matters more than how strong the strongest edge is.
STEEPER = [round((1025 ** (step / EDGE_BINS) - 1) ** 2) for step in range(1, EDGE_BINS)]
"""Squared gradients from which a pixel belongs to the second bin of texture, the third, and so on."""

Look = tuple[np.ndarray, np.ndarray]
"""Histograms: of colour, float32[8, 8, 8], and of texture, float32[8, 1]; numbers of pixels."""


class Camouflage(PeopleFamily):
    """People where the background looks like their clothes. Difficulty: 1 - the mean distance between the two."""

    name = "camouflage"
    hides = False

    def __init__(self, catalogue: PeopleCatalogue, index: int, rng: np.random.Generator) -> None:
        super().__init__(catalogue, index, rng)
        self._surroundings = Surroundings(self.stage.view.image)
        self._distances: list[float] = []

    def settle(self, candidates: Iterator[Candidate]) -> tuple[Candidate, Place] | None:
        """Of all people and the places drawn for each, those that are nearest in colours and texture."""
        found = [nearest for candidate in candidates if (nearest := self._nearest(candidate)) is not None]
        if not found:
            return None
        distance, place, candidate = min(found, key=lambda nearest: nearest[0])
        self._distances.append(distance)
        return candidate, place

    def _nearest(self, candidate: Candidate) -> tuple[float, Place, Candidate] | None:
        places, clothes = [], look_of_clothes(candidate.figure)
        for origin in self.stage.places(candidate):
            window, part = self.stage.canvas.clip(candidate.figure.mask, origin)
            places.append((self._surroundings.distance(clothes, part, window), origin))
        if not places:
            return None
        distance, origin = min(places)
        return distance, Place(origin), candidate

    def difficulty(self) -> float:
        return 1 - float(np.mean(self._distances))


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
        colour, texture = (_hellinger(a, b) for a, b in zip(clothes, under, strict=True))
        return (2 * colour + texture) / 3


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
