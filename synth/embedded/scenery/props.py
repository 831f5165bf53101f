"""Furniture and street furniture as groups of convex solids. Every maker returns the parts of one object."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from synth.embedded.scenery import bitmaps, textures
from synth.embedded.scenery.raycast import Material, Solid, column
from synth.embedded.scenery.textures import Colour, f32, make_texture
from synth.embedded.scenery.world import Frame
from synth.exact_math import cos, sin


@lru_cache(maxsize=256)
def plain(colour: Colour, rough: float = 0.03, glow: float = 0.0) -> Material:
    """A painted surface with slight unevenness."""
    size = 128
    value = 1 + rough * textures.noise(size, 1.0, 1)
    return Material(make_texture(f32(colour) * value[..., None]), (0.7, 0.7), 0.0, glow)


def wood(rng: np.random.Generator, colour: Colour) -> Material:
    """Solid wood with grain along u."""
    size = 512
    grain = textures.noise(size, 1.2, int(rng.integers(3)), 12.0)
    value = 1 + 0.11 * grain + 0.05 * sin(4 * grain)
    return Material(make_texture(f32(colour) * value[..., None]), (1.6, 0.8))


def sofa(frame: Frame, cloth: Material, legs: Material, seats: int) -> list[Solid]:
    """A sofa that faces -z; about 0.72 m per seat and 0.9 m deep."""
    width = 0.72 * seats
    parts = [
        frame.box((0, 0.22, 0.02), (width + 0.36, 0.22, 0.86), cloth),
        frame.pad((0, 0.52, 0.38), (width + 0.30, 0.72, 0.20), 0.05, cloth),
    ]
    for side in (-1, 1):
        parts.append(frame.pad((side * (width / 2 + 0.1), 0.38, 0.0), (0.2, 0.50, 0.9), 0.05, cloth))
        for z in (-0.36, 0.36):
            parts.append(frame.box((side * width / 2, 0.055, z), (0.05, 0.11, 0.05), legs))
    for seat in range(seats):
        x = (seat - (seats - 1) / 2) * 0.72
        parts.append(frame.pad((x, 0.41, -0.08), (0.70, 0.18, 0.72), 0.045, cloth))
        side_view = ((0.47, 0.10), (0.47, 0.27), (0.85, 0.17), (0.92, 0.22), (0.92, 0.30))
        tilt = np.array([[sx * wide, y, z] for sx in (-1, 1) for wide in (0.30, 0.345) for y, z in side_view])
        tilt[np.abs(tilt[:, 0]) > 0.32] *= [1, 0.97, 1.03]
        parts.append(frame.hull(tilt + np.array([x, 0, 0]), cloth))
    return parts


def cushion(frame: Frame, x: float, cloth: Material) -> Solid:
    """A loose cushion leaning on a sofa's back."""
    points = np.array(
        [
            [sx * 0.2, y, z]
            for sx in (-1, 1)
            for y, z in ((0.49, -0.12), (0.50, 0.0), (0.86, 0.06), (0.87, 0.14))
        ]
    )
    return frame.hull(points + np.array([x, 0, 0]), cloth)


def table(frame: Frame, size: tuple[float, float, float], top: Material, legs: Material) -> list[Solid]:
    """A table: size is width, height, depth."""
    width, height, depth = size
    parts = [frame.box((0, height - 0.02, 0), (width, 0.04, depth), top)]
    for x in (-1, 1):
        for z in (-1, 1):
            where = (x * (width / 2 - 0.06), (height - 0.04) / 2, z * (depth / 2 - 0.06))
            parts.append(frame.box(where, (0.05, height - 0.04, 0.05), legs))
    parts.append(frame.box((0, height - 0.08, 0), (width - 0.12, 0.08, depth - 0.12), legs))
    return parts


def chair(frame: Frame, seat: Material, legs: Material) -> list[Solid]:
    """A dining chair that faces -z."""
    parts = [
        frame.box((0, 0.45, 0), (0.44, 0.05, 0.44), seat, worn=0.02),
        frame.box((0, 0.78, 0.21), (0.42, 0.26, 0.03), seat, worn=0.02),
    ]
    for x in (-0.19, 0.19):
        parts.append(frame.box((x, 0.22, -0.19), (0.035, 0.44, 0.035), legs))
        parts.append(frame.box((x, 0.45, 0.20), (0.035, 0.90, 0.035), legs))
    return parts


def office_chair(frame: Frame, cloth: Material, metal: Material) -> list[Solid]:
    """A swivel chair that faces -z."""
    x, z = frame.at(0, 0)
    parts = [
        frame.pad((0, 0.48, 0), (0.48, 0.10, 0.48), 0.035, cloth),
        frame.pad((0, 0.83, 0.23), (0.44, 0.54, 0.08), 0.035, cloth),
        frame.box((0, 0.60, 0.25), (0.06, 0.2, 0.04), metal),
        column(x, z, 0.08, 0.45, (0.03, 0.03), metal),
        frame.box((0, 0.06, 0), (0.62, 0.04, 0.06), metal),
        frame.box((0, 0.06, 0), (0.06, 0.04, 0.62), metal),
    ]
    for side in (-0.27, 0.27):
        parts.append(frame.box((side, 0.68, 0.02), (0.05, 0.03, 0.28), metal))
        parts.append(frame.box((side, 0.58, 0.06), (0.03, 0.2, 0.04), metal))
    return parts


def desk(
    rng: np.random.Generator, frame: Frame, top: Material, metal: Material, screen: Material
) -> list[Solid]:
    """A work place 1.5 m wide whose user sits on the -z side: top, legs, screens, keyboard, papers,
    drawers."""
    parts = table(frame, (1.5, 0.74, 0.75), top, metal)
    dark = plain((0.10, 0.10, 0.11))
    count = int(rng.integers(1, 3))
    for index in range(count):
        x = (index - (count - 1) / 2) * 0.60 + rng.uniform(-0.05, 0.05)
        parts.append(frame.box((x, 1.06, 0.20), (0.56, 0.34, 0.03), dark, {"front": screen}, worn=0))
        parts.append(frame.box((x, 0.82, 0.22), (0.05, 0.18, 0.03), dark))
        parts.append(frame.box((x, 0.745, 0.20), (0.24, 0.012, 0.18), dark))
    parts.append(frame.box((0, 0.75, -0.14), (0.42, 0.02, 0.14), dark))
    parts.append(
        frame.box((0.56, 0.76, -0.1), (0.21, rng.uniform(0.01, 0.09), 0.29), plain((0.92, 0.91, 0.88)))
    )
    parts.append(frame.box((0.5, 0.35, 0.05), (0.40, 0.6, 0.55), plain((0.78, 0.78, 0.77))))
    if rng.random() < 0.6:
        mug = textures.hue(rng, (0.1, 0.6), (0.3, 0.9))
        x, z = frame.at(-0.58, -0.08)
        parts.append(column(x, z, 0.74, 0.84, (0.04, 0.04), plain(mug)))
    return parts


def bookcase(frame: Frame, size: tuple[float, float, float], front: Material, wood_: Material) -> list[Solid]:
    """A bookcase that faces -z; front is one picture of filled shelves."""
    width, height, _ = size
    picture = Material(front.texture, (width, height))
    return [frame.box((0, height / 2, 0), size, wood_, {"front": picture})]


def floor_lamp(x: float, z: float, metal: Material, glow: float) -> list[Solid]:
    """A standard lamp with a cone shade."""
    return [
        column(x, z, 0, 0.03, (0.15, 0.14), metal),
        column(x, z, 0.03, 1.45, (0.015, 0.015), metal),
        column(x, z, 1.38, 1.68, (0.24, 0.16), plain((0.95, 0.86, 0.70), 0.05, glow)),
    ]


def pendant(x: float, z: float, ceiling: float, drop: float, colour: Colour) -> list[Solid]:
    """A hanging lamp."""
    low = ceiling - drop
    return [
        column(x, z, low + 0.18, ceiling, (0.008, 0.008), plain((0.1, 0.1, 0.1))),
        column(x, z, low, low + 0.2, (0.22, 0.06), plain(colour)),
        column(x, z, low - 0.02, low + 0.005, (0.12, 0.16), plain((1.0, 0.93, 0.8), 0.0, 5.0)),
    ]


def pot(x: float, z: float, radius: float, height: float, colour: Colour) -> Solid:
    """A flower pot."""
    return column(x, z, 0, height, (radius * 0.75, radius), plain(colour, 0.06))


def bench(frame: Frame, slats: Material, metal: Material, back: bool) -> list[Solid]:
    """A slatted bench that faces -z, 1.7 m wide."""
    parts = [frame.box((0, 0.44, z), (1.7, 0.035, 0.10), slats) for z in (-0.18, -0.05, 0.08)]
    if back:
        parts += [frame.box((0, y, 0.2), (1.7, 0.10, 0.03), slats) for y in (0.60, 0.74, 0.88)]
    for x in (-0.7, 0.7):
        parts.append(frame.box((x, 0.21, -0.16), (0.05, 0.42, 0.05), metal))
        parts.append(
            frame.box((x, 0.46 if back else 0.21, 0.18), (0.05, 0.92 if back else 0.42, 0.05), metal)
        )
        parts.append(frame.box((x, 0.40, 0), (0.05, 0.05, 0.4), metal))
    return parts


def street_lamp(x: float, z: float, metal: Material, height: float, arm: float) -> list[Solid]:
    """A lamp post with an arm along x (negative: to the left), or a lantern when arm is 0."""
    parts = [
        column(x, z, 0, 0.5, (0.10, 0.09), metal),
        column(x, z, 0.5, height, (0.06, 0.04), metal),
    ]
    frame = Frame(x, z)
    if arm:
        parts.append(frame.box((arm / 2, height, 0), (abs(arm), 0.05, 0.05), metal))
        parts.append(frame.box((arm, height - 0.03, 0), (0.5, 0.10, 0.22), metal))
    else:
        parts.append(column(x, z, height, height + 0.4, (0.10, 0.19), plain((0.93, 0.90, 0.80), 0.02, 0.4)))
        parts.append(column(x, z, height + 0.4, height + 0.55, (0.22, 0.03), metal))
    return parts


def bin_(x: float, z: float, metal: Material) -> list[Solid]:
    """A litter bin."""
    return [column(x, z, 0.06, 0.85, (0.2, 0.24), metal), column(x, z, 0.85, 0.92, (0.26, 0.26), metal)]


def car(rng: np.random.Generator, paint: Colour) -> list[Solid]:
    """A car at the origin along z (nose to +z), 4.2 m by 1.75 m by 1.45 m; park copies with `Solid.moved`."""
    frame = Frame(0.0, 0.0)
    body, dark = plain(paint, 0.008), plain((0.05, 0.05, 0.055))
    tall = rng.uniform(0.94, 1.12)
    estate = rng.uniform(0.0, 0.5)

    def block(
        profile: list[tuple[float, float]], low: float, high: float, tuck: float, material: Material
    ) -> Solid:
        """Extrude a side profile (z, y) across x; `tuck` narrows the part above `low` towards `high`."""
        points = []
        for z, y in profile:
            narrow = tuck * np.clip((y - low) / (high - low), 0, 1)
            points += [[0.86 - narrow, y, z], [-0.86 + narrow, y, z]]
        return frame.hull(np.array(points), material)

    waist, roof = 0.90 * tall, 1.44 * tall
    parts = [
        block(
            [
                (-2.08, 0.34),
                (-2.10, 0.62),
                (-2.02, waist),
                (0.9, waist),
                (2.0, 0.72),
                (2.12, 0.5),
                (2.08, 0.26),
                (-1.9, 0.24),
            ],
            0.5,
            waist,
            0.05,
            body,
        ),
        block(
            [
                (-1.95 + 0.1 * estate, waist - 0.02),
                (-1.35 - estate, roof - 0.05),
                (-0.2, roof),
                (0.25, roof - 0.06),
                (1.05, waist - 0.02),
            ],
            waist,
            roof,
            0.20,
            dark,
        ),
        block(
            [(-1.36 - estate, roof - 0.06), (-1.1, roof), (-0.2, roof + 0.03), (0.28, roof - 0.055)],
            waist,
            roof,
            0.175,
            body,
        ),
    ]
    glass_tone = plain((0.34, 0.40, 0.46), 0.10)
    for side in (-1, 1):
        outline = np.array(
            [
                [z, y]
                for z, y in (
                    (-1.62 - 0.6 * estate, waist + 0.03),
                    (-1.28 - estate, roof - 0.10),
                    (0.12, roof - 0.10),
                    (0.84, waist + 0.03),
                )
            ]
        )
        points = []
        for z, y in outline:
            half = 0.86 - 0.20 * (y - waist) / (roof - waist)
            points += [[side * half, y, z], [side * (half + 0.006), y, z]]
        parts.append(frame.hull(np.array(points), glass_tone, casts=False))
        pillar = np.array(
            [
                [side * 0.87, waist, -0.36],
                [side * 0.87, waist, -0.26],
                [side * 0.69, roof - 0.04, -0.36],
                [side * 0.69, roof - 0.04, -0.26],
            ]
        )
        parts.append(
            frame.hull(
                np.concatenate([pillar, pillar + np.array([side * 0.012, 0.0, 0.0])]), dark, casts=False
            )
        )
        parts.append(frame.box((side * 0.93, waist + 0.05, 0.62), (0.16, 0.11, 0.08), body))
        parts.append(frame.box((side * 0.858, 0.36, 0), (0.03, 0.12, 2.2), plain((0.09, 0.09, 0.09))))
        parts.append(
            frame.box((side * 0.862, waist - 0.12, -0.55), (0.02, 0.03, 0.16), plain((0.6, 0.6, 0.6)))
        )
    ring = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for z in (-1.28, 1.30):
        for side in (-1, 1):
            for radius, wide, tone in (
                (0.38, 0.865, (0.03, 0.03, 0.03)),
                (0.315, 0.875, (0.06, 0.06, 0.06)),
                (0.205, 0.885, (0.62, 0.63, 0.65)),
                (0.07, 0.892, (0.25, 0.25, 0.26)),
            ):
                disc = np.array(
                    [
                        [side * x, 0.315 + radius * sin(a), z + radius * cos(a)]
                        for a in ring
                        for x in (wide, 0.6)
                    ]
                )
                parts.append(frame.hull(disc, plain(tone), casts=radius == 0.315))
    for end, tone in ((-1, (0.62, 0.06, 0.05)), (1, (0.92, 0.92, 0.88))):
        for side in (-1, 1):
            parts.append(
                frame.box(
                    (side * 0.64, 0.70 if end < 0 else 0.64, end * 2.07),
                    (0.30, 0.13, 0.07),
                    plain(tone, 0.02, 0.25),
                )
            )
        parts.append(frame.box((0, 0.52, end * 2.11), (0.5, 0.11, 0.03), plain((0.85, 0.85, 0.80))))
        parts.append(frame.box((0, 0.36, end * 2.09), (1.5, 0.12, 0.06), plain((0.10, 0.10, 0.10))))
    rear = np.array(
        [
            [x, y, z]
            for x, y, z in (
                (0.68, waist + 0.04, -1.93),
                (-0.68, waist + 0.04, -1.93),
                (0.56, roof - 0.12, -1.46 - 0.9 * estate),
                (-0.56, roof - 0.12, -1.46 - 0.9 * estate),
            )
        ]
    )
    parts.append(
        frame.hull(np.concatenate([rear, rear + np.array([0, 0.03, -0.035])]), glass_tone, casts=False)
    )
    return parts


def parasol(
    x: float, z: float, cloth: Material, pole: Material, height: float = 2.3, reach: float = 1.4
) -> list[Solid]:
    """An open sun shade."""
    return [
        column(x, z, 0, height, (0.025, 0.025), pole),
        column(x, z, height - 0.45, height, (reach, 0.03), cloth),
        column(x, z, 0, 0.08, (0.25, 0.22), pole),
    ]


def framed(
    rng: np.random.Generator, frame: Frame, width: float, height: float, middle: float, border: Material
) -> list[Solid]:
    """A painting that faces -z, hung with its middle at `middle` metres."""
    picture = Material(bitmaps.painting(rng), (width, height))
    edge = 0.035
    return [
        frame.box((0, middle, 0), (width + 2 * edge, height + 2 * edge, 0.05), border, worn=0.008),
        frame.box((0, middle, -0.02), (width, height, 0.03), border, {"front": picture}, worn=0),
    ]
