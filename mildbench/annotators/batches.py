"""Annotate a batch of pictures; what fails in one of them costs only that one its annotation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mildbench.annotators.base import (
    Annotator,
    AnnotatorSpec,
    Found,
    Objects,
    Part,
    Picture,
    Segments,
    boxes_of,
)
from mildbench.errors import UserError


@dataclass(frozen=True)
class Unannotated:
    """Why a picture has no annotation."""

    reason: str


@dataclass(frozen=True, eq=False)
class Team:
    """Who does what, loaded. Annotators of one spec are one object, so that a network is in memory once.

    Pickled, it is what it was created from: whoever unpickles it loads annotators of their own.
    """

    people: Annotator | None
    """None where people are known."""
    pose: Annotator | None
    parsing: Annotator | None
    segments: Annotator | None
    objects: Annotator | None = None
    device: str = "cpu"
    created: Callable[[], Team] | None = field(default=None, repr=False)
    """Makes the same again; None for annotators that were put together by hand."""

    def __reduce__(self) -> tuple[Any, ...]:
        assert self.created is not None, "only what `create` made can be sent to a worker"
        return self.created, ()

    @classmethod
    def create(
        cls,
        *,
        people: AnnotatorSpec | None = None,
        pose: AnnotatorSpec | None = None,
        parsing: AnnotatorSpec | None = None,
        segments: AnnotatorSpec | None = None,
        objects: AnnotatorSpec | None = None,
        device: str = "cpu",
    ) -> Team:
        """Load the annotators; raises `UserError` for what is unknown or missing."""
        made: list[tuple[AnnotatorSpec, Annotator]] = []

        def loaded(spec: AnnotatorSpec | None, part: Part) -> Annotator | None:
            if spec is None:
                return None
            for other, annotator in made:
                if other == spec and part in annotator.info.parts:
                    annotator.load(part)
                    return annotator
            made.append((spec, spec.create(part, device)))
            return made[-1][1]

        return cls(
            loaded(people, "people"),
            loaded(pose, "pose"),
            loaded(parsing, "parsing"),
            loaded(segments, "segments"),
            loaded(objects, "objects"),
            device,
            partial(
                cls.create,
                people=people,
                pose=pose,
                parsing=parsing,
                segments=segments,
                objects=objects,
                device=device,
            ),
        )


@dataclass(frozen=True, eq=False)
class Annotated:
    """A picture and what was found in it."""

    picture: Picture
    """With the people that were found, or known."""
    scores: np.ndarray
    """float32[K]: how sure each person is; 1 for known people."""
    keypoints: np.ndarray | None
    """float32[K, 17, 3]: x, y, score."""
    parsing: np.ndarray | None
    """uint8[H, W]."""
    segments: Segments | None
    objects: Objects | None = None


def annotate_batch(team: Team, pictures: Sequence[Picture]) -> list[Annotated | Unannotated]:
    """Annotate pictures of any sizes, one result each, in order. Raises only `UserError`."""
    found = [np.ones(len(picture.boxes), np.float32) for picture in pictures]
    failures: dict[int, Unannotated] = {}

    def run(
        function: Callable[[Sequence[Picture]], list[Any]], check: Callable[[Picture, Any], None]
    ) -> dict[int, Any]:
        """Results of all pictures that have not failed yet, by position."""
        left = [place for place in range(len(pictures)) if place not in failures]
        results = _attempt(function, check, [pictures[place] for place in left])
        failures.update((p, r) for p, r in zip(left, results, strict=True) if isinstance(r, Unannotated))
        return dict(zip(left, results, strict=True))

    pictures = list(pictures)
    if team.people is not None:
        for place, people in run(team.people.people, _check_people).items():
            if isinstance(people, Found):
                found[place] = people.scores
                pictures[place] = replace(pictures[place], boxes=boxes_of(people.masks), masks=people.masks)
    poses = {} if team.pose is None else run(team.pose.pose, _check_pose)
    parsings = {} if team.parsing is None else run(team.parsing.parsing, _check_parsing)
    panoptic = {} if team.segments is None else run(team.segments.segments, _check_segments)
    things = {} if team.objects is None else run(team.objects.objects, _check_objects)
    return [
        failures.get(place)
        or Annotated(
            picture,
            found[place],
            poses.get(place),
            parsings.get(place),
            panoptic.get(place),
            things.get(place),
        )
        for place, picture in enumerate(pictures)
    ]


def _attempt(
    function: Callable[[Sequence[Picture]], list[Any]],
    check: Callable[[Picture, Any], None],
    pictures: Sequence[Picture],
) -> list[Any]:
    """One result or `Unannotated` a picture; a batch that fails is tried again picture by picture."""
    if not pictures:
        return []
    try:
        results = function(pictures)
        for picture, result in zip(pictures, results, strict=True):
            check(picture, result)
        return results
    except UserError:
        raise
    except Exception as error:  # whatever a model stack raises concerns its picture only
        if len(pictures) == 1:
            return [Unannotated(f"{type(error).__name__}: {error}")]
        return [result for picture in pictures for result in _attempt(function, check, [picture])]


def _check_people(picture: Picture, found: Found) -> None:
    count = len(found.masks)
    _check("people", found.masks, np.dtype(bool), (count, *picture.image.shape[:2]))
    _check("people's scores", found.scores, np.dtype(np.float32), (count,))
    if not found.masks.any(axis=(1, 2)).all():
        raise ValueError("the annotator returned an empty mask")


def _check_pose(picture: Picture, keypoints: np.ndarray) -> None:
    _check("poses", keypoints, np.dtype(np.float32), (len(picture.boxes), 17, 3))
    if not np.isfinite(keypoints).all():
        raise ValueError("the annotator returned keypoints that are not finite")


def _check_parsing(picture: Picture, labels: np.ndarray) -> None:
    _check("parsing", labels, np.dtype(np.uint8), picture.image.shape[:2])


def _check_segments(picture: Picture, segments: Segments) -> None:
    _check("segments", segments.labels, np.dtype(np.int32), picture.image.shape[:2])
    count = len(segments.names)
    if len(segments.things) != count or segments.labels.min() < -1 or segments.labels.max() >= count:
        raise ValueError("the annotator returned labels without a category")


def _check_objects(picture: Picture, found: Objects) -> None:
    _check("objects", found.masks, np.dtype(bool), (len(found.names), *picture.image.shape[:2]))


def _check(what: str, array: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"the annotator returned {what} as {array.dtype}{list(array.shape)}, expected {dtype}{list(shape)}"
        )
