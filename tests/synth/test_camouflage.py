"""Looks of clothes and places: the distances are those of OpenCV, the bins those of a logarithm; who is like a place
is found among many."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from small import draw_person

from mildbench.dataset import Dataset
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.fit import SizedFigure
from synth.looks import EDGE_BINS, STEEPER, Surroundings, likeness, look_of_clothes
from synth.recipe import Recipe
from synth.recipe_files import check

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


def test_the_rough_likeness_orders_looks_as_their_distances_do() -> None:
    everywhere = np.ones((SIDE, SIDE), bool)
    clothes = [look_of_clothes(figure(picture(seed))) for seed in range(6)]
    for seed in range(6):
        place = Surroundings(picture(seed))
        rough = likeness(clothes, [place.look(everywhere, EVERYWHERE)])[:, 0]
        exact = [place.distance(one, everywhere, EVERYWHERE) for one in clothes]
        assert int(rough.argmax()) == int(np.argmin(exact)) == seed
        assert np.corrcoef(rough, exact)[0, 1] < -0.9


def test_whoever_is_dressed_like_the_place_is_found_among_many(tmp_path: Path, recipe: Recipe) -> None:
    """Twelve of eighty people are as green as the grass; all others are as red as can be."""
    people = tmp_path / "people"
    people.mkdir()
    rng = np.random.default_rng(5)
    for number in range(80):
        rgba = draw_person(rng)
        green = number < 12
        colours = np.full((*rgba.shape[:2], 3), (39, 149, 120) if green else (170, 255, 230), np.uint8)
        rgba[..., :3] = cv2.cvtColor(colours, cv2.COLOR_HSV2BGR)
        cv2.imwrite(str(people / f"{'green' if green else 'other'}-{number}.png"), rgba)
    changes = {
        "people": [f"folder:{people}"],
        "families": {"camouflage": 1},
        "crowd": {1: 1},
        "count": 12,
        "splits": {"test": 1},
        "stature": (0.1, 0.5),
        "max_upscale": 4,
    }
    hidden = check(recipe.model_dump() | changes, "hidden")
    build(hidden, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    rows = Dataset.open(tmp_path / "data").samples
    files = [person["provenance"]["file"] for persons in rows["persons"] for person in persons]
    assert sum("green" in file for file in files) >= 0.8 * len(files)
    assert rows["distance_percentile"].between(0, 1).all()
    assert rows["distance_percentile"].median() <= 0.1


def test_other_families_have_no_percentile(tmp_path: Path, recipe: Recipe) -> None:
    build(recipe.model_copy(update={"count": 2}), 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    assert Dataset.open(tmp_path / "data").samples["distance_percentile"].isna().all()
