"""Who is in a photo: what annotators find, and what goes with whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np

from mildbench.annotators.base import ANNOTATORS, AnnotatorSpec, Found, Part, Picture, boxes_of
from mildbench.annotators.batches import Annotated, Team, Unannotated, annotate_batch
from mildbench.annotators.grouping import put_together
from mildbench.annotators.overlay import seen
from mildbench.belongings import CARRIED, SeenBody, Thing, share_out
from mildbench.errors import UserError
from mildbench.fringe import with_fringe
from mildbench.geometry import Box
from mildbench.photo import BoxedMask, PhotoPerson, number_people
from mildbench.shadow import shadow_of

AUTOMATIC = ("torchvision", "litert")
"""Annotators of people, the better first."""
LARGEST = 2048
"""Pixels of the longer side at which a photo is looked at: no network sees more."""


class Counted(NamedTuple):
    """Who is in a photo."""

    people: list[PhotoPerson]
    """From left to right."""
    parsing: np.ndarray | None
    """uint8[H, W] CIHP-20 labels, where somebody was asked for them."""
    doubtful: int
    """How many were found that are too unsure to be anybody: they are not among the people."""


@dataclass(frozen=True, eq=False)
class Census:
    """Annotators, loaded."""

    finders: Team
    """Find people, and judge by their poses whether they are any; nobody where a mask says who is there."""
    guides: Team
    """Say of known people what methods want to know, and what things there are."""
    belongings: bool
    shadows: bool

    @classmethod
    def create(
        cls,
        people: str | None,
        pose: str | None,
        parsing: str | None,
        device: str,
        *,
        belongings: bool = False,
        shadows: bool = False,
    ) -> Census:
        """Load annotators, written as on the command line; `people` may be `auto`, or None where a mask says it.

        Args:
            people: finds them.
            pose: guides methods, and says who holds what; with `belongings` by default that of `people`.
            parsing: guides methods.
            device: cpu, cuda or cuda:N.
            belongings: what people wear, hold or ride goes when they go; `people` must know objects.
            shadows: so do their shadows.

        Raises:
            UserError: what is unknown or missing.
        """
        finder = None if people is None else _automatic() if people == "auto" else AnnotatorSpec.parse(people)
        judge = finder if finder is not None and _can_judge(finder) else None
        if belongings:
            if finder is None or "objects" not in ANNOTATORS.load(finder.name).info.parts:
                raise UserError(
                    f"--with-belongings: {finder.name if finder else 'a mask'} knows no objects: use --people "
                    "torchvision or litert"
                )
            if pose is None and judge is None:  # only poses tell who holds or rides what
                finder.instantiate().check("pose")
        guides = Team.create(
            pose=AnnotatorSpec.parse(pose) if pose else judge if belongings else None,
            parsing=AnnotatorSpec.parse(parsing) if parsing else None,
            objects=finder if belongings else None,
            device=device,
        )
        finders = Team.create(people=finder, pose=judge, device=device)
        return cls(finders, guides, belongings, shadows)

    def people(self, name: str, photo: np.ndarray, masks: np.ndarray | None = None) -> Counted:
        """Everybody in a photo.

        Args:
            name: of the photo, for messages.
            photo: uint8[H, W, 3].
            masks: bool[K, H, W], who is there, where that is known.

        Raises:
            UserError: an annotator failed.
        """
        scale = min(LARGEST / max(photo.shape[:2]), 1.0)
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        small = photo if scale == 1 else cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        fringes: Sequence[BoxedMask | None]
        if masks is None:
            found = _told(self.finders, Picture(name, small))
            assert found.picture.masks is not None
            together, doubtful = put_together(Found(found.picture.masks, found.scores), found.keypoints)
            kept = together.masks
            cuts, fringes = (
                [_enlarged(BoxedMask.of(mask), photo.shape[1] / size[0], photo.shape) for mask in planes]
                for planes in (kept, _with_fringes(small, kept))
            )
        else:
            doubtful = 0
            cuts = [BoxedMask.of(mask) for mask in masks]
            fringes = [None] * len(cuts)
            kept = np.array([_reduced(mask, size) for mask in masks], bool).reshape(-1, *small.shape[:2])
        seen_by = _told(self.guides, Picture(name, small, boxes_of(kept), kept))
        keypoints = [None] * len(cuts) if seen_by.keypoints is None else list(seen_by.keypoints)
        attached = self._attached(photo, cuts, seen_by)
        people = [
            PhotoPerson(cuts[k], _in_photo(keypoints[k], scale), attached[k], fringes[k])
            for k in number_people(cuts)
        ]
        labels = seen_by.parsing
        if labels is not None and scale < 1:
            labels = cv2.resize(labels, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return Counted(people, labels, doubtful)

    def _attached(
        self, photo: np.ndarray, cuts: Sequence[BoxedMask], seen_by: Annotated
    ) -> list[BoxedMask | None]:
        """What goes with each person, as far as it was asked for."""
        parts: list[list[BoxedMask]] = [[] for _ in cuts]
        if self.belongings:
            scale = photo.shape[1] / seen_by.picture.image.shape[1]
            for own, masks in zip(parts, _belongings(seen_by), strict=True):
                own += [_enlarged(BoxedMask.of(mask), scale, photo.shape) for mask in masks]
        if self.shadows:
            known = np.zeros(photo.shape[:2], dtype=bool)
            for cut in (*cuts, *chain.from_iterable(parts)):
                cut.draw(known)
            for own, cut in zip(parts, cuts, strict=True):
                if (shadow := shadow_of(photo, cut, known)) is not None:
                    own.append(shadow)
        return [BoxedMask.joined(own) if own else None for own in parts]


def _automatic() -> AnnotatorSpec:
    """The first annotator of people that could run here."""
    for name in AUTOMATIC:
        target = ANNOTATORS.load(name)
        if target.lacking() is None and _is_ready(AnnotatorSpec(name), "people"):
            return AnnotatorSpec(name)
    raise UserError(
        "nobody here can find people in photos: mildbench weights fetch maskrcnn (186 MB, once; needs torch: "
        'pip install "mildbench[torch]"), or, less exact, movenet bodypix selfie deeplab (7 MB; pip install '
        '"mildbench[litert]"), or say who is there with --people MASK'
    )


def _can_judge(finder: AnnotatorSpec) -> bool:
    """Does the annotator that finds people know poses as well, with what is here?"""
    return "pose" in ANNOTATORS.load(finder.name).info.parts and _is_ready(finder, "pose")


def _is_ready(spec: AnnotatorSpec, part: Part) -> bool:
    try:
        spec.instantiate().check(part)
    except UserError:
        return False
    return True


def _told(team: Team, picture: Picture) -> Annotated:
    (result,) = annotate_batch(team, [picture])
    if isinstance(result, Unannotated):
        raise UserError(f"no people could be looked for in {picture.id}: {result.reason}")
    return result


def _with_fringes(picture: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """bool[K, H, W]: the masks with what belongs to them by colour; nobody gets what another was found to be."""
    grown = np.zeros_like(masks)
    for mask, more in zip(masks, grown, strict=True):
        with_fringe(picture, BoxedMask.of(mask)).draw(more)
    return masks | (grown & ~masks.any(axis=0))


def _belongings(seen_by: Annotated) -> list[list[np.ndarray]]:
    """Of each person, bool[H, W] masks of what they wear, hold or ride. Without poses, of what they wear."""
    masks, objects = seen_by.picture.masks, seen_by.objects
    assert masks is not None
    assert objects is not None
    points = np.zeros((len(masks), 17, 3)) if seen_by.keypoints is None else seen_by.keypoints
    bodies = [
        SeenBody(str(k), mask, seen(points[k]), float(np.count_nonzero(mask.any(axis=1))))
        for k, mask in enumerate(masks)
    ]
    found = zip(objects.names, objects.masks, strict=True)
    things = [Thing(str(k), name, mask) for k, (name, mask) in enumerate(found) if name in CARRIED]
    owned = share_out(bodies, things)
    return [[thing.mask for thing in owned[body.key].things] for body in bodies]


def _enlarged(cut: BoxedMask, scale: float, shape: tuple[int, ...]) -> BoxedMask:
    """A mask of the smaller picture in the photo of this shape."""
    if scale == 1:
        return cut
    left, top, right, bottom = (round(v * scale) for v in cut.window)
    window = Box(left, top, min(right, shape[1]), min(bottom, shape[0]))
    size = (window.width, window.height)
    part = cv2.resize(cut.part.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) > 127
    return BoxedMask(window, part)


def _reduced(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool: a mask at a smaller size; what is there at all stays."""
    if mask.shape == size[::-1]:
        return mask
    reduced: np.ndarray = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 0
    return reduced


def _in_photo(points: np.ndarray | None, scale: float) -> np.ndarray | None:
    """float32[17, 3] of the smaller picture, with scores -> of the photo, with COCO's visibility."""
    if points is None:
        return None
    moved = seen(points)
    known = moved[:, 2] > 0
    moved[known, :2] = (moved[known, :2] + 0.5) / scale - 0.5
    return moved
