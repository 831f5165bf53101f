"""A room: walls, windows, doors, lamps, and the palettes that indoor scenes draw from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from synth.embedded.scenery import bitmaps, foliage, props, textures
from synth.embedded.scenery.lighting import Lamp, Light, Portal, Sun
from synth.embedded.scenery.raycast import Decal, Material, Sprite, box, ground
from synth.embedded.scenery.textures import Colour, pick, shade
from synth.embedded.scenery.world import HORIZONS, Frame, Viewpoint, World
from synth.exact_math import cos, dot, norm, sin

WALLS: tuple[Colour, ...] = (
    (0.86, 0.83, 0.77),
    (0.80, 0.82, 0.80),
    (0.72, 0.78, 0.74),
    (0.62, 0.70, 0.74),
    (0.84, 0.74, 0.62),
    (0.55, 0.62, 0.55),
    (0.88, 0.87, 0.85),
    (0.75, 0.58, 0.48),
    (0.42, 0.50, 0.58),
)
WOODS: tuple[Colour, ...] = (
    (0.62, 0.45, 0.29),
    (0.72, 0.57, 0.39),
    (0.45, 0.30, 0.19),
    (0.55, 0.42, 0.31),
    (0.68, 0.60, 0.50),
)
CLOTHS: tuple[Colour, ...] = (
    (0.35, 0.42, 0.48),
    (0.62, 0.57, 0.50),
    (0.52, 0.24, 0.18),
    (0.25, 0.36, 0.30),
    (0.70, 0.55, 0.25),
    (0.20, 0.25, 0.38),
    (0.74, 0.71, 0.66),
    (0.40, 0.38, 0.37),
)
DAY: Colour = (0.93, 0.97, 1.0)


def floor(rng: np.random.Generator, kinds: tuple[str, ...]) -> Material:
    kind = str(rng.choice(kinds))
    if kind == "planks":
        return Material(
            textures.planks(rng, pick(rng, WOODS), 12), (1.9, 1.9), float(rng.uniform(0.03, 0.10))
        )
    if kind == "tiles":
        tone = pick(rng, ((0.78, 0.75, 0.70), (0.62, 0.60, 0.57), (0.72, 0.64, 0.55), (0.80, 0.80, 0.79)))
        return Material(textures.tiles(rng, tone, None, 4), (2.0, 2.0), float(rng.uniform(0.05, 0.14)))
    if kind == "check":
        light, dark = (
            (0.82, 0.80, 0.75),
            pick(rng, ((0.25, 0.25, 0.26), (0.45, 0.30, 0.25), (0.32, 0.38, 0.36))),
        )
        return Material(textures.tiles(rng, light, dark, 4), (1.8, 1.8), 0.11)
    if kind == "terrazzo":
        return Material(
            textures.terrazzo(rng, pick(rng, ((0.72, 0.70, 0.66), (0.60, 0.61, 0.60)))), (1.6, 1.6), 0.12
        )
    if kind == "concrete":
        return Material(
            textures.mottled(rng, pick(rng, ((0.56, 0.55, 0.53), (0.48, 0.48, 0.48))), 0.05, 0.045),
            (3.0, 3.0),
            0.10,
        )
    tone = pick(rng, ((0.36, 0.39, 0.43), (0.45, 0.42, 0.38), (0.30, 0.34, 0.36), (0.48, 0.46, 0.45)))
    return Material(
        textures.tiles(rng, tone, shade(tone, 0.93), 4, 0.003, 0.9, shade(tone, 0.8)), (2.0, 2.0), 0.0
    )


def wall_cover(rng: np.random.Generator, colour: Colour) -> Material:
    style = rng.random()
    if style < 0.18:
        return Material(textures.bricks(rng, (0.62, 0.36, 0.27), (0.70, 0.67, 0.62), 14, 4), (1.0, 1.05))
    if style < 0.30:
        return Material(
            textures.bricks(rng, (0.86, 0.85, 0.82), (0.78, 0.77, 0.74), 14, 4, 0.35), (1.0, 1.05)
        )
    return Material(textures.mottled(rng, colour, 0.018, 0.022, 0.55), (2.2, 2.2))


class Room:
    """Four walls, a ceiling and skirting around x0..x1, z0..z1; windows, doors and lamps are added to it."""

    def __init__(
        self,
        rng: np.random.Generator,
        kind: str,
        size: tuple[float, float, float, float],
        height: float,
        floor: Material,
        wall: Material,
        ceiling: Material,
        view: Viewpoint,
        decals: tuple[Decal, ...] = (),
    ) -> None:
        self.rng, self.size, self.height = rng, size, height
        x0, x1, z0, z1 = size
        self.lamps: list[Lamp] = []
        self.portals: list[Portal] = []
        self.world = World(
            kind,
            view,
            Light(None, (), (0, 0, 0), (0, 0, 0), (0.8, 0.8, 0.8), 1e4),
            None,
            lambda x, z: (x > x0 + 0.1) & (x < x1 - 0.1) & (z < z1 - 0.1) & (z > z0),
            [ground(floor, decals)],
        )
        wide, deep = x1 - x0, z1 - z0
        middle_x, middle_z = (x0 + x1) / 2, (z0 + z1) / 2
        slabs = [
            box((x0 - 0.1, height / 2, middle_z), (0.2, height, deep + 0.4), wall, casts=False, worn=0),
            box((x1 + 0.1, height / 2, middle_z), (0.2, height, deep + 0.4), wall, casts=False, worn=0),
            box((middle_x, height / 2, z1 + 0.1), (wide + 0.4, height, 0.2), wall, casts=False, worn=0),
            box((middle_x, height / 2, z0 - 0.1), (wide + 0.4, height, 0.2), wall, casts=False, worn=0),
            box(
                (middle_x, height + 0.1, middle_z),
                (wide + 0.4, 0.2, deep + 0.4),
                ceiling,
                casts=False,
                worn=0,
            ),
        ]
        self.world.solids.extend(slabs)

    def skirting(self, colour: Colour, tall: float = 0.10) -> None:
        """Boards along the foot of the walls."""
        x0, x1, z0, z1 = self.size
        board = props.plain(colour)
        for centre, size in (
            ((x0 + 0.01, tall / 2, (z0 + z1) / 2), (0.02, tall, z1 - z0)),
            ((x1 - 0.01, tall / 2, (z0 + z1) / 2), (0.02, tall, z1 - z0)),
            (((x0 + x1) / 2, tall / 2, z1 - 0.01), (x1 - x0, tall, 0.02)),
        ):
            self.world.solids.append(box(centre, size, board, casts=False, worn=0.008))

    def frame(self, wall: str, along: float, off: float = 0.0) -> Frame:
        """A frame at the wall ("left", "right", "back"), `along` metres along it, whose -z looks into the
        room."""
        x0, x1, _, z1 = self.size
        if wall == "left":
            return Frame(x0 + off, along, -np.pi / 2)
        if wall == "right":
            return Frame(x1 - off, along, np.pi / 2)
        return Frame(along, z1 - off, 0.0)

    def window(
        self,
        wall: str,
        along: float,
        width: float,
        low: float,
        high: float,
        curtain: Material | None,
        strength: float,
        lit: bool = True,
    ) -> None:
        """A window that glows and lets the sun in; lit: with its own sky light."""
        rng, frame = self.rng, self.frame(wall, along)
        tall, middle = high - low, (low + high) / 2
        outside = Material(bitmaps.view(rng, DAY), (width, tall), 0.0, 1.5 * strength)
        white = props.plain((0.90, 0.89, 0.87))
        parts = [
            frame.box((0, middle, 0.0), (width, tall, 0.012), white, {"front": outside}, casts=False, worn=0)
        ]
        bars = int(rng.integers(1, 4)) if width > 0.9 else 0
        for bar in np.linspace(-width / 2, width / 2, bars + 2):
            parts.append(frame.box((bar, middle, -0.03), (0.055, tall + 0.06, 0.06), white, casts=False))
        for y in (low, low + 0.68 * tall, high):
            parts.append(frame.box((0, y, -0.03), (width, 0.055, 0.055), white, casts=False))
        parts.append(frame.box((0, low - 0.04, -0.09), (width + 0.24, 0.035, 0.2), white))
        if curtain is not None:
            for side in (-1, 1):
                for fold in range(5):
                    x = side * (width / 2 + 0.14 - fold * 0.085)
                    depth = 0.09 + 0.045 * (fold % 2)
                    parts.append(
                        frame.box(
                            (x, (high + 0.12) / 2, -depth),
                            (0.10, high + 0.05, 0.06),
                            curtain,
                            casts=False,
                            worn=0.03,
                        )
                    )
            parts.append(
                frame.box((0, high + 0.16, -0.12), (width + 0.7, 0.03, 0.03), props.plain((0.2, 0.18, 0.16)))
            )
        self.world.solids.extend(parts)
        if lit:
            self.daylight(wall, along, width, low, high, strength)
        panes = np.linspace(-width / 2, width / 2, bars + 2)
        axis, at = (
            ("z", self.size[3]) if wall == "back" else ("x", self.size[0] if wall == "left" else self.size[1])
        )
        for left, right in pairwise(panes):
            for bottom, top in ((low + 0.03, low + 0.66 * tall), (low + 0.70 * tall, high - 0.03)):
                self.portals.append(
                    Portal(axis, at, (along + left + 0.03, bottom), (along + right - 0.03, top))
                )

    def daylight(
        self, wall: str, along: float, width: float, low: float, high: float, strength: float
    ) -> None:
        """Sky light that comes in through a window or a band of windows."""
        frame, tall, middle = self.frame(wall, along), high - low, (low + high) / 2
        x, z = frame.at(0, -0.16)
        normal = np.array([-sin(frame.yaw), 0, -cos(frame.yaw)])
        across = np.array([cos(frame.yaw), 0, -sin(frame.yaw)]) * width / 2
        up = np.array([0, tall / 2, 0])
        if dot(np.cross(across, up), normal) < 0:
            across = -across
        tone = (strength * 2.3 * DAY[0], strength * 2.3 * DAY[1], strength * 2.4 * DAY[2])
        self.lamps.append(Lamp((x, middle, z), tuple(across), tuple(up), tone))

    def door(self, wall: str, along: float, colour: Colour, glazed: bool = False) -> None:
        """A closed door, 0.9 m by 2.05 m, with its lining."""
        frame, rng = self.frame(wall, along), self.rng
        leaf = Material(bitmaps.door(rng, colour, glazed), (0.9, 2.05))
        lining = props.plain(shade(colour, 1.08))
        parts = [frame.box((0, 1.025, 0.0), (0.9, 2.05, 0.03), lining, {"front": leaf}, casts=False, worn=0)]
        for x in (-0.49, 0.49):
            parts.append(frame.box((x, 1.03, 0), (0.08, 2.07, 0.07), lining, casts=False))
        parts.append(frame.box((0, 2.09, 0), (1.06, 0.08, 0.07), lining, casts=False))
        self.world.solids.extend(parts)

    def panel(self, x: float, z: float, size: tuple[float, float], strength: float, lit: bool = True) -> None:
        """A glowing ceiling panel; lit: with its own light."""
        glow = props.plain((1.0, 1.0, 1.0), 0.0, 1.6 * strength)
        rim = props.plain((0.8, 0.8, 0.8))
        y = self.height
        self.world.solids.append(
            box((x, y - 0.005, z), (size[0] + 0.06, 0.03, size[1] + 0.06), rim, casts=False)
        )
        self.world.solids.append(box((x, y - 0.015, z), (size[0], 0.03, size[1]), glow, casts=False, worn=0))
        if lit:
            self.lamp(x, y - 0.05, z, size, strength, (1.0, 0.97, 0.92))

    def lamp(
        self, x: float, y: float, z: float, size: tuple[float, float], strength: float, tone: Colour
    ) -> None:
        """An area light that shines down."""
        across, along = (size[0] / 2, 0.0, 0.0), (0.0, 0.0, size[1] / 2)
        red, green, blue = (strength * c for c in tone)
        self.lamps.append(Lamp((x, y, z), across, along, (red, green, blue)))

    def hang(
        self, wall: str, along: float, width: float, height: float, middle: float, border: Colour
    ) -> None:
        """A painting on the wall."""
        frame = self.frame(wall, along, 0.02)
        self.world.solids.extend(props.framed(self.rng, frame, width, height, middle, props.plain(border)))

    def plant(self, x: float, z: float, tall: float) -> None:
        """A house plant in its pot."""
        rng = self.rng
        radius = 0.13 + 0.05 * tall
        self.world.group(
            [
                props.pot(
                    x,
                    z,
                    radius,
                    0.3 * tall,
                    pick(rng, ((0.7, 0.4, 0.3), (0.85, 0.84, 0.8), (0.3, 0.3, 0.32))),
                )
            ]
        )
        texture = foliage.potted(rng, pick(rng, foliage.GREENS))
        self.world.plant(Sprite((x, 0.27 * tall, z), (tall * 0.85, tall * 0.85), texture), radius)

    def finish(self, ambient: float, sun: float) -> World:
        """Close the room: ambient light and, through the windows, the sun (0: overcast)."""
        rng, light = self.rng, None
        if sun > 0 and self.portals:
            inward = {"x0": 1.0, "x1": -1.0}
            portal = self.portals[0]
            height = float(rng.uniform(0.38, 0.75))
            if portal.axis == "x":
                side = inward["x0" if portal.at < 0 else "x1"]
                vector = np.array([-side, height, rng.uniform(-0.5, 0.9)])
            else:
                vector = np.array([rng.uniform(-0.6, 0.6), height, 1.0])
            vector /= norm(vector)
            light = Sun(
                (float(vector[0]), float(vector[1]), float(vector[2])),
                (sun, 0.88 * sun, 0.68 * sun),
                tuple(self.portals),
            )
        warm: Colour = (ambient, 0.97 * ambient, 0.92 * ambient)
        self.world.light = replace(
            self.world.light,
            sun=light,
            lamps=tuple(self.lamps),
            sky=warm,
            bounce=(0.85 * ambient, 0.78 * ambient, 0.68 * ambient),
        )
        return self.world


def outlook(
    rng: np.random.Generator, x: float, z: float, yaw: float, low: float = 1.25, high: float = 1.75
) -> Viewpoint:
    return Viewpoint(
        (x, float(rng.uniform(low, high)), z),
        yaw,
        float(rng.uniform(0.72, 1.0)),
        float(rng.uniform(*HORIZONS)),
    )
