"""Smooth 3D noise and ridges for folds, hair and fabric."""

from __future__ import annotations

import numpy as np

from synth.embedded.mannequin.mesh import F32

_SIZE = 32


class Noise:
    """Value noise on a random lattice that repeats every 32 units."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.random((_SIZE, _SIZE, _SIZE), dtype=np.float32).ravel()

    def __call__(self, p: F32) -> F32:
        """Noise in 0..1 at points float32[n, 3]."""
        cell = np.floor(p)
        t = p - cell
        t = t * t * (3 - 2 * t)
        i = cell.astype(np.int32) & (_SIZE - 1)
        j = (i + 1) & (_SIZE - 1)
        x0, x1 = i[:, 0] * (_SIZE * _SIZE), j[:, 0] * (_SIZE * _SIZE)
        y0, y1, z0, z1 = i[:, 1] * _SIZE, j[:, 1] * _SIZE, i[:, 2], j[:, 2]
        v, (tx, ty, tz) = self._lattice, t.T

        def line(base: np.ndarray) -> F32:
            return v[base + z0] * (1 - tz) + v[base + z1] * tz

        near = line(x0 + y0) * (1 - ty) + line(x0 + y1) * ty
        far = line(x1 + y0) * (1 - ty) + line(x1 + y1) * ty
        return near * (1 - tx) + far * tx

    def ridges(self, p: F32) -> F32:
        """Soft crests in 0..1 along the noise's middle level."""
        r = 1 - np.abs(2 * self(p) - 1)
        return r * r
