"""Implicit solids made of lofts, blended and turned into triangle meshes.

Lengths are in statures (1.0 = the person's standing height) unless a caller scales them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.exact_math import dot, norm

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

_LUT = 48


@dataclass(frozen=True)
class Loft:
    """An elliptic tube from `a` to `b` with profiles along its axis and rounded ends.

    `side` and `front` hold the half-widths at 48 even steps along the axis, `shift` the offset of the
    centre towards `forward`; `cap` is the length of the rounded ends.
    """

    a: F32
    b: F32
    side: F32
    front: F32
    shift: F32
    forward: F32
    cap: float

    def grown(self, ease: ArrayLike) -> Loft:
        """The same tube, wider by `ease` (a number, or even knots along the axis)."""
        knots = np.atleast_1d(np.asarray(ease, np.float32))
        extra = np.interp(np.linspace(0, 1, _LUT), np.linspace(0, 1, len(knots)), knots).astype(np.float32)
        return Loft(self.a, self.b, self.side + extra, self.front + extra, self.shift, self.forward, self.cap)

    def distance(self, p: F32) -> F32:
        """Approximate signed distance of points `p` [n, 3], negative inside; exact at the surface."""
        axis = self.b - self.a
        length = float(norm(axis))
        axis = axis / length
        fwd = self.forward - axis * float(dot(self.forward, axis))
        fwd = fwd / float(norm(fwd))
        across = np.cross(axis, fwd).astype(np.float32)
        rel = np.asfortranarray(p - self.a)
        s = dot(rel, axis)
        inside = np.clip(s, 0, length)
        index = inside * ((_LUT - 1) / length)
        low = np.minimum(index.astype(np.int32), _LUT - 2)
        frac = index - low
        ru = self.side[low] * (1 - frac) + self.side[low + 1] * frac
        rw = self.front[low] * (1 - frac) + self.front[low + 1] * frac
        shift = self.shift[low] * (1 - frac) + self.shift[low + 1] * frac
        q = (
            (dot(rel, across) / ru) ** 2
            + ((dot(rel, fwd) - shift) / rw) ** 2
            + ((s - inside) / self.cap) ** 2
        )
        return ((np.sqrt(q) - 1) * np.minimum(ru, rw)).astype(np.float32)

    def bounds(self) -> tuple[F32, F32]:
        """A box around the tube: lower and upper corner."""
        r = float(max(self.side.max(), self.front.max()) + np.abs(self.shift).max())
        axis = np.abs(self.b - self.a) / float(norm(self.b - self.a))
        pad = r * np.sqrt(np.maximum(0, 1 - axis**2)) + self.cap * axis + 0.1 * r
        return np.minimum(self.a, self.b) - pad, np.maximum(self.a, self.b) + pad


def loft(
    a: ArrayLike,
    b: ArrayLike,
    side: ArrayLike,
    front: ArrayLike | None = None,
    *,
    knots: ArrayLike | None = None,
    shift: ArrayLike = 0.0,
    forward: ArrayLike = (0.0, 0.0, 1.0),
    cap: float | None = None,
) -> Loft:
    """A loft from profile knots, interpolated without overshoot; `knots` are in 0..1, even by default."""
    sides = np.atleast_1d(np.asarray(side, np.float64))
    fronts = sides if front is None else np.atleast_1d(np.asarray(front, np.float64))
    count = max(len(sides), len(fronts), 2)
    at = np.linspace(0, 1, count) if knots is None else np.asarray(knots, np.float64)
    profiles = np.stack(
        [np.broadcast_to(np.asarray(v, np.float64), at.shape) for v in (sides, fronts, shift)]
    )
    size = float(min(sides.min(), fronts.min())) if cap is None else cap
    start, end, fwd = (np.asarray(v, np.float32) for v in (a, b, forward))
    wide, deep, off = monotone(at, profiles, np.linspace(0, 1, _LUT)).astype(np.float32)
    return Loft(start, end, wide, deep, off, fwd, size)


def monotone(
    at: NDArray[np.float64], values: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cubics [..., n] through `values` [..., k] at ascending knots [k], evaluated at x [n] between the ends.

    Slopes at the knots are Fritsch and Butland's harmonic means: the curve never overshoots its knots.
    """
    step = np.diff(at)
    rise = np.diff(values) / step
    slope = np.zeros_like(values)
    slope[..., 0], slope[..., -1] = rise[..., 0], rise[..., -1]
    if len(at) > 2:
        first, second = rise[..., :-1], rise[..., 1:]
        heavy, light = step[:-1] + 2 * step[1:], 2 * step[:-1] + step[1:]
        turns = first * second <= 0
        one = np.where(turns, 1, first), np.where(turns, 1, second)
        slope[..., 1:-1] = np.where(turns, 0, (heavy + light) / (heavy / one[0] + light / one[1]))
        slope[..., 0] = _end_slope(step[0], step[1], rise[..., 0], rise[..., 1])
        slope[..., -1] = _end_slope(step[-1], step[-2], rise[..., -1], rise[..., -2])
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    t = (x - at[i]) / step[i]
    a, b = values[..., i], values[..., i + 1]
    lean = slope[..., i] * step[i], slope[..., i + 1] * step[i]
    smooth = t * t * (3 - 2 * t)
    return a + (b - a) * smooth + t * (1 - t) * ((1 - t) * lean[0] - t * lean[1])


def _end_slope(
    step: float, after: float, rise: NDArray[np.float64], rise_after: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The slope at an end knot: a parabola's, kept from overshooting."""
    slope = ((2 * step + after) * rise - step * rise_after) / (step + after)
    steep = (rise * rise_after < 0) & (np.abs(slope) > 3 * np.abs(rise))
    return np.where(slope * rise <= 0, 0, np.where(steep, 3 * rise, slope))


def blob(centre: ArrayLike, radii: ArrayLike) -> Loft:
    """An ellipsoid with half-axes `radii` along x, y, z."""
    c, r = np.asarray(centre, np.float32), np.asarray(radii, np.float32)
    half = np.float32(0.02) * r[1]
    step = np.array([0, half, 0], np.float32)
    return loft(c - step, c + step, float(r[0]), float(r[2]), cap=float(r[1] - half))


@dataclass(frozen=True)
class Part:
    """A loft joined to what came before it: `blend` > 0 smooths the union, `carve` subtracts.

    `half` keeps the part on one side of the body (+1: x > 0, -1: x < 0), so that legs do not web together.
    """

    shape: Loft
    blend: float = 0.0
    carve: bool = False
    half: int = 0


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh: `verts` float32[n, 3], `faces` int32[m, 3] with outward counter-clockwise order."""

    verts: F32
    faces: I32


def mesh_of(parts: Iterable[Part], voxel: float) -> Mesh:
    """Blend the parts in order and extract the surface on a grid of the given step."""
    items = list(parts)
    boxes = [p.shape.bounds() for p in items]
    low = np.min([b[0] for b in boxes], axis=0) - 2 * voxel
    high = np.max([b[1] for b in boxes], axis=0) + 2 * voxel
    shape = np.ceil((high - low) / voxel).astype(int) + 1
    axes = [(low[i] + voxel * np.arange(shape[i])).astype(np.float32) for i in range(3)]
    field = np.full(shape, 1.0, np.float32)
    for part, (lo, hi) in zip(items, boxes, strict=True):
        pad = part.blend + 2 * voxel
        lo, hi = lo - pad, hi + pad
        if part.half > 0:
            lo[0] = max(lo[0], 0.0)
        elif part.half < 0:
            hi[0] = min(hi[0], 0.0)
        cut = tuple(slice(*np.searchsorted(axes[i], (lo[i], hi[i]))) for i in range(3))
        x, y, z = (axes[i][cut[i]] for i in range(3))
        points = np.empty((len(x), len(y), len(z), 3), np.float32)
        points[..., 0], points[..., 1], points[..., 2] = x[:, None, None], y[None, :, None], z
        new = part.shape.distance(points.reshape(-1, 3)).reshape(points.shape[:3])
        old = field[cut]
        if part.carve:
            field[cut] = -_smooth_min(-old, new, part.blend)
        else:
            field[cut] = _smooth_min(old, new, part.blend)
    return _surface_nets(field, low.astype(np.float32), voxel)


def _smooth_min(a: F32, b: F32, k: float) -> F32:
    if k <= 0:
        return np.minimum(a, b)
    h = np.maximum(k - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / k)


_CORNERS = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.int32)
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


def _surface_nets(field: F32, origin: F32, voxel: float) -> Mesh:
    """Naive surface nets: a vertex per crossed cell at the mean of its edge crossings, a quad per edge."""
    inside = field < 0
    count = np.zeros(tuple(n - 1 for n in field.shape), np.int8)
    nx, ny, nz = count.shape
    for i, j, k in _CORNERS:
        count += inside[i : i + nx, j : j + ny, k : k + nz]
    cells = np.argwhere((count > 0) & (count < 8)).astype(np.int32)
    index = np.full(count.shape, -1, np.int32)
    index[cells[:, 0], cells[:, 1], cells[:, 2]] = np.arange(len(cells), dtype=np.int32)
    at = cells[:, None, :] + _CORNERS[None]
    values = field[at[..., 0], at[..., 1], at[..., 2]]
    total = np.zeros((len(cells), 3), np.float32)
    hits = np.zeros((len(cells), 1), np.float32)
    for a, b in _EDGES:
        va, vb = values[:, a], values[:, b]
        crossed = (va < 0) != (vb < 0)
        t = np.where(crossed, va / np.where(crossed, va - vb, 1), 0)[:, None]
        point = _CORNERS[a] + t * (_CORNERS[b] - _CORNERS[a])
        total += np.where(crossed[:, None], point, 0).astype(np.float32)
        hits += crossed[:, None]
    verts = (cells + total / hits) * np.float32(voxel) + origin
    quads = [_quads(inside, index, axis) for axis in range(3)]
    quad = np.concatenate(quads)
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    return Mesh(verts.astype(np.float32), faces.astype(np.int32))


def _quads(inside: NDArray[np.bool_], index: I32, axis: int) -> I32:
    """The quads across grid edges along `axis` whose ends differ."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    n = inside.shape[axis]
    first, second = inside.take(range(n - 1), axis), inside.take(range(1, n), axis)
    edge = np.argwhere(first != second)
    # An edge on the grid's border has fewer than four cells; the padding keeps the surface off it.
    edge = edge[(edge[:, u] > 0) & (edge[:, v] > 0)]
    outward = first[edge[:, 0], edge[:, 1], edge[:, 2]]
    ring = []
    for du, dv in ((0, 0), (-1, 0), (-1, -1), (0, -1)):
        cell = edge.copy()
        cell[:, u] += du
        cell[:, v] += dv
        ring.append(index[cell[:, 0], cell[:, 1], cell[:, 2]])
    quad = np.stack(ring, 1)
    return np.where(outward[:, None], quad, quad[:, ::-1]).astype(np.int32)


def vertex_normals(verts: F32, faces: I32) -> F32:
    """Unit normals float32[n, 3], area weighted."""
    a, b, c = verts[faces[:, 0]], verts[faces[:, 1]], verts[faces[:, 2]]
    face = np.cross(b - a, c - a)
    flat = faces.ravel()
    total = np.stack(
        [np.bincount(flat, np.repeat(face[:, i], 3), minlength=len(verts)) for i in range(3)], axis=1
    )
    length = norm(total)[..., None]
    return (total / np.maximum(length, 1e-12)).astype(np.float32)
