"""What outdoor scenes share: weather, the camera, trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.embedded.scenery import foliage
from synth.embedded.scenery.lighting import Light, Sun
from synth.embedded.scenery.raycast import Decal, Material, Sprite, ground
from synth.embedded.scenery.textures import Texture, pick
from synth.embedded.scenery.world import HORIZONS, Region, Sky, Viewpoint, World
from synth.exact_math import cos, sin


@dataclass(frozen=True)
class Day:
    """Light and sky of one weather; side: -1 the sun is on the left, 1 on the right."""

    light: Light
    sky: Sky
    side: float


def weather(rng: np.random.Generator, haze: float) -> Day:
    """Time of day and weather: noon, golden hour or overcast; the sun stands beside or behind the camera."""
    kind = str(rng.choice(["clear", "clear", "golden", "overcast"]))
    side = float(rng.choice([-1.0, 1.0]))
    azimuth = side * float(rng.uniform(0.6, 2.3))
    rise = float(rng.uniform(0.55, 0.95)) if kind != "golden" else float(rng.uniform(0.26, 0.4))
    flat = np.sqrt(1 - rise * rise)
    direction = (float(flat * sin(azimuth)), rise, float(flat * cos(azimuth)))
    variant = int(rng.integers(16))
    if kind == "overcast":
        light = Light(
            Sun(direction, (0.35, 0.34, 0.32)),
            (),
            (1.15, 1.2, 1.28),
            (0.42, 0.42, 0.40),
            (1.15, 1.18, 1.22),
            haze * 0.8,
            1.2,
        )
        return Day(light, Sky((1.5, 1.54, 1.58), (0.95, 1.08, 1.28), 0.72, (1.75, 1.78, 1.82), variant), side)
    if kind == "golden":
        light = Light(
            Sun(direction, (2.9, 1.95, 1.1)),
            (),
            (0.52, 0.56, 0.68),
            (0.34, 0.28, 0.22),
            (0.98, 0.80, 0.62),
            haze * 0.8,
            1.2,
        )
        return Day(
            light,
            Sky(
                (1.05, 0.82, 0.60),
                (0.34, 0.50, 0.78),
                float(rng.uniform(0.3, 0.6)),
                (1.5, 1.22, 1.0),
                variant,
            ),
            side,
        )
    light = Light(
        Sun(direction, (2.5, 2.35, 2.1)),
        (),
        (0.56, 0.62, 0.75),
        (0.36, 0.34, 0.30),
        (0.74, 0.82, 0.92),
        haze,
        1.2,
    )
    return Day(
        light,
        Sky(
            (0.80, 0.92, 1.05),
            (0.17, 0.40, 0.86),
            float(rng.uniform(0.25, 0.65)),
            (1.7, 1.7, 1.7),
            variant,
        ),
        side,
    )


def begin(
    kind: str,
    day: Day,
    view: Viewpoint,
    base: Material,
    decals: list[Decal],
    stand: Region,
) -> World:
    """A world with nothing on its ground yet."""
    return World(kind, view, day.light, day.sky, stand, [ground(base, decals)])


def outlook(rng: np.random.Generator, x: float, yaw: float, low: float = 1.3, high: float = 2.1) -> Viewpoint:
    """A camera at x whose height lies between low and high metres."""
    return Viewpoint(
        (x, float(rng.uniform(low, high)), 0.0),
        yaw,
        float(rng.uniform(0.78, 1.15)),
        float(rng.uniform(*HORIZONS)),
    )


def tree_cutouts(rng: np.random.Generator, day: Day, count: int) -> list[Texture]:
    """Different trees of one season."""
    palette = foliage.AUTUMN if rng.random() < 0.2 else foliage.GREENS
    return [foliage.tree(rng, pick(rng, palette), day.side) for _ in range(count)]


def plant_tree(world: World, texture: Texture, x: float, z: float, height: float) -> None:
    """Add a tree of the given height in metres."""
    world.plant(Sprite((x, 0.0, z), (height * 5 / 6, height), texture), 0.25)
