"""Who is in a photo: what annotators find, put together where one person is several, and thinned of who is none.

Models find people one by one. On photos with many they also find an arm that belongs to somebody else, the upper half
of somebody beside the whole, and people in fences. What is numbered and erased must be people.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import cv2
import numpy as np

from mildbench.annotators.base import ANNOTATORS, AnnotatorSpec, Found, Part, Picture, boxes_of
from mildbench.annotators.batches import Annotated, Failure, Team, annotate_batch
from mildbench.annotators.overlay import SURE, seen
from mildbench.errors import UserError
from mildbench.photo import Cut, Person, Window, number_people
from mildbench.regions import near

AUTOMATIC = ("torchvision", "litert")
"""Annotators of people, the better first."""
LARGEST = 2048
"""Pixels of the longer side at which a photo is looked at: no network sees more."""

OWN_JOINTS = 2
"""Sure joints inside the own mask from which something is a person. On COCO photos real people have 7 in the middle,
parts of them, and what is no person, none."""
CLOSE_UP = 0.04
"""Share of the picture from which something is a person without them: close-ups show few joints."""
PART = 0.5
"""A mask without joints is a part of somebody whom it touches if it is at most this share of their size."""
SURE_PERSON, LARGE = 0.4, 0.003
"""Score, and share of the picture, from which something without joints that is nobody's part is a person."""
SPECK = 0.05
"""A piece of a mask smaller than this share of its largest piece is noise."""
SAME = 0.6
"""Share of a mask inside another from which the two are one person."""
TOUCH = 0.008
"""How far apart two masks may lie and still touch, as a share of the picture's longer side."""


@dataclass(frozen=True, eq=False)
class Census:
    """Annotators, loaded."""

    finders: Team
    """Find people, and judge by their poses whether they are any; nobody where a mask says who is there."""
    guides: Team
    """Say of known people what methods want to know."""

    @classmethod
    def create(cls, people: str | None, pose: str | None, parsing: str | None, device: str) -> Census:
        """Load annotators, written as on the command line; `people` may be `auto`, or None where a mask says it.

        Raises `UserError` for what is unknown or missing.
        """
        finder = None if people is None else _automatic() if people == "auto" else AnnotatorSpec.parse(people)
        guides = Team.create(
            pose=AnnotatorSpec.parse(pose) if pose else None,
            parsing=AnnotatorSpec.parse(parsing) if parsing else None,
            device=device,
        )
        judge = finder if finder is not None and _can_judge(finder) else None
        return cls(Team.create(people=finder, pose=judge, device=device), guides)

    def people(
        self, name: str, photo: np.ndarray, masks: np.ndarray | None = None
    ) -> tuple[list[Person], np.ndarray | None]:
        """Everybody in a photo, from left to right, and its parsing.

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
        if masks is None:
            found = _told(self.finders, Picture(name, small))
            assert found.picture.masks is not None
            kept = put_together(Found(found.picture.masks, found.scores), found.keypoints).masks
            cuts = [_enlarged(Cut.of(mask), photo.shape[1] / size[0], photo.shape) for mask in kept]
        else:
            cuts = [Cut.of(mask) for mask in masks]
            kept = np.array([_reduced(mask, size) for mask in masks], bool).reshape(-1, *small.shape[:2])
        seen_by = _told(self.guides, Picture(name, small, boxes_of(kept), kept))
        order = number_people(cuts)
        keypoints = [None] * len(cuts) if seen_by.keypoints is None else list(seen_by.keypoints)
        people = [Person(cuts[k], _in_photo(keypoints[k], scale)) for k in order]
        labels = seen_by.parsing
        if labels is not None and scale < 1:
            labels = cv2.resize(labels, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return people, labels


def put_together(found: Found, poses: np.ndarray | None) -> Found:
    """The people among what was found, best first.

    A mask that mostly lies in another is the same person. One that shows no joints of its own is a part of a larger
    person whom it touches; where it touches none, it is somebody if it is large and sure, else nobody.

    Args:
        found: as an annotator gave it.
        poses: float32[N, 17, 3] of what was found: x, y in pixels and score; None where nobody looked.
    """
    masks = [_without_specks(mask) for mask in found.masks]
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    largest_first = sorted(range(len(masks)), key=lambda k: -areas[k])
    bodies = [k for k in largest_first if poses is None or _is_body(masks[k], poses[k])]
    groups = _joined([masks[k] for k in bodies], [[k] for k in bodies])
    owners = [masks[group[0]] for group in groups]
    reach = max(1, round(TOUCH * max(found.masks.shape[1:])))
    for k in largest_first:
        if k in bodies:
            continue
        around = near(masks[k], reach)
        contacts = [
            np.count_nonzero(around & owner) * (areas[k] <= PART * np.count_nonzero(owner))
            for owner in owners
        ]
        if any(contacts):
            groups[int(np.argmax(contacts))].append(k)
        elif found.scores[k] >= SURE_PERSON and areas[k] >= LARGE * masks[k].size:
            groups.append([k])
    groups = _joined([np.any([masks[k] for k in group], axis=0) for group in groups], groups)
    groups.sort(key=lambda group: -max(found.scores[group]))
    whole = [np.any([masks[k] for k in group], axis=0) for group in groups]
    scores = np.array([max(found.scores[group]) for group in groups], np.float32)
    return Found(np.array(whole, dtype=bool).reshape(-1, *found.masks.shape[1:]), scores)


def _joined(masks: list[np.ndarray], groups: list[list[int]]) -> list[list[int]]:
    """The groups, those joined whose masks mostly lie inside a larger one's."""
    joined: list[int] = []
    found = [list(group) for group in groups]
    for place in sorted(range(len(masks)), key=lambda k: -int(np.count_nonzero(masks[k]))):
        inside = [np.count_nonzero(masks[place] & masks[other]) for other in joined]
        if max(inside, default=0) >= SAME * np.count_nonzero(masks[place]):
            found[joined[int(np.argmax(inside))]] += found[place]
        else:
            joined.append(place)
    return [found[place] for place in joined]


def _is_body(mask: np.ndarray, pose: np.ndarray) -> bool:
    """Does a mask, bool[H, W], hold joints of its own pose, float32[17, 3], or nearly fill the picture?"""
    if mask.mean() >= CLOSE_UP:
        return True
    columns, rows = np.rint(pose[pose[:, 2] >= SURE, :2]).astype(int).T
    height, width = mask.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return bool(np.count_nonzero(mask[rows[inside], columns[inside]]) >= OWN_JOINTS)


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """bool[H, W]: a mask, not empty, without its smallest pieces."""
    _, pieces, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    kept: np.ndarray = (areas >= SPECK * areas.max())[pieces]
    return kept & mask


def _automatic() -> AnnotatorSpec:
    """The first annotator of people that could run here."""
    for name in AUTOMATIC:
        target = ANNOTATORS.load(name)
        if target.lacking() is None and _is_ready(AnnotatorSpec(name), "people"):
            return AnnotatorSpec(name)
    raise UserError(
        "nobody here can find people in photos: mildbench weights fetch maskrcnn (186 MB, once; needs torch: "
        'pip install "mildbench[torch]"), or say who is there with --people MASK'
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
    if isinstance(result, Failure):
        raise UserError(f"no people could be looked for in {picture.id}: {result.reason}")
    return result


def _enlarged(cut: Cut, scale: float, shape: tuple[int, ...]) -> Cut:
    """A mask of the smaller picture in the photo of this shape."""
    if scale == 1:
        return cut
    left, top, right, bottom = (round(v * scale) for v in astuple(cut.window))
    window = Window(left, top, min(right, shape[1]), min(bottom, shape[0]))
    size = (window.right - window.left, window.bottom - window.top)
    part = cv2.resize(cut.part.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) > 127
    return Cut(window, part)


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
