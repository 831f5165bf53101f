"""What carried things are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mildbench.labels import UNLABELLED
from synth.embedded.mannequin.fabric import palette
from synth.embedded.mannequin.mesh import F32, Mesh
from synth.embedded.mannequin.noise import Noise
from synth.embedded.mannequin.raster import CARRIED, Look, Piece, Points

LEATHER = palette("2a1d17 6b3f22 a4683a 1c1c1e 7d2430 c9b79a 2f3a4a 8a7a6a d8c7b8 3f5a4c")
NYLON = palette("1f2226 2c3e57 6a2c31 3f4a3a 54585e c46d3b 1f5f5b 6a5286 c9a24a 8fa0a8")
CANVAS = palette("e7dcc6 d8cfc0 2b3a55 3a3a3c b5a283 6e7f4f b8604a 93a8ac")
SHELL = palette("23262d 2f4a6a 8a1f2e b9bdc2 c9a24a 2f6b62 d98c8c 5b4b6e e4ddcf")
PAPER = palette("b98f5e f0ede6 1d1d1f c23b4a 2d6f9f e3b7b0 3f6b5c d9c26a")
RAIN = palette("16181c 7d1f2c 1f3a63 d8a72f 2f6b5c c9ccd1 6a5286 d98c8c")
CARD = palette("a97c4f b98d5f 9a6e44 c9c4ba")
DECK = palette("c46d3b 2f6b62 8a1f2e d9b24c 2f4a6a b58a5a 6a5286 e4ddcf")
METAL, RUBBER, WOOD = palette("a9adb3 1a1a1b 6b4526")

Detail = Callable[[F32], tuple[F32, F32]]
"""From local points float32[n, 3]: the share of the second colour 0..1, and the relief in statures."""


@dataclass(frozen=True)
class Finish:
    """A finish; `detail` draws seams, prints and grooves in the second colour. Colours are linear RGB."""

    base: F32
    second: F32 = field(default_factory=lambda: RUBBER)
    gloss: float = 0.1
    sheen: float = 0.0
    grain: float = 0.12
    detail: Detail | None = None


def pick(rng: np.random.Generator, colours: list[F32]) -> F32:
    """A colour of a palette, a little lighter or darker."""
    base = colours[int(rng.integers(len(colours)))]
    return np.clip(base * np.float32(rng.uniform(0.85, 1.12)), 0.012, 0.86).astype(np.float32)


def solid(
    mesh: Mesh, material: Finish, noise: Noise, *, local: F32 | None = None, closed: bool = True
) -> Piece:
    """A thing's surface, placed in the person's frame; `local` are the vertices its material is laid out in."""

    def paint(points: Points) -> Look:
        p = points.p
        n = len(p)
        zero = np.zeros(n, np.float32)
        share, bump = (zero, zero) if material.detail is None else material.detail(p)
        albedo = material.base * (1 - share[:, None]) + material.second * share[:, None]
        shade = 1 - material.grain * (0.6 * noise(p * 40) + 0.4 * noise(p * 190))
        shade = shade * np.where(points.back, 0.55, 1.0)
        return Look(
            (albedo * shade[:, None]).astype(np.float32),
            np.full(n, UNLABELLED, np.uint8),
            bump.astype(np.float32),
            np.full(n, material.gloss, np.float32),
            zero,
            np.full(n, material.sheen, np.float32),
        )

    coords = mesh.verts if local is None else local
    arm = np.zeros(len(coords), np.float32)
    return Piece(mesh.verts, mesh.faces, coords, arm, None, None, paint, closed, CARRIED)
