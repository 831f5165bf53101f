"""A z-buffer rasteriser for many small triangles, in numpy.

Pieces are drawn one after another into one buffer. A piece may discard single fragments, which is how hems,
necklines and open jackets get a crisp edge without a mesh that follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.embedded.mannequin.mesh import F32, I32

_WINDOWS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 24, 40, 64, 128)


@dataclass(frozen=True)
class Points:
    """Surface points handed to a painter.

    p: float32[n, 3] in the piece's own rest coordinates; arm: float32[n] 0 trunk .. 1 arm;
    back: bool[n], the inside of the surface is seen.
    """

    p: F32
    arm: F32
    back: NDArray[np.bool_]


@dataclass(frozen=True)
class Look:
    """What a painter answers per point.

    albedo: float32[n, 3] linear RGB; label: uint8[n] CIHP; bump: float32[n] height in statures;
    gloss: float32[n] 0..1; skin: float32[n] 0..1, how much light bleeds under the surface;
    sheen: float32[n] 0..1, bright at grazing angles as wool and velvet are.
    """

    albedo: F32
    label: NDArray[np.uint8]
    bump: F32
    gloss: F32
    skin: F32
    sheen: F32


# Limb groups: which part of the person a pixel shows, or that it shows what the person carries.
TRUNK, HEAD = 0, 5
ARM, LEG = (1, 2), (3, 4)
CARRIED = 6

Keep = Callable[[Points], NDArray[np.bool_]]
Paint = Callable[[Points], Look]


@dataclass(frozen=True)
class Piece:
    """One surface of the figure: rest geometry, how it follows the bones, and how it looks.

    coords: float32[n, 3] painter coordinates per vertex; weights: float32[n, 19], or None where the vertices
    are posed already; keep: which points exist; paint: their look; closed: back faces are never seen; limb:
    the group of the whole piece, or None where the coordinates are the body's and tell; split: height below
    which such a piece is a leg.
    """

    verts: F32
    faces: I32
    coords: F32
    arm: F32
    weights: F32 | None
    keep: Keep | None
    paint: Paint
    closed: bool = True
    limb: int | None = None
    split: float = 0.0

    def group(self, points: Points) -> NDArray[np.uint8]:
        """Limb group of each point: trunk, head, or a left or right arm or leg."""
        if self.limb is not None:
            return np.full(len(points.p), self.limb, np.uint8)
        right = (points.p[:, 0] < 0).astype(np.uint8)
        rest = np.where(points.p[:, 1] < self.split, LEG[0] + right, TRUNK)
        return np.where(points.arm > 0.5, ARM[0] + right, rest).astype(np.uint8)


@dataclass
class Buffer:
    """Per pixel, flat: depth (larger is nearer), piece (-1 none), face, two barycentric weights."""

    width: int
    height: int
    depth: F32
    piece: I32
    face: I32
    bary: F32

    @staticmethod
    def blank(width: int, height: int) -> Buffer:
        """An empty buffer."""
        n = width * height
        return Buffer(
            width,
            height,
            np.full(n, -np.inf, np.float32),
            np.full(n, -1, np.int32),
            np.zeros(n, np.int32),
            np.zeros((n, 2), np.float32),
        )


def facing(screen: F32, faces: I32) -> NDArray[np.bool_]:
    """Which triangles show their outer side (screen y points down)."""
    a, b, c = (screen[faces[:, i], :2] for i in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] < 0


def fragments(screen: F32, faces: I32, width: int, height: int) -> tuple[I32, I32, F32]:
    """Covered pixels (flat index), the face of each, and two barycentric weights (of corners 0 and 1)."""
    xy = screen[:, :2]
    a, b, c = xy[faces[:, 0]], xy[faces[:, 1]], xy[faces[:, 2]]
    low = np.ceil(np.minimum(np.minimum(a, b), c) - 1e-3).astype(np.int32)
    high = np.floor(np.maximum(np.maximum(a, b), c) + 1e-3).astype(np.int32)
    low = np.maximum(low, 0)
    high = np.minimum(high, np.array([width - 1, height - 1], np.int32))
    size = (high - low + 1).min(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    good = (size > 0) & (np.abs(area) > 1e-6)
    largest = (high - low + 1).max(1)
    pix, who, bary = [], [], []
    before = 0
    for window in _WINDOWS:
        pick = np.flatnonzero(good & (largest > before) & (largest <= window))
        before = window
        if not len(pick):
            continue
        dy, dx = np.divmod(np.arange(window * window, dtype=np.int32), window)
        px = low[pick, 0, None] + dx
        py = low[pick, 1, None] + dy
        inv = 1 / area[pick]
        pa, pb, pc = a[pick], b[pick], c[pick]
        # Each weight is an affine function of the pixel: one value and two slopes per triangle.
        ax, ay = (pb[:, 1] - pc[:, 1]) * inv, (pc[:, 0] - pb[:, 0]) * inv
        bx, by = (pc[:, 1] - pa[:, 1]) * inv, (pa[:, 0] - pc[:, 0]) * inv
        rx, ry = low[pick, 0] - pc[:, 0], low[pick, 1] - pc[:, 1]
        fx, fy = dx.astype(np.float32), dy.astype(np.float32)
        wa = (ax * rx + ay * ry)[:, None] + ax[:, None] * fx + ay[:, None] * fy
        wb = (bx * rx + by * ry)[:, None] + bx[:, None] * fx + by[:, None] * fy
        hit = (wa >= -1e-4) & (wb >= -1e-4) & (wa + wb <= 1.0001)
        hit &= (px <= high[pick, 0, None]) & (py <= high[pick, 1, None])
        row, col = np.nonzero(hit)
        pix.append(py[row, col] * width + px[row, col])
        who.append(pick[row])
        bary.append(np.stack([wa[row, col], wb[row, col]], 1))
    if not pix:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 2), np.float32)
    return (
        np.concatenate(pix).astype(np.int32),
        np.concatenate(who).astype(np.int32),
        np.concatenate(bary).astype(np.float32),
    )


def blend(values: F32, corners: I32, bary: F32) -> F32:
    """Vertex values [n, ...] at fragments, by barycentric weights."""
    wa, wb = bary[:, 0], bary[:, 1]
    wc = 1 - wa - wb
    if values.ndim == 2:
        wa, wb, wc = wa[:, None], wb[:, None], wc[:, None]
    return values[corners[:, 0]] * wa + values[corners[:, 1]] * wb + values[corners[:, 2]] * wc


def draw(buffer: Buffer, number: int, piece: Piece, screen: F32) -> None:
    """Draw a piece whose vertices are at `screen` float32[n, 3] (x, y pixels, depth)."""
    front = facing(screen, piece.faces)
    index = np.flatnonzero(front) if piece.closed else np.arange(len(piece.faces))
    faces = piece.faces[index]
    pix, who, bary = fragments(screen, faces, buffer.width, buffer.height)
    z = blend(screen[:, 2], faces[who], bary)
    near = z > buffer.depth[pix]
    pix, who, bary, z = pix[near], who[near], bary[near], z[near]
    if piece.keep is not None and len(pix):
        corners = faces[who]
        points = Points(
            blend(piece.coords, corners, bary), blend(piece.arm, corners, bary), ~front[index[who]]
        )
        kept = piece.keep(points)
        pix, who, bary, z = pix[kept], who[kept], bary[kept], z[kept]
    # Sorted by depth, the last write to a pixel is the nearest fragment.
    order = np.argsort(z, kind="stable")
    pix, who = pix[order], who[order]
    buffer.depth[pix] = z[order]
    buffer.piece[pix] = number
    buffer.face[pix] = index[who]
    buffer.bary[pix] = bary[order]
