"""Operations on pixels that give the same bits on every CPU.

A pixel is decided by integers, or by numbers that are rounded alike wherever they are computed. OpenCV's own
arithmetic in float32 is neither: its code for AVX2 fuses multiplication and addition, Intel's IPP sums in an order
of its own, the code for ARM in another, and the last bit of a sum becomes a pixel where it meets a rounding or a
threshold. What can be relied on, and is used without further ado in `synth`:

- integers: numpy's, and OpenCV's of 8 and 16 bits where it computes in fixed point;
- numpy's `+ - * /` and `sqrt`, element by element, in float32 and float64: IEEE 754 says what they give, and numpy
  never fuses two of them;
- choosing (sorting, medians, nearest pixels), and moving pixels about.

`exp`, `log`, powers and trigonometric functions differ in the last place from one C library to the next: in float64,
rounded once to something much coarser, that does no harm. Sums of floats and matrix products have no order that is
the same everywhere, unless every term is a whole number that the type holds.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from scipy import sparse

_WEIGHT_BITS = 11
"""Fractional bits of a resampling weight."""
_MIDDLE_BITS = 6
"""Fractional bits kept between the two passes of a resampling."""
_SHARPNESS = -0.75
"""Keys' parameter of cubic interpolation, as in `cv2.INTER_CUBIC`."""


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8[height, width, ...]: averages of areas along an axis that shrinks, bicubic along one that grows.

    What `cv2.resize` does by INTER_AREA and INTER_CUBIC, to within a level, with weights in fixed point.

    Args:
        image: uint8[h, w] or uint8[h, w, c].
        size: (width, height).
    """
    (width, height), channels = size, image.shape[2:]
    down = _weights(image.shape[0], height) @ image.reshape(image.shape[0], -1).astype(np.int32)
    down += 1 << (_WEIGHT_BITS - _MIDDLE_BITS - 1)
    down >>= _WEIGHT_BITS - _MIDDLE_BITS
    columns = cv2.transpose(down.reshape(height, image.shape[1], *channels))
    across = _weights(image.shape[1], width) @ columns.reshape(image.shape[1], -1)
    across += 1 << (_WEIGHT_BITS + _MIDDLE_BITS - 1)
    across >>= _WEIGHT_BITS + _MIDDLE_BITS
    levels = np.clip(across, 0, 255, out=across).astype(np.uint8)
    return cv2.transpose(levels.reshape(width, height, *channels))


@lru_cache(maxsize=64)
def _weights(old: int, new: int) -> sparse.csr_array:
    """int32[new, old], sparse: what each old pixel along an axis gives to each new one; each row sums to one."""
    one, place = 1 << _WEIGHT_BITS, np.arange(new)[:, None]
    if new < old:
        # In units in which an old pixel is `new` long and a new one `old`, all borders are whole numbers.
        taps = (place * old) // new + np.arange(-(-old // new) + 1)
        reached = np.clip((taps + 1) * new, place * old, (place + 1) * old) - place * old
        share = np.diff((2 * one * reached + old) // (2 * old), axis=1, prepend=0)
    else:
        first, rest = np.divmod((2 * place + 1) * old - new, 2 * new)
        taps = first + np.arange(-1, 3)
        share = np.rint(_cubic(np.abs(rest / (2 * new) - np.arange(-1, 3))) * one).astype(np.int64)
        share[np.arange(new), share.argmax(axis=1)] += one - share.sum(axis=1)
    ends = np.arange(new + 1) * taps.shape[1]
    columns = np.clip(taps, 0, old - 1)
    return sparse.csr_array((share.ravel().astype(np.int32), columns.ravel(), ends), shape=(new, old))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Cubic convolution (Keys, IEEE ASSP 1981) at distances x >= 0 in pixels."""
    a = _SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def gaussian(
    plane: np.ndarray, sigma: float, border: int = cv2.BORDER_REFLECT_101, *, upright: float = 1.0
) -> np.ndarray:
    """The same shape and dtype: Gaussian blur, in OpenCV's fixed point, with a window of three sigma.

    Args:
        plane: uint8 or uint16, [h, w] or [h, w, c]. Other types, which OpenCV blurs in float32, are refused.
        sigma: in pixels.
        border: as in `cv2.GaussianBlur`.
        upright: so many times that sigma from row to row.
    """
    if plane.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"cannot blur {plane.dtype} exactly: give uint8 or uint16")
    sigmas = sigma, sigma * upright
    width, height = (2 * max(1, round(3 * each)) + 1 for each in sigmas)
    return cv2.GaussianBlur(plane, (width, height), sigma, sigmaY=sigmas[1], borderType=border)


def box_mean(values: np.ndarray, radius: int, border: int = cv2.BORDER_REFLECT_101) -> np.ndarray:
    """float32, the same shape: mean over a square of side 2 * radius + 1.

    OpenCV adds float32 up in float64, row by row in one order, and rounds once.

    Args:
        values: float32[h, w] or float32[h, w, c].
    """
    window = (2 * radius + 1, 2 * radius + 1)
    return cv2.boxFilter(values, cv2.CV_32F, window, borderType=border)


def box_sum(values: np.ndarray, radius: int) -> np.ndarray:
    """int32[h, w]: sum over a square of side 2 * radius + 1 of int16[h, w]."""
    window = (2 * radius + 1, 2 * radius + 1)
    return cv2.boxFilter(values, cv2.CV_32S, window, normalize=False)


def steepness(grey: np.ndarray) -> np.ndarray:
    """int32[h, w]: squared magnitude of the Sobel gradient of uint8[h, w]."""
    dx, dy = (cv2.Sobel(grey, cv2.CV_16S, *axis).astype(np.int32) for axis in ((1, 0), (0, 1)))
    return dx * dx + dy * dy


def distance(mask: np.ndarray) -> np.ndarray:
    """float32[h, w]: from every pixel to the nearest one of a bool[h, w] mask that is not empty, within 2 %.

    By 5x5 chamfers in fixed point. Not by `cv2.distanceTransform` without labels: IPP has another.
    """
    return _nearest(mask)[0]


def spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The same shape and dtype: every pixel takes the value of the nearest known one, as far as chamfers tell.

    Args:
        values: uint8[h, w] or uint8[h, w, c].
        known: bool[h, w], not empty.
    """
    nearest = _nearest(known)[1]
    value_of = np.zeros((int(nearest.max()) + 1, *values.shape[2:]), dtype=values.dtype)
    value_of[nearest[known]] = values[known]
    result = values.copy()
    result[~known] = value_of[nearest[~known]]
    return result


def _nearest(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32[h, w] and int32[h, w]: distance to the nearest pixel of the mask, and a number of its own for it."""
    return cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )


def rounded(values: np.ndarray) -> np.ndarray:
    """float64, the same shape: the nearest whole numbers, halves and what is within a millionth of them up.

    For numbers whose last places are not the same everywhere. Halves are the only ones that even plain input
    (flat colours, symmetric shapes) hits; so they must not be where the decision falls.
    """
    return np.floor(values + (0.5 + 2.0**-20))
