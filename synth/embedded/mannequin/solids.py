"""Meshes of manufactured things: rounded boxes, swept sections and turned profiles.

Lengths are in statures. Vertices stay dense (about 0.01), as the shadow map and the shading expect.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from synth.embedded.mannequin.mesh import F32, I32, Mesh
from synth.exact_math import cos, norm, power, product, sin

_STEP = 0.011


def unit(v: ArrayLike) -> F32:
    """The vector(s) [..., 3] at length 1."""
    a = np.asarray(v, np.float32)
    return (a / np.maximum(norm(a)[..., None], 1e-9)).astype(np.float32)


def rounded_box(size: tuple[float, float, float], radius: float) -> Mesh:
    """A box of full `size` along x, y, z about the origin, its edges rounded by `radius`."""
    half = np.asarray(size, np.float32) / 2
    r = min(radius, float(half.min()) * 0.98)
    core = half - r
    verts, faces, start = [], [], 0
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        gu, gv = (_ruler(float(half[i]), r) for i in (u, v))
        for sign in (-1.0, 1.0):
            p = np.empty((len(gu), len(gv), 3), np.float32)
            p[..., axis], p[..., u], p[..., v] = sign * half[axis], gu[:, None], gv[None]
            verts.append(p.reshape(-1, 3))
            quads = _grid_faces(len(gu), len(gv)) + start
            faces.append(quads if sign > 0 else quads[:, ::-1])
            start += len(verts[-1])
    flat = np.concatenate(verts)
    # Faces share their edges: welded, the normals run smoothly around the rounding.
    _, first, back = np.unique(
        np.rint(flat * 1e5).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    flat = flat[first]
    inner = np.clip(flat, -core, core)
    return Mesh(
        (inner + r * unit(flat - inner)).astype(np.float32),
        back.reshape(-1)[np.concatenate(faces)].astype(np.int32),
    )


def _ruler(half: float, r: float) -> F32:
    """Coordinates across a face, closer together where the edge is rounded."""
    middle = np.linspace(-half + r, half - r, max(2, int(np.ceil(2 * (half - r) / _STEP)) + 1))
    turn = np.linspace(np.pi / 4, 0, 4)
    edge = r * (1 - sin(turn) / cos(turn))[:-1]
    return np.concatenate([-half + edge, middle, (half - edge)[::-1]]).astype(np.float32)


def _grid_faces(rows: int, cols: int) -> I32:
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(cols - 1), indexing="ij")
    a = (i * cols + j).ravel()
    return np.concatenate(
        [np.stack([a, a + cols, a + cols + 1], 1), np.stack([a, a + cols + 1, a + 1], 1)]
    ).astype(np.int32)


def sweep(
    path: F32,
    across: ArrayLike,
    half_width: ArrayLike,
    half_depth: ArrayLike,
    *,
    sides: int = 10,
    exponent: float = 2.0,
) -> Mesh:
    """A closed tube along `path` float[n, 3].

    Its section is a superellipse of `exponent` (2 round, larger squarer), `half_width` wide along
    `across` (made square to the path) and `half_depth` the other way; both may vary along the path.
    """
    n = len(path)
    tangent = unit(np.gradient(path, axis=0))
    side = np.broadcast_to(np.asarray(across, np.float32), (n, 3))
    side = unit(side - tangent * (side * tangent).sum(1, keepdims=True))
    depth = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + np.pi / sides
    c, s = (np.sign(f) * power(np.abs(f), 2 / exponent) for f in (cos(angle), sin(angle)))
    w, d = (np.broadcast_to(np.asarray(h, np.float32), (n,))[:, None, None] for h in (half_width, half_depth))
    rings = path[:, None] + side[:, None] * (w * c[None, :, None]) + depth[:, None] * (d * s[None, :, None])
    ends = [np.repeat(path[i : i + 1, None], sides, axis=1) for i in (0, n - 1)]
    rings = np.concatenate([ends[0], rings, ends[1]])
    return _ringed(rings)


def turned(radius: ArrayLike, height: ArrayLike, sides: int = 24) -> Mesh:
    """A profile of radii at heights, turned about the y axis; closed where the radius ends at 0."""
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    r, y = np.asarray(radius, np.float64)[:, None], np.asarray(height, np.float64)[:, None]
    rings = np.stack([r * sin(angle), np.broadcast_to(y, (len(y), sides)), r * cos(angle)], axis=2)
    return _ringed(rings)


def ball(radius: float) -> Mesh:
    """A sphere about the origin."""
    turn = np.linspace(0, np.pi, 22)
    return turned(radius * sin(turn), -radius * cos(turn), 36)


def _ringed(rings: ArrayLike) -> Mesh:
    """Rings of points [n, sides, 3] joined to a skin whose outer side faces away from the solid."""
    points = np.asarray(rings, np.float32)
    n, sides, _ = points.shape
    wrapped = _grid_faces(n, sides + 1)
    row, col = np.divmod(wrapped, sides + 1)
    faces = (row * sides + col % sides).astype(np.int32)
    verts = points.reshape(-1, 3)
    a, b, c = (verts[faces[:, i]] - verts.mean(0) for i in range(3))
    if float((a * np.cross(b, c)).sum()) < 0:
        faces = faces[:, ::-1].copy()
    return Mesh(verts, faces)


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(m.verts) for m in meshes])
    return Mesh(
        np.concatenate([m.verts for m in meshes]),
        np.concatenate([m.faces + int(s) for m, s in zip(meshes, starts[:-1], strict=True)]).astype(np.int32),
    )


def moved(mesh: Mesh, origin: ArrayLike, axes: ArrayLike | None = None) -> Mesh:
    """The mesh with its x, y, z along the columns of `axes` float[3, 3] and its origin at `origin`."""
    verts = mesh.verts if axes is None else product(mesh.verts, np.asarray(axes, np.float32).T)
    return Mesh((verts + np.asarray(origin, np.float32)).astype(np.float32), mesh.faces)


def curve(points: ArrayLike, step: float = _STEP) -> F32:
    """A smooth line through control points [k, 3], as points about `step` apart."""
    p = np.asarray(points, np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    out = []
    for i in range(1, len(p) - 2):
        a, b, c, d = p[i - 1 : i + 3]
        count = max(3, int(norm(c - b) / step))
        t = np.linspace(0, 1, count, endpoint=i == len(p) - 3)[:, None]
        out.append(b + 0.5 * t * ((c - a) + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return np.concatenate(out).astype(np.float32)
