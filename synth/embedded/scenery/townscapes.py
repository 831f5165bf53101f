"""Built places outdoors: street and plaza."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.embedded.scenery import bitmaps, props, textures
from synth.embedded.scenery.buildings import facades, house
from synth.embedded.scenery.outdoors import begin, outlook, plant_tree, tree_cutouts, weather
from synth.embedded.scenery.raycast import Decal, Material, box
from synth.embedded.scenery.textures import F32, Colour, f32, noise, pick, shade
from synth.embedded.scenery.world import Frame, World

CARS: tuple[Colour, ...] = (
    (0.75, 0.76, 0.77),
    (0.16, 0.17, 0.19),
    (0.45, 0.08, 0.07),
    (0.12, 0.20, 0.38),
    (0.88, 0.88, 0.86),
    (0.30, 0.33, 0.34),
    (0.20, 0.30, 0.24),
    (0.60, 0.52, 0.38),
)


@dataclass(frozen=True)
class _Band:
    """A strip low <= x < high along the road."""

    low: float
    high: float
    opacity: float = 1.0

    def __call__(self, x: F32, z: F32) -> F32:
        return f32(self.opacity) * ((x >= self.low) & (x < self.high))


def street(rng: np.random.Generator) -> World:
    """A road between two rows of houses, with parked cars, trees, lamps and a zebra crossing."""
    day = weather(rng, 330.0)
    half, walk = float(rng.uniform(3.2, 4.4)), float(rng.uniform(2.8, 4.2))
    on_walk = rng.random() < 0.45
    side = float(rng.choice([-1.0, 1.0]))
    eye = side * (half + walk * 0.5) if on_walk else side * float(rng.uniform(0, half * 0.5))
    yaw = -side * float(rng.uniform(0.0, 0.22)) if on_walk else float(rng.uniform(-0.16, 0.16))
    road = Material(
        textures.asphalt(rng, shade((0.33, 0.33, 0.34), float(rng.uniform(0.8, 1.15)))),
        (2.6, 2.6),
        0.10 if day.light.sun is not None and day.light.sun.colour[0] < 1 and rng.random() < 0.6 else 0.0,
    )
    paving = (
        textures.tiles(rng, pick(rng, ((0.62, 0.60, 0.57), (0.58, 0.53, 0.48))), None, 4, 0.008, 2.2)
        if rng.random() < 0.6
        else textures.bricks(rng, (0.58, 0.44, 0.37), (0.42, 0.39, 0.36), 12, 6)
    )
    stones = Material(paving, (2.0, 2.0), road.gloss * 0.6)
    paint = Material(textures.mottled(rng, (0.86, 0.86, 0.83), 0.06, 0.08, 0.4), (1.5, 1.5), road.gloss)
    kerb = Material(textures.bricks(rng, (0.66, 0.65, 0.62), (0.4, 0.4, 0.4), 2, 2, 0.3, 256), (2.0, 2.0))
    gutter = Material(textures.mottled(rng, (0.20, 0.20, 0.20), 0.1, 0.1), (1.0, 1.0))
    zebra = float(rng.uniform(5.0, 9.0))
    crossing = rng.random() < 0.55
    worn = noise(256, 1.0, 3)

    def dashes(x: F32, z: F32) -> F32:
        return f32(0.85) * ((np.abs(x) < 0.07) & (z % 5 < 2.6))

    def stripes(x: F32, z: F32) -> F32:
        flake = worn[(z * 40).astype(int) % 256, (x * 40).astype(int) % 256] > -1.3
        return f32(0.9) * (
            (np.abs(x) < half - 0.4) & (np.abs(z - zebra) < 1.5) & ((x + half) % 1.0 < 0.5) & flake
        )

    decals = [
        Decal(dashes, paint),
        *([Decal(stripes, paint)] if crossing else []),
        Decal(_Band(-half, -half + 0.25, 0.75), gutter),
        Decal(_Band(half - 0.25, half, 0.75), gutter),
        Decal(_Band(half, 60), stones),
        Decal(_Band(-60, -half), stones),
        Decal(_Band(half, half + 0.22), kerb),
        Decal(_Band(-half - 0.22, -half), kerb),
    ]
    edge = half + walk
    world = begin("street", day, outlook(rng, eye, yaw), road, decals, lambda x, z: np.abs(x) < edge - 0.25)
    styles = facades(
        rng, 4, 0.25 if day.light.sun is not None and day.light.sun.direction[1] < 0.45 else 0.06
    )
    shops = [
        bitmaps.shop(
            rng,
            pick(rng, ((0.20, 0.24, 0.22), (0.45, 0.16, 0.14), (0.16, 0.20, 0.30), (0.78, 0.74, 0.66))),
            pick(rng, ((0.14, 0.18, 0.16), (0.60, 0.15, 0.12), (0.85, 0.80, 0.70), (0.15, 0.25, 0.45))),
            0.5,
        )
        for _ in range(3)
    ]
    for row in (-1, 1):
        z = -6.0
        while z < 95:
            width = float(rng.uniform(8, 15))
            frame = Frame(row * edge, z + width / 2, row * np.pi / 2)
            shop = shops[int(rng.integers(3))] if rng.random() < 0.6 else None
            house(rng, world, frame, width, 3.2 * int(rng.integers(2, 5)), styles[int(rng.integers(4))], shop)
            z += width + (0.0 if rng.random() < 0.85 else 3.0)
    house(rng, world, Frame(float(rng.uniform(-5, 5)), 100.0, 0.0), 40.0, 16.0, styles[0], None)
    cars = [props.car(rng, pick(rng, CARS)) for _ in range(5)]
    for row in (-1, 1):
        if rng.random() < 0.8:
            z = float(rng.uniform(4.5, 9.0))
            while z < 48:
                if not (crossing and abs(z - zebra) < 4.2) and rng.random() < 0.72:
                    nose = float((0.0 if row > 0 else np.pi) + rng.normal(0, 0.015))
                    model = cars[int(rng.integers(len(cars)))]
                    world.group([part.moved(row * (half - 1.15), z, nose) for part in model])
                z += float(rng.uniform(5.0, 6.2))
    metal = props.plain((0.14, 0.16, 0.16))
    trees = tree_cutouts(rng, day, 2)
    leafy = rng.random() < 0.65
    for row in (-1, 1):
        for step, z in enumerate(np.arange(6.0 + rng.uniform(0, 4), 60, 9.0)):
            x = row * (half + 0.6)
            if leafy and step % 2 == 0:
                plant_tree(world, trees[int(rng.integers(2))], x, float(z), float(rng.uniform(5.5, 7.5)))
            else:
                world.group(props.street_lamp(x, float(z), metal, 5.2, -row * 1.2))
            if rng.random() < 0.35:
                world.group(props.bin_(row * (half + 0.7), float(z + 2.0), props.plain((0.2, 0.28, 0.24))))
    for z in np.arange(zebra - 2.5, zebra + 3, 1.25):
        if crossing:
            for row in (-1, 1):
                if abs(z - zebra) > 1.8:
                    world.group([box((row * (half + 0.4), 0.45, float(z)), (0.1, 0.9, 0.1), metal)])
    return world


def plaza(rng: np.random.Generator) -> World:
    """A paved square with buildings around, trees in planters, benches, lanterns, cafe tables."""
    day = weather(rng, 300.0)
    kind = int(rng.integers(3))
    if kind == 0:
        base = Material(
            textures.cobbles(rng, pick(rng, ((0.58, 0.56, 0.54), (0.60, 0.54, 0.48)))), (1.9, 1.9), 0.0
        )
    elif kind == 1:
        base = Material(
            textures.tiles(rng, pick(rng, ((0.70, 0.67, 0.62), (0.66, 0.60, 0.53))), None, 4, 0.006, 2.0),
            (2.8, 2.8),
            0.04,
        )
    else:
        base = Material(textures.bricks(rng, (0.62, 0.47, 0.38), (0.45, 0.42, 0.38), 16, 8, 0.9), (1.7, 1.7))
    stone = Material(textures.tiles(rng, (0.76, 0.74, 0.70), None, 4, 0.008, 1.5), (2.4, 2.4), base.gloss)
    step = float(rng.uniform(5, 8))

    def lines(x: F32, z: F32) -> F32:
        return (((x + 0.3) % step < 0.6) | ((z + 0.3) % step < 0.6)).astype(np.float32)

    yaw = float(rng.uniform(-0.35, 0.35))
    depth, wide = float(rng.uniform(24, 38)), float(rng.uniform(14, 20))
    world = begin(
        "plaza",
        day,
        outlook(rng, float(rng.uniform(-2, 2)), yaw, 1.4, 2.3),
        base,
        [Decal(lines, stone)],
        lambda x, z: (np.abs(x) < wide - 0.4) & (z < depth - 0.4),
    )
    styles = facades(rng, 4, 0.1)
    shops = [
        bitmaps.shop(
            rng,
            pick(rng, ((0.25, 0.24, 0.22), (0.45, 0.16, 0.14), (0.78, 0.74, 0.66))),
            pick(rng, ((0.14, 0.18, 0.16), (0.85, 0.80, 0.70))),
            0.5,
        )
        for _ in range(2)
    ]
    x = -wide - 10.0
    while x < wide + 10:
        width = float(rng.uniform(9, 16))
        house(
            rng,
            world,
            Frame(x + width / 2, depth, 0.0),
            width,
            3.2 * int(rng.integers(2, 5)),
            styles[int(rng.integers(4))],
            shops[int(rng.integers(2))],
        )
        x += width
    for row in (-1, 1):
        z = -4.0
        while z < depth - 4:
            width = float(rng.uniform(9, 15))
            if z > 2 or rng.random() < 0.7:
                house(
                    rng,
                    world,
                    Frame(row * wide, z + width / 2, row * np.pi / 2),
                    width,
                    3.2 * int(rng.integers(2, 4)),
                    styles[int(rng.integers(4))],
                    shops[int(rng.integers(2))],
                )
            z += width + (6.0 if rng.random() < 0.25 else 0.0)
    trees = tree_cutouts(rng, day, 2)
    metal, slats = props.plain((0.13, 0.14, 0.15)), props.wood(rng, (0.50, 0.36, 0.24))
    planter = Material(textures.mottled(rng, (0.60, 0.58, 0.55), 0.08, 0.04), (1.5, 1.5))
    for row in (-1, 1):
        for z in np.arange(6.5 + rng.uniform(0, 3), depth - 3, float(rng.uniform(5.5, 7.5))):
            x = row * float(rng.uniform(5.0, 6.5))
            world.group(
                [
                    box((x, 0.25, float(z)), (1.7, 0.5, 1.7), planter),
                    box((x, 0.5, float(z)), (1.45, 0.04, 1.45), props.plain((0.25, 0.2, 0.14), 0.2)),
                ]
            )
            plant_tree(world, trees[int(rng.integers(2))], x, float(z), float(rng.uniform(4.8, 6.8)))
            world.group(
                props.bench(Frame(x - row * 1.35, float(z), -row * np.pi / 2 + np.pi), slats, metal, True)
            )
            if rng.random() < 0.6:
                world.group(props.street_lamp(x - row * 0.6, float(z + 2.8), metal, 3.4, 0.0))
            if rng.random() < 0.4:
                world.group(props.bin_(x - row * 1.3, float(z + 1.7), props.plain((0.22, 0.24, 0.24))))
    cloth = pick(rng, ((0.85, 0.80, 0.70), (0.60, 0.18, 0.15), (0.20, 0.36, 0.30), (0.85, 0.65, 0.25)))
    canvas = Material(textures.fabric(rng, cloth), (1.0, 1.0))
    seat = props.wood(rng, (0.55, 0.40, 0.26))
    cafe = float(rng.choice([-1.0, 1.0]))
    for z in np.arange(8, depth - 4, 3.4):
        for off in (2.2, 5.0):
            if rng.random() < 0.75:
                x = cafe * (wide - off)
                world.group(props.parasol(x, float(z), canvas, metal, 2.5, 1.45))
                world.group(props.table(Frame(x + 0.5, float(z), 0.3), (0.7, 0.74, 0.7), seat, metal))
                world.group(props.chair(Frame(x + 0.5, float(z - 0.7), np.pi), seat, metal))
                world.group(props.chair(Frame(x - 0.3, float(z), -np.pi / 2 + np.pi), seat, metal))
    return world
