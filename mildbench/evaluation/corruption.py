"""Robustness: pose, parsing and masks as wrong as a real estimator's, shown to any method.

Only what the method sees is changed, never the truth, the input picture or the regions of the scores. Every draw
comes from the sample's own seed: batch, order and resuming change nothing, and another run seed draws anew.
Severities are nested: with one seed, a larger SIGMA moves the same keypoints further the same way, and a larger P
relabels the same parts and more. A method that records its attention does so over the regions it was shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.labels import PARSING, UNLABELLED
from mildbench.method import EraseBatch
from mildbench.regions import near

MaskChange = Literal["dilate", "erode", "hull", "box"]

_SIZED = ("dilate", "erode")
"""Changes that take a number of pixels."""

_FORMS = "pose=SIGMA, parsing=P, mask=dilate:N, mask=erode:N, mask=hull or mask=box"

_LABELS = len(PARSING) - 1
"""Of bodies and clothes: all but the background."""

_POSE, _PARSING = 1, 2
"""Streams of a sample's seed, so that one corruption does not change another's draws."""

_AREA_OF_BOX = 0.53
"""A person's area as a share of their bounding box: what COCO-style evaluation takes where areas are unknown."""


@dataclass(frozen=True)
class Corruption:
    """What is done to the inputs. The default does nothing."""

    pose: float = 0.0
    """Every known keypoint is moved by Gaussian noise of this standard deviation in x and in y, as a multiple of
    the person's scale, and stays in the frame; visibility is kept.

    The scale is that of COCO's object keypoint similarity, the square root of the area, so that the number can be
    compared with its per-keypoint constants (0.025 for the nose to 0.107 for the hips: annotators' own spread).
    The area is 0.53 of the box around the known keypoints and the visible pixels: the visible area itself would
    leave the poses of mostly hidden people, which matter most, almost untouched.
    """
    parsing: float = 0.0
    """Probability with which each part, a connected region of one label of one person, gets another of the 19
    labels of bodies and clothes, drawn uniformly. Pixels without a class keep none."""
    mask: MaskChange | None = None
    """`dilate` and `erode` grow and shrink the mask and the visible masks of the erased people by `pixels`
    (Euclidean; the frame is not an edge). `hull` and `box` fill each erased person's visible mask up to its convex
    hull or bounding box, and add that to the mask; where people are unknown, those of its connected regions.

    Visible masks stay disjoint: what a grown one covers is lost to those who stay, even in front of them, but not
    to another erased person; of two that claim a pixel the one in front gets it. Pose and parsing stay.
    """
    pixels: int = 0

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Corruption:
        """Read `pose=0.1`, `parsing=0.2`, `mask=dilate:4` ..., each kind at most once.

        Raises `UserError` for another form, a bad number, or a kind given twice.
        """
        found = cls()
        seen = set()
        for text in texts:
            kind, _, value = text.partition("=")
            if kind in seen:
                raise UserError(f"--corrupt {kind} is given twice: give it once")
            seen.add(kind)
            if kind == "pose":
                found = replace(found, pose=_number(text, value, math.inf))
            elif kind == "parsing":
                found = replace(found, parsing=_number(text, value, 1.0))
            elif kind == "mask":
                mask, pixels = _mask_change(text, value)
                found = replace(found, mask=mask, pixels=pixels)
            else:
                raise UserError(f"--corrupt {text}: unknown: write {_FORMS}")
        return found

    @property
    def texts(self) -> tuple[str, ...]:
        """What `parse` reads back, in one order and spelling; what changes nothing is not in it."""
        found = []
        if self.pose:
            found.append(f"pose={self.pose}")
        if self.parsing:
            found.append(f"parsing={self.parsing}")
        if self.mask is not None:
            found.append(f"mask={self.mask}:{self.pixels}" if self.mask in _SIZED else f"mask={self.mask}")
        return tuple(found)

    def apply(self, batch: EraseBatch) -> EraseBatch:
        """The batch as a method is to see it; `batch` itself is left alone.

        Raises `UserError` where pose or parsing is to be corrupted and the data set does not know the people.
        """
        if self.pose:
            batch = self._apply_pose(batch)
        if self.parsing:
            batch = self._apply_parsing(batch)
        if self.mask is not None:
            batch = self._apply_mask(batch)
        return batch

    def _apply_pose(self, batch: EraseBatch) -> EraseBatch:
        if batch.keypoints is None or batch.instances is None:
            raise _unknown_people(batch, "pose")
        limits = np.array(batch.masks.shape[:0:-1], dtype=np.float32) - 1
        moved = []
        for seed, people, masks in zip(batch.seeds, batch.keypoints, batch.instances, strict=True):
            noise = np.random.default_rng([seed, _POSE]).standard_normal((*people.shape[:2], 2))
            scales = np.array([_scale(points, mask) for points, mask in zip(people, masks, strict=True)])
            shifts = self.pose * scales.reshape(-1, 1, 1) * noise
            known = people[..., 2] > 0
            points = people.copy()
            points[known, :2] = np.clip(people[known, :2] + shifts[known], 0, limits)
            moved.append(points)
        return replace(batch, keypoints=tuple(moved))

    def _apply_parsing(self, batch: EraseBatch) -> EraseBatch:
        if batch.parsing is None or batch.instances is None:
            raise _unknown_people(batch, "parsing")
        relabelled = batch.parsing.copy()
        for labels, seed, people in zip(relabelled, batch.seeds, batch.instances, strict=True):
            rng = np.random.default_rng([seed, _PARSING])
            for own in labels * people:
                for label in np.setdiff1d(own, (0, UNLABELLED)):
                    numbers = _numbered(own == label)
                    count = numbers.max() + 1
                    chances, steps = rng.random(count), rng.integers(1, _LABELS, count)
                    others = 1 + (label - 1 + steps) % _LABELS
                    drawn = np.where(chances < self.parsing, others, label)
                    labels[numbers > 0] = drawn[numbers[numbers > 0]]
        return replace(batch, parsing=relabelled)

    def _apply_mask(self, batch: EraseBatch) -> EraseBatch:
        masks = batch.masks.copy()
        if batch.instances is None or batch.targets is None:
            for mask in masks:
                numbers = _numbered(mask)
                regions = [numbers == number for number in range(1, numbers.max() + 1)]
                mask[:] = self._changed_mask(mask, [self._changed(region) for region in regions])
            return replace(batch, masks=masks)
        instances = []
        for mask, people, targets in zip(masks, batch.instances, batch.targets, strict=True):
            shapes = [self._changed(people[k]) for k in targets]
            mask[:] = self._changed_mask(mask, shapes)
            instances.append(_with_shapes(people, targets, shapes))
        return replace(batch, masks=masks, instances=tuple(instances))

    def _changed_mask(self, mask: np.ndarray, shapes: Sequence[np.ndarray]) -> np.ndarray:
        if self.mask in _SIZED:
            return self._changed(mask)
        changed: np.ndarray = np.logical_or.reduce([mask, *shapes])
        return changed

    def _changed(self, region: np.ndarray) -> np.ndarray:
        """bool[H, W]: one region, changed."""
        if self.mask == "dilate":
            return near(region, self.pixels)
        if self.mask == "erode":
            return ~near(~region, self.pixels)
        return region | (_hull(region) if self.mask == "hull" else Box.around(region).filled(region.shape))


def _number(text: str, value: str, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (0 <= number <= most and math.isfinite(number)):
        wanted = "a number from 0 to 1" if most == 1 else "a number, 0 or more"
        raise UserError(f"--corrupt {text}: {value!r} is not {wanted}: write {_FORMS}")
    return number


def _mask_change(text: str, value: str) -> tuple[MaskChange | None, int]:
    name, colon, pixels = value.partition(":")
    change: MaskChange | None = next((known for known in get_args(MaskChange) if known == name), None)
    if change is None or (change in _SIZED) != bool(colon):
        raise UserError(f"--corrupt {text}: unknown: write {_FORMS}")
    if not colon:
        return change, 0
    if not (pixels.isascii() and pixels.isdigit()):
        raise UserError(f"--corrupt {text}: {pixels!r} is not a number of pixels, 0 or more")
    return (change, int(pixels)) if int(pixels) else (None, 0)


def _unknown_people(batch: EraseBatch, kind: str) -> UserError:
    return UserError(
        f"--corrupt {kind}: nothing is known of the people in {batch.sample_ids[0]}: leave it out, or take a "
        "data set with annotations"
    )


def _scale(points: np.ndarray, mask: np.ndarray) -> float:
    """The scale of one person from float32[17, 3] and bool[H, W], in pixels; 0 without known keypoints."""
    known = points[points[:, 2] > 0, :2]
    if not len(known):
        return 0.0
    box = Box.around(mask)
    ends: list[tuple[int, ...]] = (
        [(box.left, box.right - 1), (box.top, box.bottom - 1)] if box.side else [(), ()]
    )
    extents = [np.ptp(np.concatenate([known[:, axis], seen])) + 1 for axis, seen in enumerate(ends)]
    return math.sqrt(_AREA_OF_BOX * extents[0] * extents[1])


def _numbered(mask: np.ndarray) -> np.ndarray:
    """int32[H, W]: 1, 2 ... in the connected regions (8 neighbours), 0 elsewhere."""
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1]


def _with_shapes(people: np.ndarray, targets: Sequence[int], shapes: Sequence[np.ndarray]) -> np.ndarray:
    """bool[K, H, W]: visible masks, disjoint, once the `targets` have these shapes."""
    erased: np.ndarray = np.any(people[list(targets)], axis=0)
    claimed = np.zeros_like(erased)
    changed = people.copy()
    for k, shape in sorted(zip(targets, shapes, strict=True), key=lambda pair: pair[0], reverse=True):
        changed[k] = shape & (people[k] | ~erased) & ~claimed
        claimed |= changed[k]
    for k in set(range(len(people))).difference(targets):
        changed[k] &= ~claimed
    return changed


def _hull(region: np.ndarray) -> np.ndarray:
    filled = np.zeros(region.shape, dtype=np.uint8)
    outlines, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if outlines:
        cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(outlines)), 1)
    return filled.view(np.bool_)
