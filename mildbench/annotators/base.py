"""What an annotator implements: pictures in; poses, parsing, people's masks, panoptic segments or depth out.

An annotator is one class and one entry point of the group `mildbench.annotators`. It says in `info.parts` what it
can do and writes the function of that name for each; whoever calls it asks for no other. Importing this module
imports no model library.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.options import Spec, written
from mildbench.registry import Registry

Part = Literal["pose", "parsing", "people", "objects", "segments", "depth"]
"""`pose`: COCO-17 keypoints of given people. `parsing`: CIHP-20 labels. `people`: finds people, as instance masks.
`objects`: finds things of COCO's other categories. `segments`: panoptic segmentation. `depth`: in metres."""


@dataclass(frozen=True)
class AnnotatorInfo:
    """What an annotator says of itself."""

    name: str
    summary: str
    parts: frozenset[Part]
    packages: tuple[str, ...]
    """Distributions that it needs; their versions are recorded with every annotation."""
    install: str = 'pip install "mildbench[annotate]"'
    """What to do when one of them is missing."""
    revision: int = 1
    """Raised when the same weights give something else: part of what annotations and scores are known by."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, and the people in it where they are known."""

    id: str
    image: np.ndarray
    """uint8[H, W, 3], RGB."""
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """float32[K, 4]: left, top, right, bottom of each person in pixels; right and bottom lie outside."""
    masks: np.ndarray | None = None
    """bool[K, H, W]: what is seen of each, none of them empty; None where only boxes, or nothing, is known."""


@dataclass(frozen=True, eq=False)
class Found:
    """People found in one picture, best first."""

    masks: np.ndarray
    """bool[N, H, W], none of them empty."""
    scores: np.ndarray
    """float32[N], 0 .. 1."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Things found in one picture, best first; people are none."""

    masks: np.ndarray
    """bool[N, H, W], none of them empty."""
    names: tuple[str, ...]
    """COCO's category of each."""


@dataclass(frozen=True, eq=False)
class Segments:
    """A panoptic segmentation."""

    labels: np.ndarray
    """int32[H, W]: index into `names`, -1 where nothing was recognised."""
    names: tuple[str, ...]
    """Category of each segment, as the model calls it."""
    things: tuple[bool, ...]
    """Whether it is a countable object."""


class Annotator(ABC):
    """Base class of every annotator. Constructor arguments are its options (`--pose litert:models=DIR`).

    `device` is set before `load` is called, once for each part that is wanted. All functions take a batch of
    pictures of any sizes and return one result a picture, in order; a result never depends on the batch. Metrics
    call them from several threads at a time.
    """

    info: ClassVar[AnnotatorInfo]
    device: str = "cpu"

    @abstractmethod
    def load(self, part: Part) -> None:
        """Read the weights for one of `info.parts`; raises `UserError` that says what is missing."""

    @abstractmethod
    def check(self, part: Part) -> None:
        """Raise `UserError` for weights that `load` would miss; loads nothing. Packages are `lacking`'s business."""

    @abstractmethod
    def weights(self) -> dict[str, str]:
        """Name -> sha256 of every weights file that was loaded (of the tensors, where there is no file)."""

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """Per picture float32[K, 17, 3] for its K boxes: x, y in pixels (centres at integers), score 0 .. 1."""
        raise NotImplementedError

    def parsing(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """Per picture uint8[H, W]: CIHP-20 labels, 255 for a person's pixel without a class, 0 outside.

        People are those of the picture; where nothing is known of them (no boxes, no masks), whoever is seen.
        """
        raise NotImplementedError

    def people(self, pictures: Sequence[Picture]) -> list[Found]:
        """The people found in each picture; `boxes` and `masks` of the pictures are not read."""
        raise NotImplementedError

    def objects(self, pictures: Sequence[Picture]) -> list[Objects]:
        """The things found in each picture; `boxes` and `masks` of the pictures are not read."""
        raise NotImplementedError

    def segments(self, pictures: Sequence[Picture]) -> list[Segments]:
        """The panoptic segmentation of each picture."""
        raise NotImplementedError

    def depth(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        """Per picture float32[H, W]: metres along the camera's axis; where it tells none, what is not above 0."""
        raise NotImplementedError

    @classmethod
    def lacking(cls) -> str | None:
        """Which packages it lacks here, with the remedy, or None if they are all there. Imports nothing heavy."""
        absent = [name for name, found in cls.installed().items() if found is None]
        return f"needs {', '.join(absent)}: {cls.info.install}" if absent else None

    @classmethod
    def installed(cls) -> dict[str, str | None]:
        """Distribution -> version, None where it is not installed."""
        return {name: _version(name) for name in cls.info.packages}

    def versions(self) -> dict[str, str]:
        """Library -> version, of what runs this annotator, and its own revision after the first; recorded."""
        libraries = {name: found for name, found in self.installed().items() if found}
        revision = self.info.revision
        return libraries | ({self.info.name: f"revision {revision}"} if revision > 1 else {})


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


ANNOTATORS: Registry[Annotator] = Registry("annotator", "annotators", Annotator)


class AnnotatorSpec(Spec[Annotator]):
    """An annotator and its options."""

    registry = ANNOTATORS

    def public(self) -> str:
        """The spec as text without folders: no path of this machine gets into a data set."""
        return written(self.name, self.public_options())

    def public_options(self) -> dict[str, str]:
        """The options, paths by their last part."""
        return {key: Path(value).name for key, value in self.options.items()}

    def check_gives(self, part: Part) -> None:
        """Raise `UserError` for a name that is unknown or does not give a part; loads nothing."""
        if part not in ANNOTATORS.load(self.name).info.parts:
            able = [name for name in ANNOTATORS.names() if part in ANNOTATORS.load(name).info.parts]
            raise UserError(f"annotator {self.name!r} gives no {part}: use one of {', '.join(able)}")

    def create(self, part: Part, device: str = "cpu") -> Annotator:
        """Instantiate and load for one part; raises `UserError` for what is unknown, missing or not on offer."""
        self.check_gives(part)
        annotator = self.instantiate()
        annotator.device = device
        annotator.load(part)
        return annotator


def box_of(mask: np.ndarray) -> np.ndarray:
    """float32[4]: the box of a mask bool[H, W] that is not empty."""
    return np.array(Box.around(mask), dtype=np.float32)


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """float32[K, 4]: the boxes of bool[K, H, W], none of them empty."""
    return np.array([box_of(mask) for mask in masks], dtype=np.float32).reshape(-1, 4)
