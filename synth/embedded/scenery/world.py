"""The description of a scene before it is rendered: solids, sprites, light, camera and where people may
stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from synth.embedded.scenery.lighting import Light
from synth.embedded.scenery.raycast import Material, Solid, Sprite, box, hull
from synth.embedded.scenery.textures import Colour
from synth.exact_math import cos, sin

Region: TypeAlias = Callable[[NDArray, NDArray], NDArray[np.bool_]]

HORIZONS = (0.1, 0.55)
"""Between which shares of the image height the horizon lies: heads are about there, and in photos at many heights."""


@dataclass(frozen=True)
class Viewpoint:
    """Camera as the scene wants it: eye (x, height, z) in metres, yaw in radians, focal length as a
    multiple of the
    longer image side, horizon as a fraction of the image height from the top."""

    eye: tuple[float, float, float]
    yaw: float
    focal: float
    horizon: float


@dataclass(frozen=True)
class Sky:
    """Radiance at the horizon and overhead, cloud cover 0..1, cloud colour, and which cloud field."""

    low: Colour
    high: Colour
    cover: float
    cloud: Colour
    variant: int


@dataclass
class World:
    """A scene under construction. solids[0] is the ground."""

    kind: str
    view: Viewpoint
    light: Light
    sky: Sky | None
    stand: Region
    solids: list[Solid]
    sprites: list[Sprite] = field(default_factory=list)
    obstacles: list[NDArray] = field(default_factory=list)
    far: float = 45.0

    def add(self, *solids: Solid) -> None:
        """Add solids that nobody can walk through (those that start below 1.9 m)."""
        for solid in solids:
            self.solids.append(solid)
            if solid.vertices[:, 1].min() < 1.9 and solid.vertices[:, 1].max() > 0.05:
                self.obstacles.append(solid.vertices[:, [0, 2]])

    def group(self, solids: Sequence[Solid]) -> None:
        """Add the parts of one piece of furniture: nobody stands between its legs either."""
        self.solids.extend(solids)
        self.obstacles.append(np.concatenate([solid.vertices[:, [0, 2]] for solid in solids]))

    def plant(self, sprite: Sprite, trunk: float) -> None:
        """Add a cut-out whose foot is an obstacle of radius `trunk` metres."""
        self.sprites.append(sprite)
        x, _, z = sprite.foot
        square = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * trunk + [x, z]
        self.obstacles.append(square)


@dataclass(frozen=True)
class Frame:
    """The local frame of a piece of furniture: x to its right, z to its back, turned by yaw."""

    x: float
    z: float
    yaw: float = 0.0

    def at(self, x: float, z: float) -> tuple[float, float]:
        """World x, z of a local point."""
        cosine, sine = cos(self.yaw), sin(self.yaw)
        return float(self.x + x * cosine + z * sine), float(self.z - x * sine + z * cosine)

    def box(
        self,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        faces: dict[str, Material] | None = None,
        casts: bool = True,
        worn: float = 0.012,
    ) -> Solid:
        """A box in this frame; see raycast.box."""
        x, z = self.at(centre[0], centre[2])
        return box((x, centre[1], z), size, material, self.yaw, faces, casts, worn)

    def pad(
        self,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        soft: float,
        material: Material,
    ) -> Solid:
        """A box whose edges are cut off by `soft` metres: upholstery."""
        half = np.array(size) / 2
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
        points = np.concatenate([corners * (half - soft * (np.arange(3) != axis)) for axis in range(3)])
        return self.hull(points + np.array(centre), material)

    def hull(self, points: NDArray, material: Material, casts: bool = True) -> Solid:
        """The hull of local float[K, 3] points; see raycast.hull."""
        turned = np.array([[*self.at(px, pz), py] for px, py, pz in points])[:, [0, 2, 1]]
        return hull(turned, material, None, casts)
