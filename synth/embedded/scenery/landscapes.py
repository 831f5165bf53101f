"""Natural places outdoors: park and beach."""

from __future__ import annotations

import numpy as np

from synth.embedded.scenery import bitmaps, foliage, props, textures
from synth.embedded.scenery.outdoors import begin, outlook, plant_tree, tree_cutouts, weather
from synth.embedded.scenery.raycast import Decal, Material, Sprite, box
from synth.embedded.scenery.textures import F32, Colour, f32, noise, pick
from synth.embedded.scenery.world import Frame, World
from synth.exact_math import exp, hypot, sin


def park(rng: np.random.Generator) -> World:
    """Lawn, a winding path, trees, shrubs, benches, a tree line and a distant town."""
    day = weather(rng, 230.0)
    lawn = Material(
        textures.grass(rng, pick(rng, ((0.38, 0.50, 0.20), (0.33, 0.46, 0.20))), (0.62, 0.58, 0.32)),
        (1.8, 1.8),
    )
    gravel = Material(
        textures.gravel(rng, pick(rng, ((0.70, 0.63, 0.52), (0.55, 0.54, 0.52), (0.66, 0.56, 0.46)))),
        (1.6, 1.6),
    )
    bare = Material(textures.mottled(rng, (0.42, 0.38, 0.22), 0.1, 0.10, 0.4), (1.5, 1.5))
    bend, phase, broad = float(rng.uniform(0.5, 3.0)), float(rng.uniform(0, 6)), float(rng.uniform(1.1, 1.9))
    start = float(rng.uniform(-0.8, 0.8))
    ragged = noise(512, 1.2, 2)
    patches = noise(512, 1.7, 5)

    def path_x(z: F32) -> F32:
        return np.asarray(start + bend * (sin(z / 9.0 + phase) - sin(phase)), np.float32)

    def path(x: F32, z: F32) -> F32:
        rough = ragged[(z * 24).astype(int) % 512, (x * 24).astype(int) % 512] * 0.06
        return np.clip((broad + rough - np.abs(x - path_x(z))) / 0.10, 0, 1).astype(np.float32)

    def worn(x: F32, z: F32) -> F32:
        spot = patches[(z * 12).astype(int) % 512, (x * 12).astype(int) % 512]
        near = exp(-np.square((np.abs(x - path_x(z)) - broad) / 0.45))
        return np.clip(0.28 * (spot - 0.7) + 0.45 * near * (0.5 + 0.5 * spot), 0, 0.7).astype(np.float32)

    # Large patches of another green: without them the eye finds the period of the lawn's tile.
    clover = Material(textures.grass(rng, (0.24, 0.37, 0.15), (0.40, 0.46, 0.22)), (2.3, 2.3))

    def shady(x: F32, z: F32) -> F32:
        spot = patches[(x * 14 + z * 5).astype(int) % 512, (z * 11 - x * 3).astype(int) % 512]
        return np.clip(0.4 + 0.35 * spot, 0, 0.85).astype(np.float32)

    yaw = float(rng.uniform(-0.3, 0.3))
    world = begin(
        "park",
        day,
        outlook(rng, float(rng.uniform(-1.5, 1.5)), yaw, 1.4, 2.2),
        lawn,
        [Decal(shady, clover), Decal(worn, bare), Decal(path, gravel)],
        lambda x, z: np.abs(x) < 30,
    )
    trees = tree_cutouts(rng, day, 3)
    shrubs = [foliage.bush(rng, pick(rng, foliage.GREENS), day.side) for _ in range(2)]
    flower = pick(rng, ((0.80, 0.30, 0.35), (0.85, 0.75, 0.30), (0.70, 0.50, 0.75)))
    shrubs.append(foliage.bush(rng, pick(rng, foliage.GREENS), day.side, flower))
    for z in (42.0, 50.0, 60.0):
        for x in np.arange(-55, 55, 3.2):
            tall = float(rng.uniform(6.5, 11))
            plant_tree(
                world,
                trees[int(rng.integers(3))],
                float(x + rng.normal(0, 1)),
                float(z + rng.normal(0, 2)),
                tall,
            )
    for x in np.arange(-40, 40, 2.2):
        wide = float(rng.uniform(2.2, 3.6))
        world.plant(
            Sprite(
                (float(x), 0, float(38 + rng.normal(0, 1.5))),
                (wide, wide * 0.62),
                shrubs[int(rng.integers(2))],
            ),
            1.0,
        )
    backdrop = foliage.ridge(rng, (0.22, 0.30, 0.16), False)
    for x in (-90.0, 0.0, 90.0):
        world.sprites.append(Sprite((x + float(rng.normal(0, 10)), 0.0, 85.0), (150.0, 14.0), backdrop))
    for _ in range(int(rng.integers(14, 24))):
        x, z = float(rng.uniform(-20, 20)), float(rng.uniform(7, 36))
        if abs(x - float(path_x(f32(z)))) > broad + 1.3:
            plant_tree(world, trees[int(rng.integers(3))], x, z, float(rng.uniform(5.0, 9.0)))
    for _ in range(int(rng.integers(6, 14))):
        x, z = float(rng.uniform(-12, 12)), float(rng.uniform(5, 26))
        if abs(x - float(path_x(f32(z)))) > broad + 0.8:
            wide = float(rng.uniform(0.9, 2.2))
            world.plant(Sprite((x, 0, z), (wide, wide * 0.68), shrubs[int(rng.integers(3))]), wide * 0.45)
    metal, slats = props.plain((0.13, 0.16, 0.14)), props.wood(rng, (0.48, 0.33, 0.21))
    for z in np.arange(5.5 + rng.uniform(0, 3), 34, 6.5):
        row = float(rng.choice([-1.0, 1.0]))
        x = float(path_x(f32(z))) + row * (broad + 0.7)
        world.group(props.bench(Frame(x, float(z), row * np.pi / 2), slats, metal, True))
        if rng.random() < 0.6:
            world.group(props.bin_(x, float(z + 1.4), props.plain((0.22, 0.30, 0.24))))
        world.group(
            props.street_lamp(float(path_x(f32(z + 3))) - row * (broad + 0.6), float(z + 3), metal, 3.3, 0.0)
        )
    if rng.random() < 0.5:
        rail = props.wood(rng, (0.45, 0.38, 0.30))
        for x in np.arange(-24, 24, 2.0):
            for y in (0.45, 0.85):
                world.add(box((float(x), y, 30.0), (2.0, 0.09, 0.05), rail))
            world.add(box((float(x), 0.55, 30.0), (0.12, 1.1, 0.12), rail))
    return world


def beach(rng: np.random.Generator) -> World:
    """Sand, surf and sea, parasols, huts, palms, a headland."""
    day = weather(rng, 900.0)
    sand = Material(
        textures.sand(rng, pick(rng, ((0.80, 0.70, 0.54), (0.84, 0.77, 0.64), (0.74, 0.64, 0.50)))),
        (2.4, 2.4),
    )
    wet = Material(textures.mottled(rng, (0.52, 0.43, 0.33), 0.05, 0.03, 0.6), (2.0, 2.0), 0.30)
    foam = Material(textures.mottled(rng, (0.94, 0.95, 0.95), 0.03, 0.05, 0.8), (1.3, 1.3))
    deep_tone = pick(rng, ((0.10, 0.34, 0.42), (0.12, 0.30, 0.40), (0.16, 0.38, 0.40)))
    waves = noise(1024, 1.15, 6, 2.6)
    relief = textures.emboss(waves, 1.3)
    sea = Material(
        textures.make_texture(f32(deep_tone) * (relief * (1 + 0.10 * noise(1024, 1.6, 2)))[..., None]),
        (9.0, 9.0),
        0.16,
    )
    shallow = Material(textures.make_texture(f32((0.36, 0.52, 0.50)) * relief[..., None]), (5.0, 5.0), 0.14)
    slope, shore = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.2, 0.75)), float(rng.uniform(14, 23))
    edge = noise(512, 1.5, 3)
    lace = noise(512, 1.0, 4)
    dunes = noise(512, 1.7, 7)

    def reach(x: F32, z: F32) -> F32:
        """Metres out to sea (negative on the sand)."""
        wobble = 0.8 * edge[(z * 4).astype(int) % 512, (x * 4).astype(int) % 512]
        return ((z - shore - slope * x) / f32(hypot(1, slope)) + 0.8 * sin(x * 0.21) + 0.5 * wobble).astype(
            np.float32
        )

    def frothy(x: F32, z: F32) -> F32:
        out = reach(x, z)
        thread = np.abs(lace[(z * 30).astype(int) % 512, (x * 30).astype(int) % 512])
        rim = exp(-np.square((out - 0.1) / 0.28))
        breakers = sum(
            exp(-np.square((out - line + 0.8 * sin(x * 0.13 + line)) / wide))
            for line, wide in ((3.2, 0.55), (7.0, 0.5), (13.0, 0.6))
        )
        film = exp(-np.square((out - 1.4) / 1.2)) * (thread < 0.28)
        return np.clip(rim * (thread < 1.1) + breakers * (thread < 0.9) * 0.9 + 0.55 * film, 0, 1).astype(
            np.float32
        )

    def damp(x: F32, z: F32) -> F32:
        return np.clip((reach(x, z) + 2.4) / 0.9, 0, 1).astype(np.float32)

    def hollow(x: F32, z: F32) -> F32:
        fine = dunes[(z * 60).astype(int) % 512, (x * 60).astype(int) % 512]
        return np.clip(0.35 * (fine - 0.3), 0, 0.4).astype(np.float32)

    def shallows(x: F32, z: F32) -> F32:
        return np.clip(reach(x, z) / 0.5, 0, 1).astype(np.float32)

    def open_sea(x: F32, z: F32) -> F32:
        return np.clip((reach(x, z) - 1.5) / 6, 0, 1).astype(np.float32)

    trodden = Material(textures.mottled(rng, (0.60, 0.50, 0.38), 0.05, 0.06, 0.5), (1.3, 1.3))
    view = outlook(rng, float(rng.uniform(-1, 1)), float(rng.uniform(-0.35, 0.35)), 1.5, 2.4)
    decals = [
        Decal(hollow, trodden),
        Decal(damp, wet),
        Decal(shallows, shallow),
        Decal(open_sea, sea),
        Decal(frothy, foam),
    ]
    world = begin("beach", day, view, sand, decals, lambda x, z: reach(f32(x), f32(z)) < -0.2)
    pole = props.plain((0.88, 0.86, 0.82))

    def dry(x: float, z: float, margin: float) -> bool:
        return bool(reach(f32([x]), f32([z]))[0] < -margin)

    for _ in range(int(rng.integers(12, 26))):
        x, z = float(rng.uniform(-13, 13)), float(rng.uniform(6, 24))
        if not dry(x, z, 3.2):
            continue
        first = pick(
            rng,
            (
                (0.85, 0.25, 0.20),
                (0.20, 0.45, 0.70),
                (0.95, 0.75, 0.25),
                (0.25, 0.60, 0.50),
                (0.92, 0.90, 0.85),
            ),
        )
        second: Colour | None = (0.95, 0.94, 0.90) if rng.random() < 0.6 else None
        world.group(
            props.parasol(x, z, Material(textures.fabric(rng, first, second), (1.2, 1.2)), pole, 2.2, 1.25)
        )
        towel = Material(
            textures.fabric(
                rng,
                pick(rng, ((0.30, 0.55, 0.70), (0.80, 0.40, 0.40), (0.90, 0.85, 0.60))),
                (0.93, 0.93, 0.9),
            ),
            (0.9, 0.9),
        )
        frame = Frame(x + float(rng.uniform(-0.9, 0.9)), z - 0.6, float(rng.uniform(-0.5, 0.5)))
        if rng.random() < 0.5:
            world.group([frame.box((0, 0.015, 0), (0.8, 0.03, 1.7), towel)])
        else:
            seat = [
                [s * 0.3, y, d]
                for s in (-1, 1)
                for y, d in ((0.30, -0.7), (0.34, -0.7), (0.30, 0.35), (0.34, 0.35))
            ]
            back = [
                [s * 0.3, y, d]
                for s in (-1, 1)
                for y, d in ((0.32, 0.33), (0.32, 0.38), (0.85, 0.75), (0.86, 0.70))
            ]
            legs = [
                frame.box((px, 0.15, pz), (0.04, 0.3, 0.04), pole)
                for px in (-0.27, 0.27)
                for pz in (-0.6, 0.3)
            ]
            world.group([frame.hull(np.array(seat), towel), frame.hull(np.array(back), towel), *legs])
    if rng.random() < 0.6:
        for step in range(7):
            z = 13 + 3.0 * step
            x = float(np.sign(slope) * (8.5 + 0.2 * step))
            if not dry(x, z, 4.0):
                continue
            paint = Material(
                textures.planks(
                    rng,
                    pick(
                        rng,
                        (
                            (0.85, 0.40, 0.35),
                            (0.35, 0.60, 0.72),
                            (0.92, 0.85, 0.55),
                            (0.55, 0.75, 0.60),
                            (0.9, 0.9, 0.88),
                        ),
                    ),
                    12,
                    0.3,
                ),
                (2.0, 2.0),
            )
            frame = Frame(x, z, float(np.sign(x)) * np.pi / 2)
            leaf = Material(bitmaps.door(rng, (0.90, 0.90, 0.87), False), (0.85, 1.9))
            roof = np.array(
                [
                    [s * 1.15, h, d]
                    for d in (-1.2, 1.2)
                    for s, h in ((-1, 2.15), (1, 2.15), (0, 2.95), (0, 2.85))
                ]
            )
            world.group(
                [
                    frame.box((0, 1.1, 0), (2.0, 2.2, 2.1), paint),
                    frame.box((0, 0.97, -1.05), (0.85, 1.9, 0.04), pole, {"front": leaf}),
                    frame.hull(roof, props.plain((0.85, 0.84, 0.80))),
                ]
            )
    palms = [foliage.palm(rng) for _ in range(2)]
    for _ in range(int(rng.integers(2, 8))):
        x, z = float(rng.uniform(-16, 16)), float(rng.uniform(9, 30))
        if dry(x, z, 5.0):
            world.plant(
                Sprite((x, 0, z), (6.2, 7.4), palms[int(rng.integers(2))], bool(rng.random() < 0.5)), 0.25
            )
    for _ in range(int(rng.integers(1, 4))):
        far, wide = float(rng.uniform(380, 620)), float(rng.uniform(280, 520))
        texture = foliage.ridge(rng, pick(rng, ((0.30, 0.36, 0.24), (0.36, 0.36, 0.28))), True)
        world.sprites.append(Sprite((float(rng.uniform(-300, 300)), 0.0, far), (wide, wide / 8), texture))
    return world
