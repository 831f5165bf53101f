"""Blurs and changes of size of float images that give the same bits on every CPU.

Pixels are rounded to a grid and weights are integers, so that each sum of products fits the 53 bits of a float64:
it is exact, whatever the order and the SIMD width in which OpenCV adds. Values must stay within -32 .. 32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.exact_math import exp

F32 = NDArray[np.float32]

_UNIT = 65536.0
"""The grid and the weights count in 1 / 65536."""


def on_grid(values: NDArray[np.floating[Any]], bits: int) -> F32:
    """The nearest multiples of 2 ** -bits, float32."""
    scale = np.float32(2**bits)
    return np.rint(values * scale).astype(np.float32, copy=False) / scale


@lru_cache(maxsize=64)
def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Integer weights of a Gaussian out to 4 sigma; they sum to 65536."""
    reach = max(1, round(4 * sigma))
    place = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = exp(-(place * place) / (2 * sigma * sigma))
    counts = np.rint(weights * (_UNIT / weights.sum()))
    counts[reach] += _UNIT - counts.sum()
    counts.flags.writeable = False
    return np.asarray(counts)


def blur(image: F32, sigma: float, sigma_y: float | None = None, *, tiled: bool = False) -> F32:
    """A Gaussian blur of float32[h, w] or [h, w, C], in pixels; `tiled` wraps around the borders, else they mirror.

    `sigma_y` is the blur downwards where it differs.
    """
    across, down = _gaussian(sigma), _gaussian(sigma if sigma_y is None else sigma_y)
    reach_x, reach_y = len(across) // 2, len(down) // 2
    if tiled:
        image = np.asarray(
            cv2.copyMakeBorder(image, reach_y, reach_y, reach_x, reach_x, cv2.BORDER_WRAP), np.float32
        )
    counts = np.rint(image * np.float32(_UNIT)).astype(np.float64)
    soft = cv2.sepFilter2D(counts, cv2.CV_64F, across, down, borderType=cv2.BORDER_REFLECT_101)
    if tiled:
        soft = soft[reach_y:-reach_y, reach_x:-reach_x]
    return (soft * _UNIT**-3).astype(np.float32)


def shrink(image: F32, factor: int) -> F32:
    """The means of factor x factor blocks of float32[h, w] or [h, w, C]; a part of a block repeats its edge."""
    height, width = image.shape[:2]
    below, beside = -height % factor, -width % factor
    if below or beside:
        image = np.asarray(cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.float32)
    counts = np.rint(image * np.float32(_UNIT)).astype(np.float64)
    size = (counts.shape[1] // factor, counts.shape[0] // factor)
    # OpenCV adds the block up and multiplies once.
    return (cv2.resize(counts, size, interpolation=cv2.INTER_AREA) * (1 / _UNIT)).astype(np.float32)


def wide_blur(image: F32, sigma: float) -> F32:
    """A Gaussian blur of several pixels, made at a smaller size."""
    step = max(1, int(sigma / 3))
    return resample(blur(shrink(image, step), sigma / step), image.shape[1::-1], (step, step))


def resample(image: F32, size: tuple[int, int], factor: tuple[float, float] | None = None) -> F32:
    """Bilinear samples of float32[h, w] or [h, w, C] at `size` (width, height).

    factor: new pixels an old pixel, across and down; what fills `size` where it is not given.
    """
    height, width = image.shape[:2]
    across, down = factor or (size[0] / width, size[1] / height)
    left, right, part = _between(width, size[0], across)
    part = part.reshape(-1, *(1,) * (image.ndim - 2))
    rows = image[:, left] * (1 - part) + image[:, right] * part
    top, bottom, part = _between(height, size[1], down)
    part = part.reshape(-1, *(1,) * (image.ndim - 1))
    return np.asarray(rows[top] * (1 - part) + rows[bottom] * part)


def _between(old: int, new: int, factor: float) -> tuple[NDArray[np.intp], NDArray[np.intp], F32]:
    """For each new pixel: its old neighbours before and after, and the share of the latter."""
    at = np.clip((np.arange(new) + 0.5) / factor - 0.5, 0, old - 1)
    before = np.minimum(at.astype(np.intp), max(old - 2, 0))
    return before, np.minimum(before + 1, old - 1), (at - before).astype(np.float32)
