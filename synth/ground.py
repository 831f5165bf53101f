"""Where people can stand in a picture, and how that is known.

Four ways, best first: the renderer says so (`ground_of`), a panoptic segmentation says so (`panoptic_ground`; people
drew it, or an annotator did), a plain look at the picture's colours and textures says so
(`estimated_ground`), or nothing does. Pixels of things that stand on the ground are not ground.

The estimate is for photos of which nothing is known. It is made to be right rather than to answer: it knows lawns and
meadows, and sand and earth in the open, and says "unknown" of all else. Pavement and calm water, snow and walls,
floors and tables are told apart by what they mean and not by how they look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import cv2
import numpy as np

from mildbench.geometry import Box
from synth import exact
from synth.material import Known, Segment


class Refusal(StrEnum):
    """Why nobody can be put on a picture's ground, worded for counting."""

    NONE = "no ground"
    LITTLE = "too little ground"
    CLOSE_UP = "close-up"
    UNSURE = "ground unknown"


LEAST = 0.02
"""Share of a picture's pixels that its ground has at least."""


@dataclass(frozen=True, eq=False)
class Ground:
    """A picture's ground."""

    known: Known
    mask: np.ndarray | None
    """bool[H, W]: where feet may stand; None exactly when `known` is UNKNOWN."""
    refusal: Refusal | None
    """Why nobody may be put there; None when people may."""
    upper_edge: int | None = None
    """The highest row in which there is ground, where nobody may stand either: the horizon lies no lower. None without
    ground."""
    whole_from: int | None = None
    """The row from which on down nothing breaks the ground, where that is lower than its upper edge: what is above may
    be another slope, behind water or over the edge of this one."""

    @property
    def end(self) -> int | None:
        """The row in which the ground on which people stand ends, as far as known: halfway where it may be broken. None
        without ground."""
        if self.upper_edge is None or self.whole_from is None:
            return self.upper_edge
        return (self.upper_edge + self.whole_from) // 2


def ground_of(known: Known, mask: np.ndarray, upper_edge: int | None = None) -> Ground:
    """Ground that somebody knows, refused where there is too little.

    Args:
        known: how; not UNKNOWN.
        mask: bool[H, W].
        upper_edge: of all the ground, where the mask leaves out a part of it.
    """
    if known is Known.UNKNOWN:
        raise ValueError("ground that is unknown has no mask")
    count = int(np.count_nonzero(mask))
    if count == 0:
        return Ground(known, mask, Refusal.NONE)
    edge = Box.around(mask).top if upper_edge is None else upper_edge
    return Ground(known, mask, Refusal.LITTLE if count < LEAST * mask.size else None, edge)


# Panoptic segmentation ------------------------------------------------------------------------------------------

_STANDABLE = """
    floor pavement sidewalk road street path grass lawn sand beach snow dirt earth soil mud ground
    terrain gravel field playingfield platform rug carpet mat straw leaves moss runway parking
    crosswalk dirttrack
"""
STANDABLE = frozenset(_STANDABLE.split())
"""Words for what people stand on, as COCO panoptic, COCO-Stuff, ADE20K and Cityscapes name it."""


def is_ground(category: str) -> bool:
    """Whether a category of a panoptic segmentation is ground, by its name: `floor-wood`, `road, route`.

    What stands before the first comma or hyphen decides, for behind it are synonyms and kinds: `ground-other` is
    ground, `water-other`, `wall-stone` and `table-merged` are not. Stairs, roofs, rails and tables carry people, but
    not on the plane that perspective reckons with.
    """
    return _word(category) in STANDABLE


def _word(category: str) -> str:
    """What a category is, without its kinds and synonyms: `floor-wood` is `floor`."""
    return category.lower().replace("_", " ").split(",")[0].split("-")[0].replace(" ", "")


_OPEN_AIR = """
    sky grass lawn sand beach snow road street crosswalk field playingfield sea mountain tree
"""
_OPEN = frozenset(_OPEN_AIR.split())
"""Words for what is out of doors."""


def in_open_air(segments: Sequence[Segment]) -> bool:
    """Whether a picture is taken out of doors: a quarter of it shows what is there."""
    open_air = sum(
        np.count_nonzero(segment.mask)
        for segment in segments
        if not segment.is_thing and _word(segment.category) in _OPEN
    )
    return bool(segments) and bool(4 * open_air >= segments[0].mask.size)


_GLOSSY = frozenset(("floor",))
"""Words for what is often polished, waxed or tiled. Carpets and rugs have names of their own."""
FLOOR_SHEEN = 30
"""Of it, in 255ths: between that of bare wood and that of polished stone, seen at the slant at which people see floors
some metres away. Nobody annotates gloss."""


def panoptic_sheen(segments: Sequence[Segment], shape: tuple[int, int]) -> np.ndarray | None:
    """uint8[height, width]: the share of the light that a picture's ground mirrors, in 255ths; None where none does.

    Args:
        segments: of a `SegmentedImage`.
        shape: (height, width) of the picture.
    """
    sheen = np.zeros(shape, dtype=np.uint8)
    for segment in segments:
        if not segment.is_thing and _word(segment.category) in _GLOSSY:
            sheen[segment.mask] = FLOOR_SHEEN
    return sheen if sheen.any() else None


def panoptic_ground(
    segments: Sequence[Segment],
    shape: tuple[int, int],
    known: Literal[Known.PANOPTIC, Known.ANNOTATOR] = Known.PANOPTIC,
) -> Ground:
    """The pixels of a picture's ground, by the names of its background's segments.

    Args:
        segments: of a `SegmentedImage`.
        shape: (height, width) of the picture.
        known: who drew the segments.
    """
    mask = np.zeros(shape, dtype=bool)
    for segment in segments:
        if not segment.is_thing and is_ground(segment.category):
            mask |= segment.mask
    return ground_of(known, mask)


# Estimate -------------------------------------------------------------------------------------------------------

LONGER_SIDE = 160
"""Pixels of the reduced picture that is looked at."""
LOW, HIGH = 1 / 8, 2 / 5
"""Shares of the height at the bottom, where ground is looked for, and at the top, where there is none."""
BINS = (16, 32, 32)
"""Of a histogram over Lab in 8 bits."""
LIKELIER = 2
"""A colour is the ground's when it is so many times as frequent at the bottom as at the top."""
RAREST = 1 / 400
"""Share of the bottom's colours, at least."""
BREADTH = 0.8
"""The region found fills so much of the lowest row."""
EXTENT = (0.06, 0.65)
"""It covers such shares of the picture."""
HIGHEST = 0.3
"""It reaches no further up than this share of the height: what does is a wall, a slope or a table seen from above."""
BROAD = 0.25
"""Share of a row's pixels in the region, in its highest row at least."""
FURTHEST = 0.6
"""Share of the height above which nobody stands: much ground there is another slope, seen over the edge of this one."""
UNBROKEN = 0.6
"""Share of a row's pixels in the region, in this row and all below, where feet may stand: where less is left, water,
rocks or another slope come in between."""
DARK, SPARSE = 0.85, 20
"""Where so many of 81 pixels around have less than so much of the median lightness of the region's row, nobody stands:
there are bushes on sand, and whatever else rises from it."""
DARKEST = 40
"""Lightness (of 255) below which nothing can be told."""
YELLOWEST = 144
"""Lab's b (128 is neutral) from which a region is grass, sand or earth. Pavement, snow, water, shade, walls and
glass lie below, and cannot be told from each other."""
GREENEST, REDDEST = 128, 140
"""Lab's a up to which it is grass, and from there on sand or earth; fire, bricks and meals are redder."""
SMOOTHEST, ROUGHEST = 12, 90
"""Median gradient (Sobel, grey levels) of the region: what is painted, polished or out of focus is smoother; thickets,
facades and rocks are rougher."""
LYING = (0.95, 3.5)
"""Gradients downward to gradients across, of the region; and at least, of the part where feet may stand: walls, trees
and tall grass have upright edges."""
OPEN = 0.3
"""Share of the upper part that is sky or leaves where sand or earth is believed: floors and tables look like them."""
MIRRORED = 0.4
"""Correlation of the region with its mirror image above its upper edge, from which it is water."""


def estimated_ground(image: np.ndarray) -> Ground:
    """The ground of a photo by its colours and textures, or unknown. Integers decide, alike on every CPU.

    Ground is what looks like the lowest rows and unlike the upper part, in one piece with the lowest row. It is
    believed when the piece is shaped, coloured and textured as grass, sand or earth is.

    Args:
        image: uint8[H, W, 3] RGB.
    """
    height, width = image.shape[:2]
    ratio = LONGER_SIDE / max(height, width)
    size = (max(8, round(width * ratio)), max(8, round(height * ratio)))
    look = _Look(exact.resize(image, size))
    region = look.region()
    if not look.convinces(region):
        return Ground(Known.UNKNOWN, None, Refusal.UNSURE)
    near = look.near(region)
    if not look.carries(near):
        return Ground(Known.UNKNOWN, None, Refusal.UNSURE)
    near = cv2.erode(near.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    mask = cv2.resize(near, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    ground = ground_of(Known.ESTIMATE, mask > 0, Box.around(region).top * height // look.height)
    return replace(ground, whole_from=Box.around(mask).top) if mask.any() else ground


class _Look:
    """A reduced picture, uint8[h, w, 3], and what its pixels look like."""

    def __init__(self, small: np.ndarray) -> None:
        self.height, self.width = small.shape[:2]
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        lab = cv2.cvtColor(cv2.medianBlur(small, 5), cv2.COLOR_RGB2LAB).astype(np.int32)
        self.grey = grey.astype(np.int64)
        self.lightness, self.a, self.b = lab[..., 0], lab[..., 1], lab[..., 2]
        self.across, self.down = (
            np.abs(cv2.Sobel(grey, cv2.CV_16S, *axis).astype(np.int32)) for axis in ((1, 0), (0, 1))
        )
        row = np.arange(self.height)[:, None] + np.zeros(self.width, dtype=np.int64)
        self.low = row >= self.height - max(2, round(self.height * LOW))
        self.high = row < round(self.height * HIGH)

    def region(self) -> np.ndarray:
        """bool[h, w]: the largest piece at the bottom that looks like the bottom and unlike the top."""
        levels, tints, _ = BINS
        code = (
            self.lightness * levels // 256 * tints + self.a * tints // 256
        ) * tints + self.b * tints // 256
        (bottom, below), (top, above) = (_histogram(code[part]) for part in (self.low, self.high))
        likely = (bottom[code] * above > LIKELIER * top[code] * below) & (bottom[code] > RAREST * below)
        likely = cv2.medianBlur(likely.astype(np.uint8), 5)
        _, pieces = cv2.connectedComponents(likely, connectivity=4)
        lowest = np.bincount(pieces[-1])
        lowest[0] = 0
        region = (pieces == int(lowest.argmax())) & (likely > 0)
        broad = np.flatnonzero(np.count_nonzero(region, axis=1) >= BROAD * self.width)
        region[: broad[0] if len(broad) else self.height] = False  # what climbs a tree or a wall at the side
        return region

    def near(self, region: np.ndarray) -> np.ndarray:
        """bool[h, w]: the part of a region that lies before whatever breaks it, without what is dark in it."""
        dark = np.zeros(region.shape, dtype=np.int16)
        for row in np.flatnonzero(region.any(axis=1)):
            dark[row] = self.lightness[row] < DARK * np.median(self.lightness[row, region[row]])
        near = region & (exact.box_sum(dark, 4) < SPARSE)
        broken = np.flatnonzero(np.count_nonzero(near, axis=1) < UNBROKEN * self.width)
        near[: max(round(FURTHEST * self.height), int(broken[-1]) + 1 if len(broken) else 0)] = False
        return near

    def carries(self, near: np.ndarray) -> bool:
        """Whether feet would be seen on the part of a region where people can stand: tall grass, with its upright
        edges, would hide them. True where the part is too small to tell."""
        inner = _eroded(near)
        return not inner.any() or self._lying(inner) >= LYING[0]

    def convinces(self, region: np.ndarray) -> bool:
        """Whether the region is ground in all likelihood."""
        return self._lies(region) and self._looks(region) and not self._mirrors(region)

    def _lies(self, region: np.ndarray) -> bool:
        share = np.count_nonzero(region, axis=1) / self.width
        if share[-1] < BREADTH or not EXTENT[0] <= np.count_nonzero(region) / region.size <= EXTENT[1]:
            return False
        return bool(np.flatnonzero(share)[0] >= HIGHEST * self.height)

    def _is_open(self) -> bool:
        """Whether the upper part is sky (calm, bluish or white, from the top edge on) or leaves."""
        calm = exact.box_sum((self.across + self.down).astype(np.int16), 2) < 25 * 40
        blue = (self.b <= 122) & (self.lightness > 90)
        white = (self.lightness >= 190) & (np.abs(self.a - 128) <= 3) & (self.b <= 131)
        _, pieces = cv2.connectedComponents((self.high & calm & (blue | white)).astype(np.uint8))
        sky = np.isin(pieces, np.setdiff1d(pieces[0], [0]))
        leaves = self.high & (self.a <= 124) & (self.b >= 132)
        return bool(np.count_nonzero(sky | leaves) >= OPEN * np.count_nonzero(self.high))

    def _looks(self, region: np.ndarray) -> bool:
        inner = _eroded(region)
        if not inner.any():
            return False
        lightness, a, b = (np.median(plane[inner]) for plane in (self.lightness, self.a, self.b))
        if lightness < DARKEST or b < YELLOWEST or a > (REDDEST if self._is_open() else GREENEST):
            return False
        across, down = self.across[inner].astype(np.int64), self.down[inner].astype(np.int64)
        rough = np.median(across * across + down * down)
        return SMOOTHEST**2 <= rough <= ROUGHEST**2 and LYING[0] <= self._lying(inner) <= LYING[1]

    def _lying(self, part: np.ndarray) -> float:
        """Gradients downward to gradients across in a part of the picture, bool[h, w]."""
        return int(self.down[part].sum(dtype=np.int64)) / max(int(self.across[part].sum(dtype=np.int64)), 1)

    def _mirrors(self, region: np.ndarray) -> bool:
        """Whether the region shows upside down what stands above it."""
        reach = self.height // 6
        above, below = [], []
        for column in range(self.width):
            others = np.flatnonzero(~region[:, column])
            edge = int(others[-1]) + 1 if len(others) else 0  # the region's first row
            if reach <= edge <= self.height - reach:
                above.append(self.grey[edge - reach : edge, column][::-1])
                below.append(self.grey[edge : edge + reach, column])
        return len(above) * 5 >= self.width and _correlation(np.array(above), np.array(below)) >= MIRRORED


def _eroded(mask: np.ndarray) -> np.ndarray:
    """bool[h, w]: a mask without its edge, where gradients are those of its outline."""
    return cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _histogram(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """int64[number of bins], smoothed by 1 2 1 along each axis of `BINS`, and its sum."""
    counts = np.bincount(codes, minlength=int(np.prod(BINS))).reshape(BINS).astype(np.int64)
    for axis in range(3):
        counts = 2 * counts + np.roll(counts, 1, axis) + np.roll(counts, -1, axis)
    return counts.ravel(), int(counts.sum())


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's of whole numbers, int64; 0 where one of them is constant."""
    number = one.size
    variances = [number * int((x * x).sum()) - int(x.sum()) ** 2 for x in (one, other)]
    shared = number * int((one * other).sum()) - int(one.sum()) * int(other.sum())
    return shared / float(np.sqrt(float(variances[0]) * float(variances[1]))) if all(variances) else 0.0
