"""What a source of people or backgrounds implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

import numpy as np

from mildbench import options
from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.registry import Registry
from synth.material import (
    UNREADABLE,
    Background,
    BackgroundRef,
    Cutout,
    Known,
    LeftOut,
    PersonRef,
    Rejected,
    Rejections,
    SegmentedImage,
)

P = ParamSpec("P")


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

    rendered = False
    """Whether people are drawn rather than read, which takes longer than reading them from the drawn."""
    slow_to_list = False
    """Whether `people` looks at every mask. `cutout` then works without it: of many workers, one asks for the list."""

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
    """Open a source written as `scheme:path?option=value&option=value`, where `~/` is the user's folder.

    Raises `UserError` for an unknown scheme or option, or for an option's value of the wrong type.
    """
    scheme, colon, rest = text.partition(":")
    if not colon:
        raise UserError(
            f"source {text!r} has no scheme: write SCHEME:PATH, e.g. folder:{text} "
            f"(schemes: {', '.join(registry.names())})"
        )
    path, _, query = rest.partition("?")
    return options.create(
        registry, scheme, dict(parse_qsl(query, keep_blank_values=True)), options.at_home(path)
    )


PEOPLE: Registry[PeopleSource] = Registry("people source", "people", PeopleSource)
BACKGROUNDS: Registry[BackgroundSource] = Registry("background source", "backgrounds", BackgroundSource)
SEGMENTED: Registry[SegmentedSource] = Registry("source of segmented pictures", "segmented", SegmentedSource)
