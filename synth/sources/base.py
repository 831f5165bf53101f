"""What a source of people or backgrounds implements."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from mildbench.errors import UserError, did_you_mean
from mildbench.images import read_rgb
from mildbench.registry import Registry
from mildbench.scene import Provenance

ADULT_METRES = 1.7
"""The stature that turns a camera height in metres into one in statures."""

UNREADABLE = "image missing or unreadable"
"""Reason of a rejection, worded alike by whoever finds it out."""
P = ParamSpec("P")


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

    area: int | None = None
    """Source pixels of the mask, where the source has seen it already."""

    @property
    def stature(self) -> int:
        """Height in source pixels of the whole person."""
        return self.whole or self.height


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


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """A picture and its panoptic segmentation; a pixel in no segment is unlabelled."""

    image: np.ndarray
    """uint8[H, W, 3]."""
    segments: tuple[Segment, ...]
    provenance: Provenance


class Source(ABC):
    """Common to all sources. Subclasses take the URI's path, then its options as keyword arguments."""

    name: str
    """What cards and data sets call this source: scheme and options, without the machine's path."""
    licence: str
    rejections: Rejections
    """Broken items, after the catalogue was read."""

    @cached_property
    def left_out(self) -> Counter[str]:
        """Sound items that the source's filters took, by reason, after the catalogue was read."""
        return Counter()

    def photo(self, key: str) -> Path | None:
        """The file of the photo that an item comes from; it decides which split the item may be in.

        None where there is none: the picture is rendered, or a cut-out came without its photo.
        """
        return None

    def files(self, key: str) -> Sequence[Path]:
        """Every file that an item is read from, its photo and its mask alike: an item is what these hold."""
        photo = self.photo(key)
        return [] if photo is None else [photo]

    def annotation(self, key: str) -> Any:
        """What an item is made of beside those files, as JSON values: its part of a file or database of many."""
        return None


class PeopleSource(Source):
    """Segmented people."""

    @abstractmethod
    def people(self) -> Sequence[PersonRef]:
        """All usable people, in a stable order. Raises `UserError` when the source cannot be read."""

    def checked(self, check: Callable[P, PersonRef], *args: P.args, **options: P.kwargs) -> list[PersonRef]:
        """The person that a check finds; nobody when it finds them broken or unsuitable, which is counted."""
        try:
            return [check(*args, **options)]
        except Rejected as rejected:
            self.rejections.add(rejected)
        except LeftOut as unsuitable:
            self.left_out[unsuitable.reason] += 1
        return []

    @abstractmethod
    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        """Cut one person out. Raises `Rejected` when this one cannot be used after all.

        `scale`, at most 1, is how many pixels to a source pixel are enough. A source may give more, but cutting
        a large photo's person out takes longer than anything else that is done for a scene.
        """


class BackgroundSource(Source):
    """Clean pictures, without people."""

    rendered = False
    """Whether these are places made for people to stand in, so that nobody needs to look at each."""

    @abstractmethod
    def backgrounds(self) -> Sequence[BackgroundRef]:
        """All usable backgrounds, in a stable order. Raises `UserError` when the source cannot be read."""

    @abstractmethod
    def background(self, key: str) -> Background:
        """Read one. Raises `Rejected` when it cannot be used."""

    def place(self, key: str) -> Background:
        """The same, for whoever looks where people could stand, and not whether some are there already."""
        return self.background(key)


def read_photo(path: Path) -> np.ndarray:
    """uint8[H, W, 3]; raises `Rejected` for a file that is missing or cannot be read."""
    try:
        return read_rgb(path)
    except UserError as error:
        raise Rejected(UNREADABLE, str(error)) from None


class SegmentedSource(Source):
    """Pictures whose every object and background region is known: what OLRD moves objects in."""

    @property
    def known(self) -> Known:
        """By whom the segments are known."""
        return Known.PANOPTIC

    @abstractmethod
    def images(self) -> Sequence[BackgroundRef]:
        """All usable pictures, in a stable order. Raises `UserError` when the source cannot be read."""

    @abstractmethod
    def image(self, key: str) -> SegmentedImage:
        """Read one. Raises `Rejected` when it cannot be used."""


S = TypeVar("S", bound=Source)


def open_source(text: str, registry: Registry[S]) -> S:
    """Open a source written as `scheme:path?option=value&option=value`.

    Raises `UserError` for an unknown scheme or option, or for an option's value of the wrong type.
    """
    scheme, colon, rest = text.partition(":")
    if not colon:
        raise UserError(
            f"source {text!r} has no scheme: write SCHEME:PATH, e.g. folder:{text} "
            f"(schemes: {', '.join(registry.names())})"
        )
    path, _, query = rest.partition("?")
    target: Callable[..., S] = registry.load(scheme)
    parameters = {k: p for k, p in inspect.signature(target).parameters.items() if k != "path"}
    options: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in parameters:
            raise UserError(f"source {scheme}: has no option {key!r}: {did_you_mean(key, parameters)}")
        default = parameters[key].default
        try:
            options[key] = _as(type(default), value)
        except ValueError:
            kind = type(default).__name__
            raise UserError(f"source {scheme}: option {key}={value!r} is not a {kind}") from None
    return target(path, **options)


def _as(kind: type, text: str) -> Any:
    """An option's text as a value; `bool("false")` would be True."""
    if kind is not bool:
        return kind(text)
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


PEOPLE: Registry[PeopleSource] = Registry("people source", "people", PeopleSource)
BACKGROUNDS: Registry[BackgroundSource] = Registry("background source", "backgrounds", BackgroundSource)
SEGMENTED: Registry[SegmentedSource] = Registry("source of segmented pictures", "segmented", SegmentedSource)
