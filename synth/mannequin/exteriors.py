"""Outdoor scenes: street, park, beach, plaza."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.mannequin import bitmaps, props, textures
from synth.mannequin.lighting import Light, Sun
from synth.mannequin.raycast import Decal, Material, Sprite, box, ground
from synth.mannequin.textures import F32, Colour, Texture, noise, shade
from synth.mannequin.world import Frame, Region, Sky, View, World

CARS: tuple[Colour, ...] = (
    (0.75, 0.76, 0.77), (0.16, 0.17, 0.19), (0.45, 0.08, 0.07), (0.12, 0.20, 0.38), (0.88, 0.88, 0.86),
    (0.30, 0.33, 0.34), (0.20, 0.30, 0.24), (0.60, 0.52, 0.38),
)  # fmt: skip
STUCCO: tuple[Colour, ...] = (
    (0.84, 0.78, 0.66), (0.80, 0.68, 0.56), (0.72, 0.74, 0.72), (0.86, 0.84, 0.80), (0.74, 0.56, 0.46),
    (0.66, 0.72, 0.76), (0.82, 0.72, 0.50),
)  # fmt: skip


def _pick(rng: np.random.Generator, options: tuple[Colour, ...]) -> Colour:
    chosen = options[int(rng.integers(len(options)))]
    return shade(chosen, float(rng.uniform(0.88, 1.1)))


@dataclass(frozen=True)
class _Day:
    light: Light
    sky: Sky
    side: float


def _day(rng: np.random.Generator, haze: float) -> _Day:
    """Time of day and weather: noon, golden hour or overcast; the sun stands beside or behind the camera."""
    kind = str(rng.choice(["clear", "clear", "golden", "overcast"]))
    side = float(rng.choice([-1.0, 1.0]))
    azimuth = side * float(rng.uniform(0.6, 2.3))
    rise = float(rng.uniform(0.55, 0.95)) if kind != "golden" else float(rng.uniform(0.26, 0.4))
    flat = np.sqrt(1 - rise**2)
    direction = (float(flat * np.sin(azimuth)), rise, float(flat * np.cos(azimuth)))
    variant = int(rng.integers(16))
    if kind == "overcast":
        light = Light(Sun(direction, (0.35, 0.34, 0.32)), (), (1.15, 1.2, 1.28), (0.42, 0.42, 0.40), (1.15, 1.18, 1.22), haze * 0.8, 1.2)
        return _Day(light, Sky((1.5, 1.54, 1.58), (0.95, 1.08, 1.28), 0.72, (1.75, 1.78, 1.82), variant), side)
    if kind == "golden":
        light = Light(Sun(direction, (2.9, 1.95, 1.1)), (), (0.46, 0.54, 0.74), (0.34, 0.28, 0.22), (0.98, 0.80, 0.62), haze * 0.8, 1.2)
        return _Day(light, Sky((1.05, 0.82, 0.60), (0.34, 0.50, 0.78), float(rng.uniform(0.3, 0.6)), (1.15, 0.95, 0.80), variant), side)
    light = Light(Sun(direction, (2.5, 2.35, 2.1)), (), (0.52, 0.62, 0.80), (0.36, 0.34, 0.30), (0.74, 0.82, 0.92), haze, 1.2)
    return _Day(light, Sky((0.80, 0.92, 1.05), (0.17, 0.40, 0.86), float(rng.uniform(0.25, 0.65)), (1.35, 1.35, 1.35), variant), side)


def _world(rng: np.random.Generator, kind: str, day: _Day, view: View, base: Material, decals: list[Decal], stand: Region) -> World:
    return World(kind, view, day.light, day.sky, stand, [ground(base, decals)])


def _view(rng: np.random.Generator, x: float, yaw: float, low: float = 1.3, high: float = 2.1) -> View:
    return View((x, float(rng.uniform(low, high)), 0.0), yaw, float(rng.uniform(0.78, 1.15)), float(rng.uniform(0.36, 0.5)))


def _band(low: float, high: float, opacity: float = 1.0) -> "_Band":
    return _Band(low, high, opacity)


@dataclass(frozen=True)
class _Band:
    """A strip low <= x < high along the road."""

    low: float
    high: float
    opacity: float

    def __call__(self, x: F32, z: F32) -> F32:
        return np.float32(self.opacity) * ((x >= self.low) & (x < self.high))


def _wall_picture(rng: np.random.Generator) -> F32:
    """float32[1024, 1024, 3] display values: brick or stucco for a facade of 13 m by 13 m."""
    if rng.random() < 0.4:
        tone = _pick(rng, ((0.58, 0.33, 0.25), (0.66, 0.46, 0.34), (0.48, 0.30, 0.26), (0.70, 0.62, 0.50)))
        texture = textures.bricks(rng, tone, (0.66, 0.62, 0.57), 128, 48, 0.8)
        return np.asarray(np.power(texture.levels[0], 1 / 2.2), np.float32)
    tone = _pick(rng, STUCCO)
    stain = noise(1024, 1.6, int(rng.integers(4)))
    streak = noise(1024, 1.2, 4, 0.12)
    value = 1 + 0.025 * stain + 0.02 * streak + 0.02 * noise(1024, 0.4, 1)
    return np.asarray(np.float32(tone) * value[..., None], np.float32)


def _facades(rng: np.random.Generator, count: int, lit: float) -> list[tuple[Texture, Colour]]:
    """Facade pictures and a colour that goes with each."""
    result = []
    for _ in range(count):
        trim = _pick(rng, ((0.84, 0.80, 0.72), (0.90, 0.88, 0.84), (0.60, 0.55, 0.50)))
        if rng.random() < 0.18:
            result.append((bitmaps.glass_facade(rng, _pick(rng, ((0.42, 0.52, 0.60), (0.40, 0.50, 0.50), (0.5, 0.5, 0.5)))), trim))
        else:
            result.append((bitmaps.facade(rng, _wall_picture(rng), trim, lit), trim))
    return result


def _house(
    rng: np.random.Generator, world: World, frame: Frame, width: float, height: float, style: tuple[Texture, Colour], shop: Texture | None
) -> None:
    """A building 9 m deep whose front (-z in its frame) stands on the frame's origin."""
    texture, trim = style
    front = Material(texture, (12.8, 12.8))
    tiles_ = props.plain(shade(trim, 0.55), 0.08)
    base = 3.8
    parts = [frame.box((0, base + height / 2, 4.5), (width, height, 9.0), front, {"top": tiles_}, worn=0)]
    stone = props.plain(shade(trim, 0.85), 0.05)
    if shop is not None:
        count = max(1, round(width / 6.0))
        glass = Material(shop, (width / count, base))
        parts.append(frame.box((0, base / 2, 4.6), (width, base, 9.0), stone, {"front": glass}, worn=0))
        if rng.random() < 0.55:
            cloth = _pick(rng, ((0.60, 0.15, 0.13), (0.16, 0.34, 0.26), (0.18, 0.25, 0.45), (0.78, 0.62, 0.30)))
            stripes = Material(textures.fabric(rng, cloth, (0.90, 0.88, 0.82) if rng.random() < 0.6 else None), (2.4, 2.4))
            wide = width * rng.uniform(0.5, 0.9) / 2
            points = [[s * wide, y, z] for s in (-1, 1) for y, z in ((3.0, 0.1), (2.45, -1.1), (2.25, -1.1), (2.9, 0.1))]
            parts.append(frame.hull(np.array(points), stripes))
    else:
        blocks = Material(textures.bricks(rng, shade(trim, 0.8), shade(trim, 0.6), 6, 3, 0.4, 256), (3.8, 3.8))
        parts.append(frame.box((0, base / 2, 4.55), (width, base, 9.0), blocks, worn=0))
        leaf = bitmaps.door(rng, _pick(rng, ((0.25, 0.32, 0.28), (0.40, 0.22, 0.16), (0.16, 0.20, 0.32))), True)
        where = float(rng.uniform(-0.3, 0.3)) * width
        parts.append(frame.box((where, 1.2, 0.03), (1.25, 2.4, 0.06), stone, {"front": Material(leaf, (1.25, 2.4))}, casts=False, worn=0))
        parts.append(frame.box((where, 0.07, -0.25), (1.7, 0.14, 0.6), stone))
        pane = Material(bitmaps.casement(rng), (1.1, 1.5))
        for x in np.arange(-width / 2 + 1.2, width / 2 - 1.0, 2.6):
            if abs(x - where) > 1.4:
                parts.append(frame.box((x, 2.0, 0.035), (1.1, 1.5, 0.05), stone, {"front": pane}, casts=False, worn=0))
                parts.append(frame.box((x, 1.2, 0.0), (1.3, 0.08, 0.22), stone))
    parts.append(frame.box((0, base, 4.4), (width, 0.28, 9.1), stone))
    parts.append(frame.box((0, base + height, 4.35), (width + 0.1, 0.4, 9.4), stone))
    if rng.random() < 0.4:
        y = base + height + 0.2
        roof = np.array([[s * width / 2, h, z] for s in (-1, 1) for h, z in ((y, -0.2), (y, 9.1), (y + 2.8, 4.5))])
        slate = Material(textures.bricks(rng, _pick(rng, ((0.32, 0.33, 0.36), (0.55, 0.30, 0.22))), (0.2, 0.2, 0.2), 14, 7, 1.0, 256), (3.0, 3.0))
        parts.append(frame.hull(roof, slate))
    world.group(parts)


def _trees(rng: np.random.Generator, day: _Day, count: int) -> list[Texture]:
    palette = bitmaps.AUTUMN if rng.random() < 0.2 else bitmaps.GREENS
    return [bitmaps.tree(rng, _pick(rng, palette), day.side) for _ in range(count)]


def _plant_tree(rng: np.random.Generator, world: World, texture: Texture, x: float, z: float, height: float) -> None:
    world.plant(Sprite((x, 0.0, z), (height * 5 / 6, height), texture, False), 0.25)


def street(rng: np.random.Generator) -> World:
    """A road between two rows of houses, with parked cars, trees, lamps and a zebra crossing."""
    day = _day(rng, 330.0)
    half, walk = float(rng.uniform(3.2, 4.4)), float(rng.uniform(2.8, 4.2))
    on_walk = rng.random() < 0.45
    side = float(rng.choice([-1.0, 1.0]))
    eye = side * (half + walk * 0.5) if on_walk else side * float(rng.uniform(0, half * 0.5))
    yaw = -side * float(rng.uniform(0.0, 0.22)) if on_walk else float(rng.uniform(-0.16, 0.16))
    road = Material(textures.asphalt(rng, shade((0.33, 0.33, 0.34), float(rng.uniform(0.8, 1.15)))), (2.6, 2.6), 0.10 if day.light.sun is not None and day.light.sun.colour[0] < 1 and rng.random() < 0.6 else 0.0)
    paving = textures.tiles(rng, _pick(rng, ((0.62, 0.60, 0.57), (0.58, 0.53, 0.48))), None, 4, 0.008, 2.2) if rng.random() < 0.6 else textures.bricks(rng, (0.58, 0.44, 0.37), (0.42, 0.39, 0.36), 12, 6)
    stones = Material(paving, (2.0, 2.0), road.gloss * 0.6)
    paint = Material(textures.mottled(rng, (0.86, 0.86, 0.83), 0.06, 0.08, 0.4), (1.5, 1.5), road.gloss)
    kerb = Material(textures.bricks(rng, (0.66, 0.65, 0.62), (0.4, 0.4, 0.4), 2, 2, 0.3, 256), (2.0, 2.0))
    gutter = Material(textures.mottled(rng, (0.20, 0.20, 0.20), 0.1, 0.1), (1.0, 1.0))
    zebra = float(rng.uniform(5.0, 9.0))
    crossing = rng.random() < 0.55
    worn = noise(256, 1.0, 3)

    def dashes(x: F32, z: F32) -> F32:
        return np.float32(0.85) * ((np.abs(x) < 0.07) & (z % 5 < 2.6))

    def stripes(x: F32, z: F32) -> F32:
        flake = worn[(z * 40).astype(int) % 256, (x * 40).astype(int) % 256] > -1.3
        return np.float32(0.9) * ((np.abs(x) < half - 0.4) & (np.abs(z - zebra) < 1.5) & ((x + half) % 1.0 < 0.5) & flake)

    decals = [
        Decal(dashes, paint),
        *([Decal(stripes, paint)] if crossing else []),
        Decal(_band(-half, -half + 0.25, 0.75), gutter), Decal(_band(half - 0.25, half, 0.75), gutter),
        Decal(_band(half, 60), stones), Decal(_band(-60, -half), stones),
        Decal(_band(half, half + 0.22), kerb), Decal(_band(-half - 0.22, -half), kerb),
    ]  # fmt: skip
    edge = half + walk
    world = _world(rng, "street", day, _view(rng, eye, yaw), road, decals, lambda x, z: np.abs(x) < edge - 0.25)
    styles = _facades(rng, 4, 0.25 if day.light.sun is not None and day.light.sun.direction[1] < 0.45 else 0.06)
    shops = [bitmaps.shop(rng, _pick(rng, ((0.20, 0.24, 0.22), (0.45, 0.16, 0.14), (0.16, 0.20, 0.30), (0.78, 0.74, 0.66))),
                          _pick(rng, ((0.14, 0.18, 0.16), (0.60, 0.15, 0.12), (0.85, 0.80, 0.70), (0.15, 0.25, 0.45))), 0.5) for _ in range(3)]  # fmt: skip
    for row in (-1, 1):
        z = -6.0
        while z < 95:
            width = float(rng.uniform(8, 15))
            frame = Frame(row * edge, z + width / 2, row * np.pi / 2)
            shop = shops[int(rng.integers(3))] if rng.random() < 0.6 else None
            _house(rng, world, frame, width, 3.2 * int(rng.integers(2, 5)), styles[int(rng.integers(4))], shop)
            z += width + (0.0 if rng.random() < 0.85 else 3.0)
    _house(rng, world, Frame(float(rng.uniform(-5, 5)), 100.0, 0.0), 40.0, 16.0, styles[0], None)
    cars = [props.car(rng, _pick(rng, CARS)) for _ in range(5)]
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
    trees = _trees(rng, day, 2)
    leafy = rng.random() < 0.65
    for row in (-1, 1):
        for step, z in enumerate(np.arange(6.0 + rng.uniform(0, 4), 60, 9.0)):
            x = row * (half + 0.6)
            if leafy and step % 2 == 0:
                _plant_tree(rng, world, trees[int(rng.integers(2))], x, float(z), float(rng.uniform(5.5, 7.5)))
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
    day = _day(rng, 300.0)
    kind = int(rng.integers(3))
    if kind == 0:
        base = Material(textures.cobbles(rng, _pick(rng, ((0.58, 0.56, 0.54), (0.60, 0.54, 0.48)))), (1.9, 1.9), 0.0)
    elif kind == 1:
        base = Material(textures.tiles(rng, _pick(rng, ((0.70, 0.67, 0.62), (0.66, 0.60, 0.53))), None, 4, 0.006, 2.0), (2.8, 2.8), 0.04)
    else:
        base = Material(textures.bricks(rng, (0.62, 0.47, 0.38), (0.45, 0.42, 0.38), 16, 8, 0.9), (1.7, 1.7))
    stone = Material(textures.tiles(rng, (0.76, 0.74, 0.70), None, 4, 0.008, 1.5), (2.4, 2.4), base.gloss)
    step = float(rng.uniform(5, 8))

    def lines(x: F32, z: F32) -> F32:
        return (((x + 0.3) % step < 0.6) | ((z + 0.3) % step < 0.6)).astype(np.float32)

    yaw = float(rng.uniform(-0.35, 0.35))
    depth, wide = float(rng.uniform(24, 38)), float(rng.uniform(14, 20))
    world = _world(rng, "plaza", day, _view(rng, float(rng.uniform(-2, 2)), yaw, 1.4, 2.3), base, [Decal(lines, stone)],
                   lambda x, z: (np.abs(x) < wide - 0.4) & (z < depth - 0.4))  # fmt: skip
    styles = _facades(rng, 4, 0.1)
    shops = [bitmaps.shop(rng, _pick(rng, ((0.25, 0.24, 0.22), (0.45, 0.16, 0.14), (0.78, 0.74, 0.66))), _pick(rng, ((0.14, 0.18, 0.16), (0.85, 0.80, 0.70))), 0.5) for _ in range(2)]
    x = -wide - 10.0
    while x < wide + 10:
        width = float(rng.uniform(9, 16))
        _house(rng, world, Frame(x + width / 2, depth, 0.0), width, 3.2 * int(rng.integers(2, 5)), styles[int(rng.integers(4))], shops[int(rng.integers(2))])
        x += width
    for row in (-1, 1):
        z = -4.0
        while z < depth - 4:
            width = float(rng.uniform(9, 15))
            if z > 2 or rng.random() < 0.7:
                _house(rng, world, Frame(row * wide, z + width / 2, row * np.pi / 2), width, 3.2 * int(rng.integers(2, 4)), styles[int(rng.integers(4))], shops[int(rng.integers(2))])
            z += width + (6.0 if rng.random() < 0.25 else 0.0)
    trees = _trees(rng, day, 2)
    metal, slats = props.plain((0.13, 0.14, 0.15)), props.wood(rng, (0.50, 0.36, 0.24))
    planter = Material(textures.mottled(rng, (0.60, 0.58, 0.55), 0.08, 0.04), (1.5, 1.5))
    for row in (-1, 1):
        for z in np.arange(6.5 + rng.uniform(0, 3), depth - 3, float(rng.uniform(5.5, 7.5))):
            x = row * float(rng.uniform(5.0, 6.5))
            world.group([box((x, 0.25, float(z)), (1.7, 0.5, 1.7), planter), box((x, 0.5, float(z)), (1.45, 0.04, 1.45), props.plain((0.25, 0.2, 0.14), 0.2))])
            _plant_tree(rng, world, trees[int(rng.integers(2))], x, float(z), float(rng.uniform(4.8, 6.8)))
            world.group(props.bench(Frame(x - row * 1.35, float(z), -row * np.pi / 2 + np.pi), slats, metal, True))
            if rng.random() < 0.6:
                world.group(props.street_lamp(x - row * 0.6, float(z + 2.8), metal, 3.4, 0.0))
            if rng.random() < 0.4:
                world.group(props.bin_(x - row * 1.3, float(z + 1.7), props.plain((0.22, 0.24, 0.24))))
    cloth = _pick(rng, ((0.85, 0.80, 0.70), (0.60, 0.18, 0.15), (0.20, 0.36, 0.30), (0.85, 0.65, 0.25)))
    canvas = Material(textures.fabric(rng, cloth), (1.0, 1.0))
    seat = props.wood(rng, (0.55, 0.40, 0.26))
    row = float(rng.choice([-1.0, 1.0]))
    for z in np.arange(8, depth - 4, 3.4):
        for off in (2.2, 5.0):
            if rng.random() < 0.75:
                x = row * (wide - off)
                world.group(props.parasol(x, float(z), canvas, metal, 2.5, 1.45))
                world.group(props.table(Frame(x + 0.5, float(z), 0.3), (0.7, 0.74, 0.7), seat, metal))
                world.group(props.chair(Frame(x + 0.5, float(z - 0.7), np.pi), seat, metal))
                world.group(props.chair(Frame(x - 0.3, float(z), -np.pi / 2 + np.pi), seat, metal))
    return world


def park(rng: np.random.Generator) -> World:
    """Lawn, a winding path, trees, shrubs, benches, a tree line and a distant town."""
    day = _day(rng, 230.0)
    lawn = Material(textures.grass(rng, _pick(rng, ((0.38, 0.50, 0.20), (0.33, 0.46, 0.20))), (0.62, 0.58, 0.32)), (1.8, 1.8))
    gravel = Material(textures.mottled(rng, _pick(rng, ((0.70, 0.63, 0.52), (0.55, 0.54, 0.52), (0.66, 0.56, 0.46))), 0.05, 0.09, 0.3), (1.6, 1.6))
    bare = Material(textures.mottled(rng, (0.42, 0.38, 0.22), 0.1, 0.10, 0.4), (1.5, 1.5))
    bend, phase, broad = float(rng.uniform(0.5, 3.0)), float(rng.uniform(0, 6)), float(rng.uniform(1.1, 1.9))
    start = float(rng.uniform(-0.8, 0.8))
    ragged = noise(512, 1.2, 2)
    patches = noise(512, 1.7, 5)

    def path_x(z: NDArrayLike) -> F32:
        return np.asarray(start + bend * (np.sin(z / 9.0 + phase) - np.sin(phase)), np.float32)

    def path(x: F32, z: F32) -> F32:
        rough = ragged[(z * 24).astype(int) % 512, (x * 24).astype(int) % 512] * 0.06
        return np.clip((broad + rough - np.abs(x - path_x(z))) / 0.10, 0, 1).astype(np.float32)

    def worn(x: F32, z: F32) -> F32:
        spot = patches[(z * 12).astype(int) % 512, (x * 12).astype(int) % 512]
        near = np.exp(-np.square((np.abs(x - path_x(z)) - broad) / 0.45))
        return np.clip(0.28 * (spot - 0.7) + 0.45 * near * (0.5 + 0.5 * spot), 0, 0.7).astype(np.float32)

    yaw = float(rng.uniform(-0.3, 0.3))
    world = _world(rng, "park", day, _view(rng, float(rng.uniform(-1.5, 1.5)), yaw, 1.4, 2.2), lawn, [Decal(worn, bare), Decal(path, gravel)],
                   lambda x, z: np.abs(x) < 30)  # fmt: skip
    trees = _trees(rng, day, 3)
    shrubs = [bitmaps.bush(rng, _pick(rng, bitmaps.GREENS)) for _ in range(2)]
    flower = _pick(rng, ((0.80, 0.30, 0.35), (0.85, 0.75, 0.30), (0.70, 0.50, 0.75)))
    shrubs.append(bitmaps.bush(rng, flower, 7.0))
    for z in (42.0, 50.0, 60.0):
        for x in np.arange(-55, 55, 3.2):
            tall = float(rng.uniform(6.5, 11))
            _plant_tree(rng, world, trees[int(rng.integers(3))], float(x + rng.normal(0, 1)), float(z + rng.normal(0, 2)), tall)
    for x in np.arange(-40, 40, 2.2):
        wide = float(rng.uniform(2.2, 3.6))
        world.plant(Sprite((float(x), 0, float(38 + rng.normal(0, 1.5))), (wide, wide * 0.62), shrubs[int(rng.integers(2))]), 1.0)
    for _ in range(int(rng.integers(9, 16))):
        x, z = float(rng.uniform(-20, 20)), float(rng.uniform(7, 36))
        if abs(x - float(path_x(np.float32(z)))) > broad + 1.3:
            _plant_tree(rng, world, trees[int(rng.integers(3))], x, z, float(rng.uniform(5.0, 9.0)))
    for _ in range(int(rng.integers(6, 14))):
        x, z = float(rng.uniform(-12, 12)), float(rng.uniform(5, 26))
        if abs(x - float(path_x(np.float32(z)))) > broad + 0.8:
            wide = float(rng.uniform(0.9, 2.2))
            world.plant(Sprite((x, 0, z), (wide, wide * 0.68), shrubs[int(rng.integers(3))]), wide * 0.45)
    metal, slats = props.plain((0.13, 0.16, 0.14)), props.wood(rng, (0.48, 0.33, 0.21))
    for z in np.arange(5.5 + rng.uniform(0, 3), 34, 6.5):
        row = float(rng.choice([-1.0, 1.0]))
        x = float(path_x(np.float32(z))) + row * (broad + 0.7)
        world.group(props.bench(Frame(x, float(z), row * np.pi / 2), slats, metal, True))
        if rng.random() < 0.6:
            world.group(props.bin_(x, float(z + 1.4), props.plain((0.22, 0.30, 0.24))))
        world.group(props.street_lamp(float(path_x(np.float32(z + 3))) - row * (broad + 0.6), float(z + 3), metal, 3.3, 0.0))
    if rng.random() < 0.5:
        rail = props.wood(rng, (0.45, 0.38, 0.30))
        for x in np.arange(-24, 24, 2.0):
            for y in (0.45, 0.85):
                world.add(box((float(x), y, 30.0), (2.0, 0.09, 0.05), rail))
            world.add(box((float(x), 0.55, 30.0), (0.12, 1.1, 0.12), rail))
    return world


NDArrayLike = F32 | np.float32


def beach(rng: np.random.Generator) -> World:
    """Sand, surf and sea, parasols, huts, palms, a headland."""
    day = _day(rng, 900.0)
    sand = Material(textures.sand(rng, _pick(rng, ((0.80, 0.70, 0.54), (0.84, 0.77, 0.64), (0.74, 0.64, 0.50)))), (2.4, 2.4))
    wet = Material(textures.mottled(rng, (0.52, 0.43, 0.33), 0.05, 0.03, 0.6), (2.0, 2.0), 0.30)
    foam = Material(textures.mottled(rng, (0.94, 0.95, 0.95), 0.03, 0.05, 0.8), (1.3, 1.3))
    deep_tone = _pick(rng, ((0.10, 0.34, 0.42), (0.12, 0.30, 0.40), (0.16, 0.38, 0.40)))
    waves = noise(1024, 1.15, 6, 2.6)
    relief = textures.emboss(waves, 1.3)
    sea = Material(textures.make_texture(np.float32(deep_tone) * (relief * (1 + 0.10 * noise(1024, 1.6, 2)))[..., None]), (9.0, 9.0), 0.16)
    shallow = Material(textures.make_texture(np.float32((0.36, 0.52, 0.50)) * relief[..., None]), (5.0, 5.0), 0.14)
    slope, shore = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.2, 0.75)), float(rng.uniform(14, 23))
    edge = noise(512, 1.5, 3)
    lace = noise(512, 1.0, 4)
    dunes = noise(512, 1.7, 7)

    def reach(x: F32, z: F32) -> F32:
        """Metres out to sea (negative on the sand)."""
        wobble = 0.8 * edge[(z * 4).astype(int) % 512, (x * 4).astype(int) % 512]
        return ((z - shore - slope * x) / np.float32(np.hypot(1, slope)) + 0.8 * np.sin(x * 0.21) + 0.5 * wobble).astype(np.float32)

    def frothy(x: F32, z: F32) -> F32:
        out = reach(x, z)
        thread = np.abs(lace[(z * 30).astype(int) % 512, (x * 30).astype(int) % 512])
        rim = np.exp(-np.square((out - 0.1) / 0.28))
        breakers = sum(np.exp(-np.square((out - line + 0.8 * np.sin(x * 0.13 + line)) / wide)) for line, wide in ((3.2, 0.55), (7.0, 0.5), (13.0, 0.6)))
        film = np.exp(-np.square((out - 1.4) / 1.2)) * (thread < 0.28)
        return np.clip(rim * (thread < 1.1) + breakers * (thread < 0.9) * 0.9 + 0.55 * film, 0, 1).astype(np.float32)

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
    view = _view(rng, float(rng.uniform(-1, 1)), float(rng.uniform(-0.35, 0.35)), 1.5, 2.4)
    decals = [Decal(hollow, trodden), Decal(damp, wet), Decal(shallows, shallow), Decal(open_sea, sea), Decal(frothy, foam)]
    world = _world(rng, "beach", day, view, sand, decals, lambda x, z: reach(np.float32(x), np.float32(z)) < -0.2)
    pole = props.plain((0.88, 0.86, 0.82))

    def dry(x: float, z: float, margin: float) -> bool:
        return bool(reach(np.float32([x]), np.float32([z]))[0] < -margin)

    for _ in range(int(rng.integers(12, 26))):
        x, z = float(rng.uniform(-13, 13)), float(rng.uniform(6, 24))
        if not dry(x, z, 3.2):
            continue
        first = _pick(rng, ((0.85, 0.25, 0.20), (0.20, 0.45, 0.70), (0.95, 0.75, 0.25), (0.25, 0.60, 0.50), (0.92, 0.90, 0.85)))
        second: Colour | None = (0.95, 0.94, 0.90) if rng.random() < 0.6 else None
        world.group(props.parasol(x, z, Material(textures.fabric(rng, first, second), (1.2, 1.2)), pole, 2.2, 1.25))
        towel = Material(textures.fabric(rng, _pick(rng, ((0.30, 0.55, 0.70), (0.80, 0.40, 0.40), (0.90, 0.85, 0.60))), (0.93, 0.93, 0.9)), (0.9, 0.9))
        frame = Frame(x + float(rng.uniform(-0.9, 0.9)), z - 0.6, float(rng.uniform(-0.5, 0.5)))
        if rng.random() < 0.5:
            world.group([frame.box((0, 0.015, 0), (0.8, 0.03, 1.7), towel)])
        else:
            seat = [[s * 0.3, y, d] for s in (-1, 1) for y, d in ((0.30, -0.7), (0.34, -0.7), (0.30, 0.35), (0.34, 0.35))]
            back = [[s * 0.3, y, d] for s in (-1, 1) for y, d in ((0.32, 0.33), (0.32, 0.38), (0.85, 0.75), (0.86, 0.70))]
            legs = [frame.box((px, 0.15, pz), (0.04, 0.3, 0.04), pole) for px in (-0.27, 0.27) for pz in (-0.6, 0.3)]
            world.group([frame.hull(np.array(seat), towel), frame.hull(np.array(back), towel), *legs])
    landward = -np.sign(slope)
    if rng.random() < 0.6:
        for step in range(7):
            z = 13 + 3.0 * step
            x = float(landward * -1 * (8.5 + 0.2 * step)) if slope < 0 else float(landward * -1 * (8.5 + 0.2 * step))
            if not dry(x, z, 4.0):
                continue
            paint = Material(textures.planks(rng, _pick(rng, ((0.85, 0.40, 0.35), (0.35, 0.60, 0.72), (0.92, 0.85, 0.55), (0.55, 0.75, 0.60), (0.9, 0.9, 0.88))), 12, 0.3), (2.0, 2.0))
            frame = Frame(x, z, -np.sign(x) * -np.pi / 2)
            leaf = Material(bitmaps.door(rng, (0.90, 0.90, 0.87), False), (0.85, 1.9))
            roof = np.array([[s * 1.15, h, d] for d in (-1.2, 1.2) for s, h in ((-1, 2.15), (1, 2.15), (0, 2.95), (0, 2.85))])
            world.group([frame.box((0, 1.1, 0), (2.0, 2.2, 2.1), paint), frame.box((0, 0.97, -1.05), (0.85, 1.9, 0.04), pole, {"front": leaf}), frame.hull(roof, props.plain((0.85, 0.84, 0.80)))])
    palms = [bitmaps.palm(rng) for _ in range(2)]
    for _ in range(int(rng.integers(2, 8))):
        x, z = float(rng.uniform(-16, 16)), float(rng.uniform(9, 30))
        if dry(x, z, 5.0):
            world.plant(Sprite((x, 0, z), (6.2, 7.4), palms[int(rng.integers(2))], bool(rng.random() < 0.5)), 0.25)
    for _ in range(int(rng.integers(1, 4))):
        far, wide = float(rng.uniform(380, 620)), float(rng.uniform(280, 520))
        texture = bitmaps.ridge(rng, _pick(rng, ((0.30, 0.36, 0.24), (0.36, 0.36, 0.28))))
        world.sprites.append(Sprite((float(rng.uniform(-300, 300)), 0.0, far), (wide, wide / 8), texture))
    return world
