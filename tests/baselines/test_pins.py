"""What each hosted method makes of three embedded samples: a changed output needs a new `MethodInfo.revision`.

`pins.json` keeps means over a coarse grid, which another CPU moves by far less than a level. After raising a revision,
or when the embedded world has changed, write it anew:

    MILDBENCH_RENEW_PINS=1 pytest tests/baselines/test_pins.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from baselines import shipped
from mildbench.dataset import Dataset
from mildbench.evaluation.data import as_batch
from mildbench.executors import SerialExecutor
from mildbench.images import write_png
from mildbench.method import METHODS, EraseBatch, MethodSpec
from synth.build import build
from synth.recipe import Recipe
from synth.recipe_files import load

PINS = Path(__file__).with_name("pins.json")
RENEW = "MILDBENCH_RENEW_PINS"
RENEWING = bool(os.environ.get(RENEW))
"""Read before any test: tests run without the variables of whoever runs them."""
HOW = f"write the pins anew: {RENEW}=1 pytest tests/baselines/test_pins.py"
CELL = 32
"""Pixels of a cell's side."""
FEWEST = 64
"""Erased pixels of a cell that has a mean."""
LEVELS = 1.0
"""By which a mean may differ."""
OPTIONS = {
    "lama": ":variant=tiny",
    "powerpaint": ":backbone=random:tiny,steps=2",
    "smarteraser": ":backbone=random:tiny,steps=2",
    "pipeline": f":checkpoint={shipped.folder('backbone')},prompt=a wall,num_inference_steps=2",
}
"""For methods whose own defaults need weights that are not shipped."""


def hosted() -> list[str]:
    """The methods of this repository."""
    return [name for name in METHODS.names() if METHODS.load(name).__module__.startswith("baselines.")]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[EraseBatch]:
    """One person to be erased from each of three scenes."""
    folder = tmp_path_factory.mktemp("pins") / "data"
    changes = {"count": 6, "size": 256, "splits": {"test": 1}}
    recipe = Recipe.model_validate(load("demo").model_dump() | changes)
    build(recipe, 0, folder, SerialExecutor(1), lambda count: None)
    dataset = Dataset.open(folder)
    first = {name.rpartition("-")[0]: name for name in reversed(dataset.task_ids("erase-one", "test"))}
    found = {name: dataset.triplet("erase-one", name) for name in sorted(first.values())[:3]}
    assert len(found) == 3
    return [as_batch(name, triplet, 0, with_truth=True) for name, triplet in found.items()]


def grid(pixels: np.ndarray, mask: np.ndarray) -> list[list[float]]:
    """The mean of the pixels [H, W, C] inside the mask in each cell that holds enough of it, row by row."""
    means = []
    for top in range(0, mask.shape[0], CELL):
        for left in range(0, mask.shape[1], CELL):
            cell = slice(top, top + CELL), slice(left, left + CELL)
            if np.count_nonzero(mask[cell]) >= FEWEST:
                means.append([round(float(mean), 1) for mean in pixels[cell][mask[cell]].mean(axis=0)])
    return means


def pin_of(name: str, samples: Sequence[EraseBatch], folder: Path) -> dict[str, Any]:
    """What the method makes of the samples, and of whom it makes layers how much."""
    spec = MethodSpec.parse(name + OPTIONS.get(name, ""))
    if name == "precomputed":
        spec.options["directory"] = str(folder)
        for sample in samples:
            write_png(folder / f"{sample.sample_ids[0]}.png", cv2.GaussianBlur(sample.images[0], (0, 0), 8))
    method = spec.create()
    method.load()
    pictures, layers = [], []
    for sample in samples:
        (outcome,) = method.run(sample)
        assert outcome.image is not None, outcome.error
        pictures.append(grid(outcome.image, sample.masks[0]))
        everywhere = np.ones_like(sample.masks[0])
        layers.append(
            {str(person): grid(rgba[..., 3:], everywhere) for person, rgba in outcome.layers.items()}
        )
    return {"revision": method.info.revision, "pictures": pictures, "layers": layers}


def difference(one: Any, other: Any) -> float:
    """The largest difference of any two numbers; infinite where there are not the same."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return max((difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return max(map(difference, one, other), default=0.0)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    return float("inf")


@cache
def kept() -> dict[str, Any]:
    """The pins as they are; what is renewed is compared with what was there."""
    return json.loads(PINS.read_text()) if PINS.exists() else {"inputs": [], "methods": {}}


@pytest.fixture(scope="module")
def inputs(samples: list[EraseBatch]) -> list[Any]:
    """What the samples show, as coarse as the pins."""
    return [grid(sample.images[0], np.ones_like(sample.masks[0])) for sample in samples]


def test_every_hosted_method_declares_a_revision() -> None:
    for name in hosted():
        assert METHODS.load(name).info.revision is not None, name


@pytest.mark.slow
@pytest.mark.parametrize("name", hosted())
def test_a_method_makes_what_its_revision_made(
    name: str, samples: list[EraseBatch], inputs: list[Any], tmp_path: Path
) -> None:
    made, pinned = pin_of(name, samples, tmp_path), kept()["methods"].get(name)
    same_inputs = difference(inputs, kept()["inputs"]) <= LEVELS
    changed = pinned is not None and same_inputs and made["revision"] == pinned["revision"]
    moved = max(difference(made[part], pinned[part]) for part in ("pictures", "layers")) if changed else 0.0
    assert moved <= LEVELS, (
        f"{name} makes other pictures, by {moved:.1f} levels: raise its revision, then {HOW}"
    )
    if RENEWING:
        renewed = json.loads(PINS.read_text()) if PINS.exists() else {"methods": {}}
        methods = dict(sorted((renewed["methods"] | {name: made}).items()))
        PINS.write_text(json.dumps({"inputs": inputs, "methods": methods}, separators=(",", ":")) + "\n")
        return
    assert same_inputs, f"the embedded samples are others now: {HOW}"
    assert pinned is not None, f"{name} has no pin: {HOW}"
    assert made["revision"] == pinned["revision"], f"{name} has another revision now: {HOW}"


@pytest.mark.slow
@pytest.mark.skipif(RENEWING, reason="the pins are being written")
def test_a_method_that_changes_a_little_does_not_pass(samples: list[EraseBatch]) -> None:
    pinned = kept()["methods"]["telea"]
    other = MethodSpec("telea", {"radius": 9.0}).create()
    pictures = [grid(other.run(sample)[0].image, sample.masks[0]) for sample in samples]
    assert difference(pictures, pinned["pictures"]) > LEVELS
    assert difference(pictures, pinned["pictures"]) < 50
