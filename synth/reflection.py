"""What glossy ground mirrors of a figure: its image upside down, from its soles downward, as far as the ground shines.

A mirror that lies flat shows whatever is k rows above the place where it stands k rows below it, whatever the camera:
the plane of the ground lies half-way between the two. A floor is no perfect mirror. Its mirror image is blurred, mostly
upright, and the more so the farther from the soles.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from mildbench.geometry import Box
from mildbench.scene import clip
from synth import exact
from synth.exact_math import power
from synth.fit import FAINTEST, SizedFigure, padded

SOLES = 0.07
"""Share of the height, from the lowest pixel up, in which both feet of somebody who stands are."""
STEEPEST = 0.4
"""Rows to a column between one foot and the other, at most."""
SHARP, SOFT = 0.004, 0.014
"""Blur (sigma) across at the soles and a height below them, in heights;"""
UPRIGHT = 2.0
"""so many times that upright."""
GAMMA = 0.7
"""Exponent that makes an opacity on the display of a share of the light: 1/2.2 for bright on dark, above 1 for
dark on bright, and this for both."""
KEPT = 0.45
"""Share of the opacity that is left a height below the soles."""


def reflect(figure: SizedFigure, sheen: np.ndarray, origin: tuple[int, int], strength: float) -> SizedFigure:
    """The figure with its reflection, on a layer that is enlarged downward to hold it; its origin stays.

    Args:
        figure: at scene scale, with the colours it is to have.
        sheen: uint8[H, W]: the share of the light that the ground mirrors, in 255ths; 0 where it mirrors nothing.
        origin: (x, y) on the canvas of the layer's top left pixel.
        strength: of the reflection, 0 (none) to 1 (as the sheen says).
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength of the reflection is {strength}, expected 0..1")
    box = Box.around(figure.mask)
    blur = 3 * UPRIGHT * SOFT * box.height
    lowest = min(box.bottom + round(box.height + blur), sheen.shape[0] - origin[1])
    roomy = padded(figure, 0, max(0, lowest - figure.mask.shape[0]), 0, 0)
    there, here = clip(origin, roomy.mask.shape, sheen.shape)
    shine = np.zeros(roomy.mask.shape, dtype=np.uint8)
    shine[here] = sheen[there]
    shine[: box.top] = 0
    if strength == 0 or not shine.any():
        return figure
    mirrored = _softened(_upside_down(roomy), box.bottom, box.height)
    weight = mirrored[..., 3].astype(np.int64) * _opacities()[shine] * round(256 * strength)
    alpha = (weight + 255 * 128) // (255 * 256)
    alpha[alpha < FAINTEST] = 0
    if not alpha.any():
        return figure
    return replace(roomy, reflection=np.dstack([mirrored[..., :3], alpha.astype(np.uint8)]))


@lru_cache(maxsize=1)
def _opacities() -> np.ndarray:
    """int64[256]: opacity by sheen."""
    found: np.ndarray = exact.rounded(power(np.arange(256) / 255, GAMMA) * 255).astype(np.int64)
    return found


def _upside_down(figure: SizedFigure) -> np.ndarray:
    """uint8[h, w, 4], premultiplied: every column of a figure, below where it stands."""
    rgba = figure.rgba
    height, width = rgba.shape[:2]
    premultiplied = np.where(
        np.arange(4) < 3, (rgba.astype(np.int32) * rgba[..., 3:] + 127) // 255, rgba
    ).astype(np.uint8)
    result = np.zeros_like(rgba)
    rows = np.arange(height)
    stands = _stands(figure.mask)
    for column in range(width):
        above = 2 * stands[column] + 1 - rows  # the row that is mirrored into each
        seen = (above >= 0) & (above <= stands[column])
        result[seen, column] = premultiplied[above[seen], column]
    return result


def _stands(mask: np.ndarray) -> np.ndarray:
    """int[w]: the row in which each column of a figure stands: from one sole to the other, maybe farther away."""
    box = Box.around(mask)
    band = slice(box.bottom - max(2, round(SOLES * box.height)), box.bottom)
    columns = np.arange(mask.shape[1])
    level = np.full(mask.shape[1], box.bottom - 1)
    soles = np.flatnonzero(mask[band].any(axis=0))
    gaps = np.flatnonzero(np.diff(soles) > 1)
    if not len(gaps):
        return level
    widest = int(gaps[np.diff(soles)[gaps].argmax()])
    left, right = soles[: widest + 1], soles[widest + 1 :]
    feet = [(int(sole[0] + sole[-1]) / 2, box.bottom - 1 - _clear(mask, sole, box)) for sole in (left, right)]
    (x, y), (other_x, other_y) = feet
    slope = min(max((other_y - y) / (other_x - x), -STEEPEST), STEEPEST)
    lower = max(feet, key=lambda foot: foot[1])
    line = exact.rounded(lower[1] + slope * (columns - lower[0])).astype(int)
    found: np.ndarray = np.clip(line, box.bottom - max(2, round(SOLES * box.height)), box.bottom - 1)
    return found


def _clear(mask: np.ndarray, columns: np.ndarray, box: Box) -> int:
    """How many rows the lowest pixel in some columns is above the figure's."""
    rows = np.flatnonzero(mask[:, columns].any(axis=1))
    return box.bottom - 1 - int(rows[-1])


def _softened(mirrored: np.ndarray, bottom: int, height: int) -> np.ndarray:
    """uint8[h, w, 4], straight: a mirror image, uint8[h, w, 4] premultiplied, softer and fainter from the soles down.

    Args:
        mirrored: the image.
        bottom: the first row below the soles.
        height: of the figure.
    """
    sharp, soft = (
        exact.gaussian(mirrored, max(0.6, share * height), upright=UPRIGHT).astype(np.int64)
        for share in (SHARP, SOFT)
    )
    down = np.clip(np.arange(len(mirrored)) - bottom, 0, height)[:, None, None]
    mixed = (sharp * (height - down) + soft * down) // height
    alpha = np.maximum(mixed[..., 3:], 1)
    colours = np.minimum((mixed[..., :3] * 255 + alpha // 2) // alpha, 255)
    kept = 1024 - int(1024 * (1 - KEPT)) * down // height
    return np.dstack([colours, mixed[..., 3:] * kept >> 10]).astype(np.uint8)
