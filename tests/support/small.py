"""A small data set that builds in a second: drawn people on drawn backgrounds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mildbench.executors import SerialExecutor
from synth.build import build
from synth.recipe import Recipe
from synth.recipe_files import load

MANNEQUINS = "mannequin:?count=8"
MANNEQUIN_PLACES = "mannequin:?count=3&seed=23&side=128"
"""A gallery whose floor shines, a sunny plaza, a cloudy street. Tests that need mannequins, not paper, ask for these,
so that few are drawn (see `drawn_once`)."""


def draw_person(rng: np.random.Generator, height: int = 120) -> np.ndarray:
    """uint8[h, w, 4] RGBA: a head and a body of random colour and proportions."""
    width = int(height * rng.uniform(0.3, 0.5))
    rgba = np.zeros((height, width, 4), np.uint8)
    colour = tuple(int(c) for c in rng.integers(20, 235, 3))
    radius = width // 5
    cv2.circle(rgba, (width // 2, radius), radius, (*colour, 255), -1, cv2.LINE_AA)
    axes = (width // 2 - 1, int(height * 0.39))
    cv2.ellipse(rgba, (width // 2, int(height * 0.6)), axes, 0, 0, 360, (*colour, 255), -1)
    return rgba


def draw_meadow(rng: np.random.Generator) -> np.ndarray:
    """uint8[280, 330, 3] BGR: grass, which passes for ground, under a cloudy sky."""
    height, width, horizon = 280, 330, int(rng.integers(128, 150))
    clouds = rng.integers(0, 80, (6, 7, 1), dtype=np.uint8)
    blades = rng.integers(-32, 32, (height // 4, width // 4, 1)).astype(np.float32)
    sky, light = (
        cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) for noise in (clouds, blades)
    )
    picture = np.array([230, 175, 125]) - sky[..., None].astype(int)
    picture[horizon:] = (np.array([50, 120, 100]) + light[..., None].astype(int))[horizon:]
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw_sources(folder: Path) -> tuple[Path, Path]:
    """Folders of 12 cut-outs and 9 backgrounds."""
    people, backgrounds = folder / "cutouts", folder / "backgrounds"
    people.mkdir(parents=True)
    backgrounds.mkdir()
    rng = np.random.default_rng(1)
    for index in range(12):
        cv2.imwrite(str(people / f"{index:02d}.png"), draw_person(rng))
    for index in range(9):
        cv2.imwrite(str(backgrounds / f"{index}.png"), draw_meadow(rng))
    return people, backgrounds


def small_recipe(people: Path, backgrounds: Path, splits: tuple[str, ...] = ("train", "test")) -> Recipe:
    """20 scenes of 128 px, shared out evenly."""
    changes = {
        "people": [f"folder:{people}"],
        "backgrounds": [f"folder:{backgrounds}"],
        "count": 20,
        "size": 128,
        "splits": dict.fromkeys(splits, 1),
    }
    return Recipe.model_validate(load("multi-ip").model_dump() | changes)


def small_dataset(folder: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """Build it; returns the data set's folder."""
    build(
        small_recipe(*draw_sources(folder), splits), 0, folder / "data", SerialExecutor(1), lambda count: None
    )
    return folder / "data"
