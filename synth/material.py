"""What sources give: people, backgrounds and segmented pictures; and why one of them cannot be used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np

from mildbench.geometry import Box
from mildbench.scene import Provenance

ADULT_METRES = 1.7
"""The stature that turns a camera height in metres into one in statures."""
UNREADABLE = "image missing or unreadable"
"""Reason of a rejection, worded alike by whoever finds it out."""


class Rejected(Exception):
    """One item of a source cannot be used; the reason is counted and the build goes on without it."""

    def __init__(self, reason: str, example: str) -> None:
        super().__init__(f"{reason}: {example}")
        self.reason = reason
        self.example = example


class LeftOut(Exception):
    """One item of a source is sound, but not what was asked for; counted by reason, and no fault of the source."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Rejections:
    """Items left out, counted by reason, with one example of each."""

    items: set[tuple[str, str]] = field(default_factory=set)
    """(reason, which item): an item met twice counts once."""

    def add(self, rejected: Rejected) -> None:
        self.items.add((rejected.reason, rejected.example))

    @property
    def counts(self) -> Counter[str]:
        return Counter(reason for reason, _ in self.items)

    @property
    def examples(self) -> dict[str, str]:
        """One of each reason."""
        return dict(sorted(self.items, reverse=True))


@dataclass(frozen=True)
class PersonRef:
    """One person of a source, before any pixel is read."""

    key: str
    """Unique inside the source and stable between runs."""
    group: str
    """The source image: everything of one group goes to one split."""
    height: int
    """Height in source pixels of what there is of them."""
    cut_at_bottom: bool = False
    """The source image ends below the hips or knees; such a person can only stand at the frame's lower edge."""
    carries: bool = False
    """Whether an object that the person carries or rides is part of the cut-out."""
    whole: int | None = None
    """Height in source pixels that all of the person would have, where `height` is of a part."""

    metres: float = ADULT_METRES
    """How tall the person is in life, as far as known: all adults count as of one height, children as of theirs."""
    area: int | None = None
    """Source pixels of the mask, where the source has seen it already."""

    @property
    def stature(self) -> int:
        """Height in source pixels of the whole person."""
        return self.whole or self.height

    @property
    def is_child(self) -> bool:
        """Whether the person is known to be smaller than adults are."""
        return self.metres < ADULT_METRES


@dataclass(frozen=True, eq=False)
class Cutout:
    """A person cut out of a source, in crop pixels: pixels of the source, or fewer (`scale`)."""

    rgba: np.ndarray
    """uint8[h, w, 4], straight alpha; colours under a soft edge are the person's own."""
    parsing: np.ndarray
    """uint8[h, w]: CIHP-20, 255 for a person's pixel without a class; `parsing > 0` is the binary mask."""
    keypoints: np.ndarray
    """float32[17, 3]: x, y, COCO visibility."""
    provenance: Provenance
    carried: tuple[str, ...] = ()
    """Names of the objects that were cut out along with the person."""
    category: str = "person"
    """What was cut out: a person, or (OLRD) an object of this name."""
    scale: float = 1.0
    """Crop pixels to a source pixel, at most 1."""

    @cached_property
    def area(self) -> int:
        """Source pixels of the binary mask."""
        return round(np.count_nonzero(self.parsing) / self.scale**2)


@dataclass(frozen=True)
class BackgroundRef:
    """One background of a source, before any pixel is read."""

    key: str
    group: str


@dataclass(frozen=True)
class PersonChoice:
    """One person of a recipe's sources."""

    source: int
    """Index into the recipe's people sources."""
    ref: PersonRef


@dataclass(frozen=True)
class BackgroundChoice:
    """One background of a recipe's sources."""

    source: int
    """Index into the recipe's background sources."""
    ref: BackgroundRef


class Known(StrEnum):
    """How a picture's ground is known."""

    PANOPTIC = "panoptic"
    """From a data set's own panoptic segmentation."""
    ANNOTATOR = "annotator"
    """From a panoptic segmentation that a model made."""
    ESTIMATE = "estimate"
    """From the picture's colours and textures."""
    EXACT = "exact"
    """From the renderer."""
    UNKNOWN = "unknown"
    """Not at all."""


@dataclass(frozen=True)
class SeenObject:
    """An object in a picture."""

    category: str
    """As COCO calls it."""
    box: tuple[float, float, float, float]
    """Left, top, width and height in pixels."""

    @property
    def bottom(self) -> float:
        """The row below it: whoever stands higher in the picture is farther away, where both stand on the ground."""
        return self.box[1] + self.box[3]

    def pixels(self, origin: tuple[int, int] = (0, 0)) -> tuple[slice, slice]:
        """Rows and columns that its box touches, in a plane whose first pixel is pixel `origin` (x, y) of the picture.

        The box may lie beyond the plane.
        """
        left, top, width, _ = self.box
        rows, columns = (
            slice(max(0, math.floor(low) - start), max(0, math.ceil(high) - start))
            for low, high, start in ((top, self.bottom, origin[1]), (left, left + width, origin[0]))
        )
        return rows, columns


@dataclass(frozen=True)
class Sunlight:
    """The shadows that the sun casts in a picture."""

    azimuth: float
    """Direction in which they fall, in turns: 0 away from the camera, 1/4 to the right."""
    length: float
    """In heights of who casts them."""
    opacity: float
    """At the feet, 0..1."""


@dataclass(frozen=True, eq=False)
class Background:
    """A picture without people, and what its source knows of the place and of the camera."""

    image: np.ndarray
    """uint8[H, W, 3]."""
    provenance: Provenance
    horizon: float | None = None
    """Row of the horizon as a share of the height, or None when unknown."""
    camera_height: float | None = None
    """Metres above the ground, or None when unknown."""
    focal: float | None = None
    """Focal length as a share of the longer side, or None when unknown."""
    ground: np.ndarray | None = None
    """bool[H, W]: where feet may stand, or None when unknown."""
    known: Known = Known.UNKNOWN
    """By whom; UNKNOWN exactly when `ground` is None."""
    open_air: bool = False
    """Whether the sky is above the ground, for all that is known."""
    sunlight: Sunlight | None = None
    """The shadows there are, or None when there are none or nothing is known of them."""
    objects: tuple[SeenObject, ...] = ()
    """What is seen in the picture, as far as known."""
    sheen: np.ndarray | None = None
    """uint8[H, W]: the share of the light that the ground mirrors towards the camera, in 255ths, or None where none is
    glossy or nothing is known of it."""
    depth: np.ndarray | None = None
    """float32[H, W]: metres along the camera's axis as an annotator tells them, or None where none was asked."""

    @property
    def camera(self) -> tuple[float, float] | None:
        """`horizon` and `camera_height`, where the source knows both."""
        if self.horizon is None or self.camera_height is None:
            return None
        return self.horizon, self.camera_height


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a panoptic segmentation."""

    id: int
    category: str
    is_thing: bool
    """A countable object; otherwise a part of the background (COCO's "stuff")."""
    is_crowd: bool
    mask: np.ndarray
    """bool[H, W]."""


def things(segments: Sequence[Segment]) -> tuple[SeenObject, ...]:
    """The things among segments, by their names in COCO."""
    found = []
    for segment in segments:
        if segment.is_thing and not segment.is_crowd:
            box = Box.around(segment.mask)
            bounds = (float(box.left), float(box.top), float(box.width), float(box.height))
            found.append(SeenObject(segment.category, bounds))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """A picture and its panoptic segmentation; a pixel in no segment is unlabelled."""

    image: np.ndarray
    """uint8[H, W, 3]."""
    segments: tuple[Segment, ...]
    provenance: Provenance
