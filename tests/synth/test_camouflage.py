"""Looks of clothes and places: the distances are those of OpenCV, the bins those of a logarithm."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.families.camouflage import EDGE_BINS, STEEPER, Surroundings, look_of_clothes
from synth.fit import SizedFigure

SIDE = 80
EVERYWHERE = np.s_[:SIDE, :SIDE]


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (SIDE, SIDE))
    return cv2.add(smooth, rng.integers(0, 1 + 30 * seed, smooth.shape, dtype=np.uint8))


def figure(colours: np.ndarray) -> SizedFigure:
    rgba = np.dstack([colours, np.full((SIDE, SIDE), 255, np.uint8)])
    parsing = np.full((SIDE, SIDE), 255, np.uint8)
    return SizedFigure(rgba, parsing, np.zeros((17, 3), np.float32), None, (40, 79))


@pytest.mark.parametrize("seeds", [(0, 1), (1, 2), (2, 0)])
def test_distances_are_hellingers(seeds: tuple[int, int]) -> None:
    one, other = (look_of_clothes(figure(picture(seed))) for seed in seeds)
    colour, texture = (cv2.compareHist(a, b, cv2.HISTCMP_HELLINGER) for a, b in zip(one, other, strict=True))
    mask = np.ones((SIDE, SIDE), bool)
    found = Surroundings(picture(seeds[1])).distance(one, mask, EVERYWHERE)
    assert found == pytest.approx((2 * colour + texture) / 3, abs=1e-6)
    assert found > 0.05


def test_a_place_is_like_itself_and_nothing_is_like_nowhere() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:60, 20:50] = True
    clothes = look_of_clothes(figure(picture(1)))
    assert Surroundings(picture(1)).distance(clothes, np.ones_like(mask), EVERYWHERE) == 0
    assert Surroundings(picture(1)).distance(clothes, np.zeros_like(mask), EVERYWHERE) == 1
    assert 0 < Surroundings(picture(1)).distance(clothes, mask, EVERYWHERE) < 0.5


def test_bins_of_texture_are_logarithmic() -> None:
    squared = np.arange(2 * 1020**2)
    expected = np.floor(np.log1p(np.sqrt(squared)) * (EDGE_BINS / np.log(1025)))
    found = sum((squared >= least).astype(int) for least in STEEPER)
    differing = squared[found != np.minimum(expected, EDGE_BINS - 1)]
    assert len(differing) <= len(STEEPER)  # where a border is not a whole number
