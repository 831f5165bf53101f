"""Functions and products that give the same bits on every CPU.

They are made of IEEE additions, multiplications, divisions and square roots in a stated order, which numpy does
alike with any SIMD width. `numpy.sin` and its kind come from libm or from vector libraries that differ in the
last place from CPU to CPU; `@`, `numpy.dot`, `numpy.linalg.norm` of a vector and `numpy.convolve` come from
BLAS, whose order of summation depends on the CPU and on the threads.

Functions compute in float64, to about 1e-15, and round once to the precision of what they are given: float32 in,
float32 out; anything else gives float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[Any]

_BLOCK = 4096
"""Values worked on at a time, so that the intermediate results stay in the cache."""
_LN2 = 0.6931471805599453
_LN2_HIGH = 45426.0 / 65536.0
"""Leading bits of ln 2: times an integer below 2**37 it is exact."""
_LN2_LOW = 1.4286068203094173e-06
_PI_HIGH = 205887.0 / 65536.0
"""Leading bits of pi."""
_PI_LOW = 6.349878855738463e-06
_OCTAVE = 16
"""Table entries an octave for `exp`."""
_HALF_TURN = 256
"""Table entries half a turn for `sin` and `cos`."""
_SLOPES = 16
"""Table entries from 0 to 1 for `arctan2`."""


def dot(a: ArrayLike, b: ArrayLike) -> Any:
    """The sum of products over the last axis, first to last; the other axes broadcast."""
    x, y = np.asarray(a), np.asarray(b)
    total: Floats = x[..., 0] * y[..., 0]
    for i in range(1, x.shape[-1]):
        total = total + x[..., i] * y[..., i]
    return total


def product(a: ArrayLike, b: ArrayLike) -> Any:
    """The matrix product of `a` [..., k] with `b` [k] or [k, m], each sum from first to last."""
    right = np.asarray(b)
    # One contiguous array a column: numpy then works at full width.
    columns = np.ascontiguousarray(np.moveaxis(np.asarray(a), -1, 0))

    def along(weights: Floats) -> Floats:
        total: Floats = columns[0] * weights[0]
        for column, weight in zip(columns[1:], weights[1:], strict=True):
            total = total + column * weight
        return total

    return along(right) if right.ndim == 1 else np.stack([along(part) for part in right.T], axis=-1)


def norm(v: ArrayLike) -> Any:
    """The Euclidean length over the last axis."""
    x = np.asarray(v)
    return np.asarray(np.sqrt(dot(x, x)))[()]


def hypot(x: ArrayLike, y: ArrayLike) -> Any:
    """The square root of x * x + y * y."""
    a, b = np.asarray(x), np.asarray(y)
    return np.asarray(np.sqrt(a * a + b * b))[()]


def _blockwise(function: Callable[..., Floats], *arguments: ArrayLike) -> Any:
    """The elementwise `function` of float64 blocks, over broadcast arguments, in their own precision."""
    given = [np.asarray(argument) for argument in arguments]
    # A plain number takes on the precision of the arrays beside it.
    typed = [
        array
        for array, argument in zip(given, arguments, strict=True)
        if not isinstance(argument, int | float)
    ]
    single = bool(typed) and all(array.dtype == np.float32 for array in typed)
    kind = np.float32 if single else np.float64
    shape = np.broadcast_shapes(*(array.shape for array in given))
    flat = [np.broadcast_to(array, shape).reshape(-1) for array in given]
    out = np.empty(flat[0].shape, kind)
    for start in range(0, len(out), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = function(*(array[part].astype(np.float64) for array in flat))
    return out.reshape(shape)[()]


def _horner(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    """The polynomial with the given coefficients, constant term first."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


_LOWEST = -1022 * _OCTAVE


@lru_cache(maxsize=1)
def _powers_of_two() -> Floats:
    """2 ** (j / _OCTAVE) for j from _LOWEST to 1023 octaves."""
    root = np.sqrt(np.sqrt(np.sqrt(np.sqrt(2.0))))
    steps = np.ones(_OCTAVE)
    for j in range(1, _OCTAVE):
        steps[j] = steps[j - 1] * root
    return np.ldexp(steps, np.arange(-1022, 1024)[:, None]).ravel()


_EXP = tuple(1 / np.array([1.0, 1, 2, 6, 24, 120, 720, 5040]))


def _exp(x: Floats) -> Floats:
    x = np.maximum(x, -708.0)
    n = np.rint(x * (_OCTAVE / _LN2))
    r = x - n * (_LN2_HIGH / _OCTAVE)
    r -= n * (_LN2_LOW / _OCTAVE)
    return _horner(r, _EXP) * _powers_of_two()[n.astype(np.int64) - _LOWEST]


def exp(x: ArrayLike) -> Any:
    """e ** x for x <= 709; below -708 it stays at e ** -708."""
    return _blockwise(_exp, x)


_LOG = tuple(2 / np.arange(1.0, 22.0, 2.0))


def _log(x: Floats) -> Floats:
    bits = np.ascontiguousarray(x).view(np.int64)
    # The mantissa is taken from 0.71 to 1.41, where the series converges fast.
    shift = 0x6A09E667F3BCC
    exponent = ((bits + ((1 << 52) - shift)) >> 52) - 1023
    mantissa = (bits - (exponent << 52)).view(np.float64)
    z = (mantissa - 1) / (mantissa + 1)
    n = exponent.astype(np.float64)
    return n * _LN2_HIGH + (n * _LN2_LOW + z * _horner(z * z, _LOG))


def log(x: ArrayLike) -> Any:
    """The natural logarithm of positive normal numbers."""
    return _blockwise(_log, x)


def log2(x: ArrayLike) -> Any:
    """The logarithm to base 2 of positive normal numbers."""
    return _blockwise(lambda part: _log(part) * (1 / _LN2), x)


def _power(x: Floats, exponent: Floats) -> Floats:
    return np.where(x > 0, _exp(exponent * _log(np.maximum(x, 1e-300))), 0.0)


def power(x: ArrayLike, exponent: ArrayLike) -> Any:
    """x ** exponent for x >= 0 and positive exponents."""
    return _blockwise(_power, x, exponent)


_SIN = tuple(np.array([1.0, -1, 1]) / np.array([1.0, 6, 120]))
_COS = tuple(np.array([1.0, -1, 1, -1]) / np.array([1.0, 2, 24, 720]))


@lru_cache(maxsize=1)
def _turns() -> Floats:
    """The sine of j / _HALF_TURN half turns, for j below 2.5 * _HALF_TURN."""
    quarter = _HALF_TURN // 2
    angle = np.arange(quarter + 1) * (np.pi / _HALF_TURN)
    term, rise = angle, angle
    for k in range(2, 26, 2):
        term = -term * (angle * angle) / (k * (k + 1))
        rise = rise + term
    half = np.concatenate([rise[:-1], [1.0], rise[-2:0:-1]])
    return np.concatenate([half, -half, half[:quarter]])


def _turned(x: Floats, ahead: int) -> Floats:
    """The sine of x and `ahead` table steps."""
    n = np.rint(x * (_HALF_TURN / np.pi))
    r = x - n * (_PI_HIGH / _HALF_TURN)
    r -= n * (_PI_LOW / _HALF_TURN)
    index = n.astype(np.int64)
    index += ahead
    index &= 2 * _HALF_TURN - 1
    sine = _turns()[index]
    index += _HALF_TURN // 2
    square = r * r
    return sine * _horner(square, _COS) + _turns()[index] * (r * _horner(square, _SIN))


def sin(x: ArrayLike) -> Any:
    """The sine of radians; to 1e-15 below a few thousand turns."""
    return _blockwise(lambda part: _turned(part, 0), x)


def cos(x: ArrayLike) -> Any:
    """The cosine of radians; to 1e-15 below a few thousand turns."""
    return _blockwise(lambda part: _turned(part, _HALF_TURN // 2), x)


_ATAN = tuple(np.array([1.0, -1, 1, -1, 1]) / np.array([1.0, 3, 5, 7, 9]))


@lru_cache(maxsize=1)
def _slopes() -> Floats:
    """The arc tangent of j / _SLOPES, for j from 0 to _SLOPES."""
    angles = np.zeros(_SLOPES + 1)
    for j in range(1, _SLOPES + 1):
        before, here = (j - 1) / _SLOPES, j / _SLOPES
        step = (here - before) / (1 + here * before)
        total, term = 0.0, step
        for k in range(1, 30, 2):
            total += term / k
            term *= -step * step
        angles[j] = angles[j - 1] + total
    return angles


def _arctan2(y: Floats, x: Floats) -> Floats:
    high, wide = np.abs(y), np.abs(x)
    steep = high > wide
    slope = np.minimum(high, wide) / np.maximum(np.maximum(high, wide), 1e-300)
    index = np.rint(slope * _SLOPES)
    near = index * (1 / _SLOPES)
    rest = (slope - near) / (1 + slope * near)
    angle = _slopes()[index.astype(np.int64)] + rest * _horner(rest * rest, _ATAN)
    angle = np.where(steep, np.pi / 2 - angle, angle)
    angle = np.where(x < 0, np.pi - angle, angle)
    return np.where(y < 0, -angle, angle)


def arctan2(y: ArrayLike, x: ArrayLike) -> Any:
    """The angle of the point (x, y), from -pi to pi; 0 for the origin. The sign of a zero does not count."""
    return _blockwise(_arctan2, y, x)
