"""The dressed, posed body as an obstacle, and straps pulled taut over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from synth.embedded.mannequin.mesh import F32, Mesh, vertex_normals
from synth.embedded.mannequin.raster import Piece, Points
from synth.embedded.mannequin.solids import sweep, unit
from synth.exact_math import dot, norm


class Surface:
    """What is visible of the skin and the clothes on trunk, legs and neck, without the arms."""

    def __init__(self, pieces: Sequence[Piece], posed: Sequence[F32]) -> None:
        points, normals, arms = [], [], []
        for piece, verts in zip(pieces, posed, strict=True):
            if piece.limb is not None:
                continue
            shown = np.ones(len(verts), bool)
            if piece.keep is not None:
                shown = piece.keep(Points(piece.coords, piece.arm, np.zeros(len(verts), bool)))
            sleeve = piece.arm > 0.5
            arms.append(verts[shown & sleeve])
            points.append(verts[shown & ~sleeve])
            normals.append(vertex_normals(verts, piece.faces)[shown & ~sleeve])
        self.points: F32 = np.concatenate(points)
        self.arms: F32 = np.concatenate(arms)
        """float32[m, 3]: the arms and their sleeves, which straps pass under."""
        self._normals: F32 = np.concatenate(normals)
        self._tree = cKDTree(self.points)

    def extent(self, at: ArrayLike, direction: ArrayLike, half: tuple[float, float]) -> float:
        """How far the body reaches along a horizontal `direction`, from `at`.

        Only what lies within half[0] sideways and half[1] up or down of `at` counts. 0 where nothing does.
        """
        way = unit(direction)
        rel = self.points - np.asarray(at, np.float32)
        side = np.cross(np.array([0, 1, 0], np.float32), way)
        near = (np.abs(dot(rel, side)) < half[0]) & (np.abs(rel[:, 1]) < half[1])
        return float(dot(rel[near], way).max()) if near.any() else 0.0

    def pushed_out(self, p: F32, gap: float) -> tuple[F32, F32, F32]:
        """Points at least `gap` outside, the surface's unit normal at each, and the depth they were pushed."""
        _, index = self._tree.query(p, k=6)
        normal = unit(self._normals[index].mean(1))
        inside = gap - ((p - self.points[index].mean(1)) * normal).sum(1)
        push = np.maximum(inside, 0)[:, None]
        return (p + push * normal).astype(np.float32), normal, push


def taut(surface: Surface, way: ArrayLike, gap: float) -> tuple[F32, F32]:
    """A line pulled tight between the ends of the rough line `way` [k, 3], kept outside the body.

    Returns its points float32[n, 3] and the direction away from the body at each.
    """
    p = np.asarray(way, np.float32)
    normal = np.zeros_like(p)
    # Coarse first: tension travels one point per round.
    for count, rounds in ((12, 30), (24, 20), (48, 14)):
        p = _resampled(p, count)
        touching = np.zeros((count, 1), np.float32)
        for _ in range(rounds):
            pull = np.zeros_like(p)
            pull[1:-1] = 0.5 * (p[:-2] + p[2:]) - p[1:-1]
            if normal.shape == p.shape:
                # Friction: a strap on cloth tightens along itself but does not slide off sideways.
                slide = unit(np.cross(np.gradient(p, axis=0), normal))
                pull -= 0.85 * touching * slide * (pull * slide).sum(1, keepdims=True)
            q, normal, push = surface.pushed_out((p + pull).astype(np.float32), gap)
            touching = (push > 0).astype(np.float32)
            p[1:-1] = q[1:-1]
    for _ in range(6):
        normal[1:-1] = unit(normal[:-2] + 2 * normal[1:-1] + normal[2:])
    return p, normal


def hung(surface: Surface, first: ArrayLike, top: F32, last: ArrayLike, gap: float) -> tuple[F32, F32]:
    """A strap hung over a shoulder: taut from `top` along the points of `first`, and of `last`, to their ends.

    Pulled tight as one line it would slip off the shoulder. Runs from the end of `first` over `top` to the
    end of `last`; returns what `taut` returns.
    """
    peak = surface.pushed_out(top[None], gap)[0]
    up, down = (np.concatenate([peak, np.asarray(w, np.float32)]) for w in (first, last))
    (a, out_a), (b, out_b) = taut(surface, up, gap), taut(surface, down, gap)
    path, normal = np.concatenate([a[:0:-1], b]), np.concatenate([out_a[:0:-1], out_b])
    normal[len(a) - 1] = unit(out_a[1] + out_b[1])
    return path, normal


def _resampled(p: F32, count: int) -> F32:
    along = np.concatenate([[0], np.cumsum(norm(np.diff(p, axis=0)))])
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, p[:, i]) for i in range(3)], axis=1).astype(np.float32)


def ribbon(path: F32, outward: F32, width: float, thickness: float) -> Mesh:
    """A flat band along `path` that lies on a surface with normals `outward`."""
    across = np.cross(np.gradient(path, axis=0), outward)
    return sweep(path, across, width / 2, thickness / 2, sides=8, exponent=4)
