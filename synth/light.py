"""The light of a place put on a figure: exposure, white balance and contrast as at its feet, and the shadow it casts.

`harmonise` moves colours a little, so that a cut-out does not stand out; this moves them as far as the light asks, so
that a person at night is dark and one at sunset warm. What a camera and the light do to a colour is a product in
linear light, and one table a channel does it: pixels are decided by integers and tables, alike on every CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from mildbench.geometry import Box
from synth import exact
from synth.exact_math import cos, power, sin
from synth.fit import FAINTEST, SizedFigure, padded
from synth.gamma import to_display, to_linear

REACH = (1.0, 0.4, 0.25)
"""What counts as the surroundings of somebody's feet: to either side, upward and downward, in their heights;"""
LEAST_REACH = 24
"""and at least so many pixels."""
TOLERANCE = 1.6
"""Grounds and clothes reflect so differently that lights within this factor of each other are taken for one."""
BRIGHTER = 4.0
"""The brightest of a person reflects at most so many times as much as the brightest of the ground: a white shirt on wet
sand."""
GAINS = (1 / 64, 2.5)
"""Exposure is never changed by more: night darkens without end, but noise is not raised."""
CASTS = (0.5, 1.35)
"""Nor are a channel's share of the light, from what it has in white light."""
GREYEST = (16, 32)
"""Chroma (Lab) up to which a colour is taken for grey in coloured light; the second where few pixels have the first."""
BLUEST = -12
"""Lab's b, below which it is taken for sky or shade."""
FEW = 0.05
"""Share of the pixels that are few."""
DOUBT = 0.6
"""Exponent of the cast where nothing looks grey, and all colours are taken together."""
NORM = 4
"""Minkowski norm of the shades of grey: between the mean colour (1) and the brightest (infinity)."""
BLOWN = 250
"""Levels from which a channel is burnt out and tells no colour."""
BLACK, WHITE = 0.005, 0.98
"""Quantiles that stand for the darkest and the brightest there is."""
SLACK = (12, 40)
"""A figure may be so many levels darker than all of the picture, and brighter than all from its head downward: clothes
are blacker than grass, and whiter."""


@dataclass(frozen=True)
class Grade:
    """What is done to a figure's colours, in this order."""

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors of red, green and blue in linear light: exposure and white balance in one."""
    black: float = 0.0
    """Level, 0..255, to which black is lifted, as haze and stray light do."""
    white: float = 255.0
    """Level to which white is lowered."""

    def table(self) -> np.ndarray:
        """uint8[256, 3]: what every level of red, green and blue becomes."""
        linear = to_linear(np.arange(256, dtype=np.float32) / np.float32(255)).astype(np.float64)
        lit = np.minimum(linear[:, None] * np.array(self.gains), 1.0)
        levels = to_display(lit.astype(np.float32)).astype(np.float64)
        return exact.rounded(self.black + levels * (self.white - self.black)).astype(np.uint8)


def surroundings(image: np.ndarray, foot: tuple[int, int], height: float) -> np.ndarray:
    """uint8[h, w, 3]: the part of a picture around somebody's feet; never empty.

    Args:
        image: uint8[H, W, 3].
        foot: (x, y), where they stand; may lie outside.
        height: of the person in pixels.
    """
    side, up, down = (max(LEAST_REACH, round(reach * height)) for reach in REACH)
    rows, columns = image.shape[:2]
    x, y = min(max(foot[0], 0), columns - 1), min(max(foot[1], 0), rows - 1)
    return image[max(y - up, 0) : y + down + 1, max(x - side, 0) : x + side + 1]


def grade_for(figure: SizedFigure, image: np.ndarray, origin: tuple[int, int], strength: float) -> Grade:
    """The grade that brings a figure into the light of the place where it stands.

    Exposure by linear luminance at the feet, as far as its mean differs by more than `TOLERANCE`; white balance by the
    shades of grey (Finlayson & Trezzi, "Shades of Gray and Colour Constancy", CIC 2004) of the brighter half of what
    is about grey; contrast by the darkest and brightest levels.

    Args:
        figure: at scene scale, in the light of its own photo, which is taken to be white.
        image: uint8[H, W, 3], the background.
        origin: (x, y) of the layer's top left pixel; may lie outside.
        strength: 0 (none) to 1 (all the way), in stops and levels.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength of the light is {strength}, expected 0..1")
    if strength == 0 or not figure.mask.any():
        return Grade()
    own = figure.rgba[..., :3][figure.mask][None]
    box = Box.around(figure.mask)
    foot = (origin[0] + figure.foot[0], origin[1] + figure.foot[1])
    place = surroundings(image, foot, float(box.height))
    below = image[min(max(origin[1] + box.top, 0), image.shape[0] // 2) :]
    mine, theirs, linear = _counts(own), _counts(place), _light_of_levels()
    ratio = _luminance(theirs) / max(_luminance(mine), 1e-4)
    ratio = ratio / TOLERANCE if ratio > TOLERANCE else min(ratio * TOLERANCE, 1.0)
    most = BRIGHTER * int(linear[_level(theirs, WHITE)]) / max(int(linear[_level(mine, WHITE)]), 1)
    ratio = min(ratio, most)
    exposure = float(power(min(max(ratio, GAINS[0]), GAINS[1]), strength))
    red, green, blue = (exposure * float(power(cast, strength)) for cast in _cast(image))
    grade = Grade((red, green, blue))
    graded = _counts(cv2.LUT(np.ascontiguousarray(own), grade.table()[None]))
    dark, bright = _level(graded, BLACK), _level(graded, WHITE)
    black, white = _level(_counts(image[::2, ::2]), BLACK), _level(_counts(below[::2, ::2]), WHITE)
    lifted = max(black - SLACK[0] - dark, 0) * strength
    lowered = max(bright - white - SLACK[1], 0) * strength
    return replace(grade, black=float(lifted), white=float(255 - lowered * 255 / max(bright, 1)))


def relight(figure: SizedFigure, grade: Grade) -> SizedFigure:
    """The figure with its colours graded; all else stays."""
    rgba = figure.rgba.copy()
    rgba[..., :3] = cv2.LUT(np.ascontiguousarray(rgba[..., :3]), grade.table()[None])
    return replace(figure, rgba=rgba)


def _counts(colours: np.ndarray) -> np.ndarray:
    """int64[256]: how many pixels of uint8[h, w, 3] have each grey level."""
    grey = cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2GRAY)
    return np.bincount(grey.ravel(), minlength=256).astype(np.int64)


@lru_cache(maxsize=1)
def _light_of_levels() -> np.ndarray:
    """int64[256]: linear light of each level, in 65535ths."""
    linear = to_linear(np.arange(256, dtype=np.float32) / np.float32(255))
    return exact.rounded(linear.astype(np.float64) * 65535).astype(np.int64)


def _luminance(counts: np.ndarray) -> float:
    """Mean linear light of pixels by their grey levels, 0..1."""
    return int((counts * _light_of_levels()).sum()) / (int(counts.sum()) * 65535)


def _level(counts: np.ndarray, share: float) -> int:
    """The lowest level that at least this share of the pixels does not pass."""
    return min(int(np.searchsorted(np.cumsum(counts), share * int(counts.sum()))), 255)


def _cast(image: np.ndarray) -> tuple[float, float, float]:
    """The colour of a picture's light, as factors of red, green and blue of which green-weighted light stays."""
    steps = (max(1, side // 256) for side in image.shape[:2])
    small = np.ascontiguousarray(image[tuple(slice(None, None, step) for step in steps)])
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.int32) - 128
    chroma = lab[..., 1] * lab[..., 1] + lab[..., 2] * lab[..., 2]
    brightest = cv2.max(cv2.max(small[..., 0], small[..., 1]), small[..., 2])
    told = (brightest < BLOWN) & (brightest > 8)
    if np.count_nonzero(told) < 64:
        return (1.0, 1.0, 1.0)
    told &= lab[..., 0] >= np.median(lab[..., 0][told])  # dark colours have little chroma, whatever the light
    exponent = 1.0
    for most in GREYEST:
        grey = told & (chroma <= most * most) & (lab[..., 2] >= BLUEST)
        if np.count_nonzero(grey) >= FEW * grey.size:
            break
    else:
        grey, exponent = told, DOUBT
    small = small[grey]
    light = _light_of_levels() >> 6  # 10 bits, the fourth powers of which sum up in 64
    norms = [float((light[small[:, channel]] ** NORM).sum()) / len(small) for channel in range(3)]
    red, green, blue = (float(power(max(norm, 1e-6), 1 / NORM)) for norm in norms)
    level = (3 * red + 6 * green + blue) / 10
    factors = [
        float(power(min(max(channel / level, CASTS[0]), CASTS[1]), exponent))
        for channel in (red, green, blue)
    ]
    # What is left of it after bounding must not change the exposure.
    kept = (3 * factors[0] + 6 * factors[1] + factors[2]) / 10
    return factors[0] / kept, factors[1] / kept, factors[2] / kept


# Cast shadows -----------------------------------------------------------------------------------------------------

FLATTEST = 0.04
"""Rows that a shadow goes up or down for each row of height, at least: none is a line."""
LONGEST = 2.0
"""Heights that a shadow is long, at most."""
SHARP, SOFT = 0.004, 0.03
"""Blur (sigma) of a shadow's edge at the feet and at its far end, in heights."""
FADED = 0.5
"""Share of the opacity that is left at the far end: the sky lights it, too."""


@dataclass(frozen=True)
class Cast:
    """A cast shadow, in the picture: a point k rows above the feet falls `across * k` columns to the right and `away *
    k` rows up (down, where negative)."""

    across: float
    away: float
    opacity: float
    """At the feet, 0..1."""

    def __post_init__(self) -> None:
        if max(abs(self.across), abs(self.away)) > LONGEST:
            raise ValueError(f"shadow longer than {LONGEST} heights: {self.across}, {self.away}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"shadow opacity is {self.opacity}, expected 0..1")

    @classmethod
    def of(cls, azimuth: float, length: float, foreshortening: float, opacity: float) -> Cast:
        """From where the light comes.

        Args:
            azimuth: direction in which the shadow falls, in turns: 0 away from the camera, 1/4 to the right.
            length: in heights of who casts it; bounded to `LONGEST`.
            foreshortening: rows of ground for each metre of depth, in rows of a metre upright: `(y - horizon) / focal`
                for feet in row y, all in pixels.
            opacity: at the feet, 0..1.
        """
        angle, long = 2 * np.pi * azimuth, min(length, LONGEST)
        away = float(cos(angle)) * long * min(foreshortening, 1.0)
        return cls(round(float(sin(angle)) * long, 4), round(away, 4), opacity)


def lay_shadow(figure: SizedFigure, cast: Cast) -> SizedFigure:
    """The figure with a cast shadow besides the one it has, on a layer that is enlarged to hold it.

    Whatever is placed by its `foot` stays where it was.
    """
    if cast.opacity == 0:
        return figure
    mask = figure.mask
    box = Box.around(mask)
    height, bottom = box.height, box.bottom - 1
    away = cast.away if abs(cast.away) >= FLATTEST else (FLATTEST if cast.away >= 0 else -FLATTEST)
    blur = 4 * max(1.0, SOFT * height)
    over, up = cast.across * height, away * height
    room = (
        max(0, round(up + blur) - bottom),  # above
        max(0, round(-min(up, 0) + blur) - (mask.shape[0] - box.bottom)),
        max(0, round(-min(over, 0) + blur) - box.left),
        max(0, round(max(over, 0) + blur) - (mask.shape[1] - box.right)),
    )
    roomy = padded(figure, *room)
    laid = _laid(roomy.mask, cast.across, away)
    shadow = _softened(laid, bottom + room[0], up, height, cast.opacity)
    if roomy.shadow is not None:  # where both fall, what the one lets through the other dims
        through = (255 - shadow.astype(np.int32)) * (255 - roomy.shadow.astype(np.int32))
        shadow = (255 - (through + 127) // 255).astype(np.uint8)
    return replace(roomy, shadow=shadow)


def _laid(mask: np.ndarray, across: float, away: float) -> np.ndarray:
    """uint8[h, w], 0 or 255: a silhouette laid on the ground, row by row."""
    laid = np.zeros(mask.shape, dtype=np.uint8)
    box = Box.around(mask)
    bottom, width = box.bottom - 1, mask.shape[1]
    # Half rows, so that a shadow longer than the person has no gaps.
    for step in range(2 * (bottom - box.top) + 1):
        row, shift = bottom - int(np.floor(step * away / 2 + 0.5)), int(np.floor(step * across / 2 + 0.5))
        if not 0 <= row < mask.shape[0]:
            continue
        line = mask[bottom - step // 2]
        to, start = (
            (slice(shift, width), slice(0, width - shift))
            if shift >= 0
            else (slice(0, width + shift), slice(-shift, width))
        )
        laid[row, to] |= line[start].astype(np.uint8) * np.uint8(255)
    return laid


def _softened(laid: np.ndarray, bottom: int, up: float, height: int, opacity: float) -> np.ndarray:
    """uint8[h, w]: opacities of a shadow, sharp and dark at the feet, soft and faint at its far end.

    Args:
        laid: uint8[h, w], 0 or 255.
        bottom: row of the feet.
        up: rows from there to the far end, negative for downward.
        height: of who casts it, in pixels.
        opacity: at the feet.
    """
    # Only where a shadow is.
    margin = round(3 * max(1.0, SOFT * height)) + 1
    box = Box.around(laid).grown(margin, laid.shape)
    wide = laid[box.place].astype(np.uint16) * np.uint16(256)
    sharp, soft = (exact.gaussian(wide, max(0.6, share * height)).astype(np.int32) for share in (SHARP, SOFT))
    reach = max(1, int(np.floor(abs(up) + 0.5)))
    away = (bottom - box.top - np.arange(len(wide), dtype=np.int32)) * (1 if up >= 0 else -1)
    along = np.clip(away, 0, reach)[:, None]  # 0 at the feet, `reach` at the far end
    mixed = (sharp * (reach - along) + soft * along) // reach
    kept = 1024 - int(1024 * (1 - FADED)) * along // reach
    shadow = np.zeros(laid.shape, dtype=np.uint8)
    shadow[box.place] = np.minimum((mixed * kept >> 10) * round(opacity * 255) // (255 * 256), 255)
    shadow[shadow < FAINTEST] = 0
    return shadow
