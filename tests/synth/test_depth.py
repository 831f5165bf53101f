"""Depth of the ground gives back the camera that saw it; wrong pixels and rows move it little, a wall gives none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import MANNEQUIN_PLACES

from mildbench.scene import Provenance
from synth.ground import ground_of
from synth.material import Background, Known, SeenObject
from synth.perspective import TYPICAL, Perspective, fit_depth
from synth.recipe_files import load
from synth.rng import generator
from synth.setting import SEVERAL, setting_of
from synth.sources.base import BACKGROUNDS, open_source

HEIGHT, WIDTH, FOCAL = 480, 640, 576.0
ADULT = 1.7


def seen(camera: Perspective, height: int, width: int, focal: float) -> np.ndarray:
    """float32[height, width]: the depth of a level plane, and of a wall of 80 m above the horizon."""
    below = np.arange(height) + 0.5 - camera.horizon
    metres = np.where(below > 0, focal * camera.camera_height / np.maximum(below, 1e-9), 80.0)
    return np.repeat(np.minimum(metres, 80.0).astype(np.float32)[:, None], width, axis=1)


def below(row: float) -> np.ndarray:
    """bool[HEIGHT, WIDTH]: the rows from one on."""
    return np.broadcast_to(np.arange(HEIGHT)[:, None] >= row, (HEIGHT, WIDTH))


def apart(camera: Perspective, fitted: Perspective | None, ground: np.ndarray) -> float:
    """By what share the two differ on how tall people are, in the middle one of the rows of ground."""
    assert fitted is not None
    assert fitted.known == "depth"
    rows = np.flatnonzero(ground.any(axis=1))
    rows = rows[rows > camera.horizon + 2]
    return float(np.median([abs(fitted.pixels(ADULT, row) / camera.pixels(ADULT, row) - 1) for row in rows]))


@pytest.fixture(scope="module")
def places() -> list[Background]:
    source = open_source(MANNEQUIN_PLACES, BACKGROUNDS)
    return [source.background(ref.key) for ref in source.backgrounds()]


def cameras(count: int) -> list[Perspective]:
    rng = np.random.default_rng(5)
    return [Perspective(rng.uniform(80, 280), rng.uniform(0.8, 4.0), "exact") for _ in range(count)]


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Factors: a tenth either way."""
    return np.exp(np.random.default_rng(seed).normal(0, 0.1, shape))


@pytest.mark.slow
def test_the_camera_of_rendered_places_comes_back(places: list[Background]) -> None:
    """As exactly as it is rounded; within a twentieth where all pixels are noisy, and each fifth shows furniture."""
    for number, place in enumerate(places):
        assert place.horizon is not None
        assert place.camera_height is not None
        assert place.focal is not None
        assert place.ground is not None
        height, width = place.ground.shape
        focal = place.focal * max(height, width)
        camera = Perspective(place.horizon * height, place.camera_height, "exact")
        depth = seen(camera, height, width, focal)
        exact = fit_depth(depth, place.ground, focal)
        assert exact is not None
        assert exact.horizon == pytest.approx(camera.horizon, abs=0.51)
        assert exact.camera_height == pytest.approx(camera.camera_height, abs=0.006)
        rng = np.random.default_rng(number)
        nearer = depth * rng.uniform(0.3, 0.9, depth.shape)
        wrong = np.where(rng.random(depth.shape) < 0.2, nearer, depth * noise(depth.shape, number))
        fitted = fit_depth(wrong.astype(np.float32), place.ground, focal)
        assert fitted is not None
        assert fitted.horizon == pytest.approx(camera.horizon, abs=1.5)
        assert fitted.camera_height == pytest.approx(camera.camera_height, rel=0.05)


@pytest.mark.parametrize("wild", ["pixels", "rows"])
def test_a_fifth_of_wild_depth_changes_little(wild: str) -> None:
    for seed, camera in enumerate(cameras(30)):
        ground = below(camera.horizon + 2 + 2 * seed)
        depth = seen(camera, HEIGHT, WIDTH, FOCAL) * noise((HEIGHT, WIDTH), seed)
        rng = np.random.default_rng(seed)
        places = rng.random((HEIGHT, WIDTH if wild == "pixels" else 1)) < 0.2
        anything = rng.uniform(0.5, 80, places.shape)
        fitted = fit_depth(np.where(places, anything, depth).astype(np.float32), ground, FOCAL)
        assert fitted is not None
        assert fitted.horizon == pytest.approx(camera.horizon, abs=4)
        assert apart(camera, fitted, ground) < 0.05


def test_the_last_bits_of_a_network_decide_nothing() -> None:
    camera = Perspective(151.3, 1.604, "exact")
    depth, ground = seen(camera, HEIGHT, WIDTH, FOCAL), below(170)
    rng = np.random.default_rng(0)
    shaken = depth * (1 + rng.uniform(-1e-5, 1e-5, depth.shape))
    assert fit_depth(shaken.astype(np.float32), ground, FOCAL) == fit_depth(depth, ground, FOCAL)


@given(st.floats(0.5, 2.0))
def test_a_longer_lens_leaves_the_horizon_and_lowers_the_camera(factor: float) -> None:
    camera = Perspective(150, 1.6, "exact")
    depth, ground = seen(camera, HEIGHT, WIDTH, FOCAL), below(200)
    fitted = fit_depth(depth, ground, factor * FOCAL)
    assert fitted is not None
    assert fitted.horizon == pytest.approx(150, abs=0.5)
    assert fitted.camera_height == pytest.approx(1.6 / factor, abs=0.02)


def test_what_is_no_depth_is_left_out() -> None:
    camera = Perspective(150, 1.6, "exact")
    depth, ground = seen(camera, HEIGHT, WIDTH, FOCAL), below(200)
    holes = depth.copy()
    for place, value in enumerate((0.0, -1.0, np.nan, np.inf)):
        holes[:, place::10] = value
    assert fit_depth(holes, ground, FOCAL) == fit_depth(depth, ground, FOCAL)


def test_without_a_level_plane_of_ground_depth_tells_nothing() -> None:
    camera = Perspective(150, 1.6, "exact")
    depth, ground = seen(camera, HEIGHT, WIDTH, FOCAL), below(200)
    assert fit_depth(depth, ground, FOCAL) is not None
    few_rows = ground & ~below(220)
    narrow = ground & (np.arange(WIDTH) < 0.02 * WIDTH)
    assert fit_depth(depth, few_rows, FOCAL) is None
    assert fit_depth(depth, narrow, FOCAL) is None
    assert fit_depth(depth, np.zeros_like(ground), FOCAL) is None
    assert fit_depth(np.full_like(depth, 5), ground, FOCAL) is None  # a wall
    assert fit_depth(depth[::-1].copy(), ground, FOCAL) is None  # a ceiling
    anything = np.random.default_rng(0).uniform(0.5, 80, (HEIGHT, 1)).astype(np.float32)
    assert fit_depth(np.repeat(anything, WIDTH, axis=1), ground, FOCAL) is None
    for metres in (0.3, 15.0):  # not believed
        assert (
            fit_depth(seen(replace(camera, camera_height=metres), HEIGHT, WIDTH, FOCAL), ground, FOCAL)
            is None
        )


def test_the_horizon_lies_no_lower_than_the_ground_reaches() -> None:
    camera = Perspective(200, 1.6, "exact")
    depth, ground = seen(camera, HEIGHT, WIDTH, FOCAL), below(210)
    near = fit_depth(depth, ground, FOCAL, upper_edge=190)
    assert near is not None
    assert near.horizon == 190
    assert fit_depth(depth, ground, FOCAL, upper_edge=150) is None  # it contradicts the ground


def cars(camera: Perspective, count: int) -> tuple[SeenObject, ...]:
    rows = [300 + 30 * number for number in range(count)]
    tall = [camera.pixels(TYPICAL["car"].metres, row) for row in rows]
    return tuple(
        SeenObject("car", (100, row - size, 2 * size, size)) for row, size in zip(rows, tall, strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"horizon": 0.3, "camera_height": 1.5}, "exact"),
        ({"cars": SEVERAL}, "objects"),
        ({"cars": SEVERAL - 1}, "depth"),
        ({}, "depth"),
        ({"cars": SEVERAL - 1, "depth": None}, "objects"),
        ({"cars": 1, "depth": np.full((HEIGHT, WIDTH), 5, np.float32)}, "objects"),
        ({"depth": None}, "edge"),
    ],
)
def test_depth_comes_after_several_objects_and_before_a_few(changes: dict[str, Any], known: str) -> None:
    camera = Perspective(150, 1.6, "exact")
    made = {"depth": seen(camera, HEIGHT, WIDTH, FOCAL), "objects": cars(camera, changes.get("cars", 0))}
    background = Background(
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        Provenance("drawn", "0", "0" * 64, "CC0-1.0"),
        **made | {key: value for key, value in changes.items() if key != "cars"},
    )
    setting = setting_of(background, ground_of(Known.EXACT, below(170)), load("multi-ip"), generator(0))
    assert setting.perspective.known == known
    if known == "depth":
        assert setting.perspective.horizon == pytest.approx(150, abs=0.5)
        assert setting.perspective.camera_height == pytest.approx(1.6, abs=0.01)
