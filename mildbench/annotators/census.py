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
from mildbench.annotators.overlay import SURE as SURE_JOINT
from mildbench.annotators.overlay import seen
from mildbench.errors import UserError
from mildbench.photo import Cut, Person, Window, number_people

AUTOMATIC = ("torchvision", "litert")
"""Annotators of people, the better first."""
LARGEST = 2048
"""Pixels of the longer side at which a photo is looked at: no network sees more."""

SURE = 0.25
"""Score below which a found person is nobody."""
SURELY = 0.6
"""Score from which nobody's pose is asked whether they are one."""
LEAST_JOINTS = 4
"""Sure joints that a person shows, unless the finder is sure enough of them."""
SPECK = 0.05
"""A piece of a mask smaller than this share of its largest piece is noise."""
SAME = 0.6
"""Share of a mask inside another from which the two are one person."""
FRAGMENT = 0.35
"""A mask smaller than this share of one that it touches may be a part of that person."""
_TOUCH = 0.008
"""How far apart two masks may lie and still touch, as a share of the picture's longer side."""
_HEAD = slice(0, 5)


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

    Who scores too little, or shows no body where the finder is not sure, is nobody. Masks that mostly lie in another,
    and small ones that touch another and have no head of their own, are parts of that person.

    Args:
        found: as an annotator gave it.
        poses: float32[N, 17, 3] of what was found: x, y in pixels and score; None where nobody looked.
    """
    masks = {k: _without_specks(found.masks[k]) for k in range(len(found.scores)) if found.scores[k] >= SURE}
    joints = None if poses is None else poses[..., 2] >= SURE_JOINT
    if joints is not None:
        doubtful = (found.scores < SURELY) & (joints.sum(axis=1) < LEAST_JOINTS)
        masks = {k: mask for k, mask in masks.items() if not doubtful[k]}
    groups: list[list[int]] = []
    for k in sorted(masks, key=lambda k: -int(np.count_nonzero(masks[k]))):  # a part finds its person
        headless = joints is not None and not joints[k, _HEAD].any()
        hosts = [(share, group) for group in groups if (share := _bond(masks[k], masks[group[0]], headless))]
        if hosts:
            max(hosts, key=lambda host: host[0])[1].append(k)
        else:
            groups.append([k])
    groups.sort(key=lambda group: -max(found.scores[group]))
    whole = [np.any([masks[k] for k in group], axis=0) for group in groups]
    scores = np.array([max(found.scores[group]) for group in groups], np.float32)
    return Found(np.array(whole, dtype=bool).reshape(-1, *found.masks.shape[1:]), scores)


def _bond(part: np.ndarray, person: np.ndarray, headless: bool) -> float:
    """How closely a mask belongs to a larger one, 0 where it is somebody else's: share inside it, or touching it."""
    area = np.count_nonzero(part)
    inside = np.count_nonzero(part & person) / area
    if inside >= SAME:
        return 1 + inside
    if not headless or area > FRAGMENT * np.count_nonzero(person):
        return 0
    reach = max(1, round(_TOUCH * max(part.shape)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.count_nonzero(cv2.dilate(part.view(np.uint8), disc) & person) / area


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
