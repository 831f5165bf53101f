"""`coco:FOLDER?split=train2017`: people and clean backgrounds from a COCO folder.

Layout as published: `FOLDER/annotations/person_keypoints_SPLIT.json`, `instances_SPLIT.json`, and the images
in `FOLDER/SPLIT/`.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.scene import Provenance
from synth.sources.base import (
    Background,
    BackgroundRef,
    BackgroundSource,
    Cutout,
    PeopleSource,
    PersonRef,
    Rejected,
    Rejections,
)
from synth.sources.carried import CARRIED, TOUCH, Belongings, Body, Thing, share_out, union
from synth.sources.coco_folder import (
    CocoFolder,
    check_box,
    check_segmentation,
    decode,
    group_of,
    image_records,
    licence_names,
)
from synth.sources.crop import cut_out, without_specks
from synth.sources.posture import feet, hidden_leg, seated

BORDER = 2
"""A box within so many pixels of the image border counts as cut by it."""
IN_ONE_PIECE = 0.97
"""Smallest share of a person in one piece; a bar, a table or another person cuts others in two."""


class CocoPeople(PeopleSource):
    """People with keypoints, filtered to those that can stand alone, with what they wear, hold or ride.

    Args:
        path: the COCO folder.
        split: part of the file names, e.g. `train2017`.
        min_height: smallest person taken, in source pixels.
        min_keypoints: fewest labelled keypoints; an occluded or cropped person has few.
        carried: cut out bags, rackets, bicycles and the like along with their person; needs
            `instances_SPLIT.json`.
    """

    def __init__(
        self,
        path: str,
        split: str = "train2017",
        min_height: int = 96,
        min_keypoints: int = 8,
        carried: bool = True,
    ) -> None:
        self._folder = CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_height = min_height
        self.min_keypoints = min_keypoints
        self.carried = carried
        self.rejections = Rejections()
        self._broken_things: set[tuple[str, str]] = set()
        # The people of an image follow each other, and all of them are needed to share out its things.
        self._belongings = lru_cache(maxsize=8)(self._share_out)

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._folder.read("person_keypoints")

    @cached_property
    def _records(self) -> dict[int, dict[str, Any]]:
        return image_records(self._content)

    @cached_property
    def _licences(self) -> dict[int, str]:
        return licence_names(self._content)

    @cached_property
    def _annotations(self) -> dict[str, dict[str, Any]]:
        return {str(item["id"]): item for item in self._content["annotations"]}

    @cached_property
    def _keys_of(self) -> dict[int, list[str]]:
        """Image id -> keys of its single people."""
        keys = defaultdict[int, list[str]](list)
        for key, item in self._annotations.items():
            if not item.get("iscrowd"):
                keys[_image_id(item)].append(key)
        return keys

    @cached_property
    def _things(self) -> dict[int, list[dict[str, Any]]]:
        """Image id -> annotations of things of a carried kind."""
        if not self.carried:
            return {}
        return {
            image: kept
            for image, items in self._folder.instances().things.items()
            if (kept := [item for item in items if item["name"] in CARRIED])
        }

    def people(self) -> Sequence[PersonRef]:
        found: list[PersonRef] = []
        for keys in self._keys_of.values():
            for key in keys:
                item = self._annotations[key]
                if not item.get("num_keypoints"):
                    continue
                found += self.checked(self._check, key, item)
        return sorted(found, key=lambda ref: int(ref.key))

    def photo(self, key: str) -> Path:
        return self._folder.photo(self._record(self._annotations[key], f"annotation {key}"))

    def annotation(self, key: str) -> Any:
        """Of everybody and everything in the image: its things are shared out between all of its people."""
        item = self._annotations[key]
        record, image_id = self._record(item, f"annotation {key}"), item["image_id"]
        people = [self._annotations[other] for other in self._keys_of[image_id]]
        return [self._folder.facts(record, self._licences), people, self._things.get(image_id)]

    def _check(self, key: str, item: dict[str, Any]) -> PersonRef | None:
        """The person if usable, None if merely unsuitable; raises `Rejected` for a broken annotation."""
        where = f"annotation {key}"
        record = self._record(item, where)
        width, height = record["width"], record["height"]
        points = _keypoints(item, where)
        known = points[:, 2] > 0
        x, y = points[known, 0], points[known, 1]
        if ((x < -1) | (x > width + 1) | (y < -1) | (y > height + 1)).any():
            raise Rejected("keypoint outside the image", where)
        check_segmentation(item.get("segmentation"), width, height, where)
        left, top, w, h = check_box(item.get("bbox"), where)
        cut_at_bottom = top + h >= height - BORDER
        cut_elsewhere = left <= BORDER or top <= BORDER or left + w >= width - BORDER
        if (
            h < self.min_height
            or cut_elsewhere
            or known.sum() < self.min_keypoints
            # Legs hidden by a table look cut off anywhere but at the frame's lower edge.
            or not (cut_at_bottom or feet(points) > 0)
        ):
            return None
        mask, belongings = self._cut_mask(key, item)
        if not _is_whole(mask, belongings, points, h, cut_at_bottom):
            return None
        return PersonRef(key, group_of(record), round(h), cut_at_bottom, carries=bool(belongings.things))

    def _record(self, item: dict[str, Any], where: str) -> dict[str, Any]:
        record = self._records.get(_image_id(item))
        if record is None:
            raise Rejected("annotation without an image", where)
        return record

    def _cut_mask(self, key: str, item: dict[str, Any]) -> tuple[np.ndarray, Belongings]:
        """bool[H, W]: what is cut out for this person, and the things in it."""
        image_id, where = item["image_id"], f"annotation {key}"
        mask = self._mask(item, image_id, where)
        if not mask.any():
            raise Rejected("empty mask", where)
        belongings = self._belongings(image_id).get(key) if image_id in self._things else None
        belongings = belongings or Belongings()
        return union(mask, belongings.things), belongings

    def _share_out(self, image_id: int) -> dict[str, Belongings]:
        """By key, the belongings of those people of an image who may have any."""
        boxes = {}
        for key in self._keys_of[image_id]:
            # A person with a broken annotation is counted where the person is looked at.
            with contextlib.suppress(Rejected):
                boxes[key] = check_box(self._annotations[key].get("bbox"), key)
        things, beside = [], set[str]()
        for item in self._things[image_id]:
            where = f"annotation {item['id']}"
            try:
                box = check_box(item.get("bbox"), where)
                near = {key for key, other in boxes.items() if _near(box, other)}
                if near:
                    mask = self._mask(item, image_id, where)
                    things.append(Thing(str(item["id"]), item["name"], mask))
                    beside |= near
            except Rejected as rejected:
                reason = f"carried object: {rejected.reason}"
                if (reason, where) not in self._broken_things:
                    self._broken_things.add((reason, where))
                    self.rejections.add(Rejected(reason, where))
        bodies = []
        for key in boxes.keys() & beside:
            item = self._annotations[key]
            with contextlib.suppress(Rejected):
                mask = self._mask(item, image_id, key)
                bodies.append(Body(key, mask, _keypoints(item, key), boxes[key][3]))
        return share_out(sorted(bodies, key=lambda body: int(body.key)), things)

    def _mask(self, item: dict[str, Any], image_id: int, where: str) -> np.ndarray:
        """bool[H, W] of one annotation; raises `Rejected`."""
        height, width = self._records[image_id]["height"], self._records[image_id]["width"]
        check_segmentation(item.get("segmentation"), width, height, where)
        return decode(item["segmentation"], height, width, where)

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        item = self._annotations[key]
        record = self._record(item, f"annotation {key}")
        image, sha256 = self._folder.image(record)
        mask, belongings = self._cut_mask(key, item)
        crop = cut_out(image, without_specks(mask, item["bbox"][3]), scale=scale)
        points = crop.keypoints(_keypoints(item, f"annotation {key}"))
        licence = self._folder.licence_of(record, self._licences)
        annotation = "+".join([key, *(thing.key for thing in belongings.things)])
        provenance = Provenance(self.name, record["file_name"], sha256, licence, annotation)
        carried = tuple(thing.name for thing in belongings.things)
        return Cutout(crop.rgba, crop.parsing, points, provenance, carried, scale=crop.scale)


class CocoBackgrounds(BackgroundSource):
    """Images in which `instances_SPLIT.json` has no person at all; crowd regions count as people.

    Args:
        path: the COCO folder.
        split: part of the file names.
        min_side: smallest image taken, in pixels of the shorter side.
    """

    def __init__(self, path: str, split: str = "train2017", min_side: int = 256) -> None:
        self._folder = CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_side = min_side
        self.rejections = Rejections()

    def backgrounds(self) -> Sequence[BackgroundRef]:
        instances = self._folder.instances()
        return [
            BackgroundRef(str(number), group_of(record))
            for number, record in sorted(instances.records.items())
            if number not in instances.with_people and min(record["width"], record["height"]) >= self.min_side
        ]

    def photo(self, key: str) -> Path:
        return self._folder.photo(self._folder.instances().records[int(key)])

    def annotation(self, key: str) -> Any:
        instances = self._folder.instances()
        return self._folder.facts(instances.records[int(key)], instances.licences)

    def background(self, key: str) -> Background:
        instances = self._folder.instances()
        record = instances.records[int(key)]
        image, sha256 = self._folder.image(record)
        licence = self._folder.licence_of(record, instances.licences)
        return Background(image, Provenance(self.name, record["file_name"], sha256, licence))


def _is_whole(
    mask: np.ndarray, belongings: Belongings, points: np.ndarray, height: float, cut_at_bottom: bool
) -> bool:
    """Does a person of `height` pixels look complete, cut out by `mask` with these belongings?"""
    rides = belongings.rides
    # Somebody who ends at the lower border may carry a bag that ends there too; a wheel may not.
    cut_thing = any(thing.cut_by_border for thing in belongings.things)
    return (
        not belongings.lost_ride
        and not (cut_thing and (rides or not cut_at_bottom))
        # A rider's other foot is behind the wheel, and a rider sits on what comes along.
        and (rides or cut_at_bottom or feet(points) == 2)
        and (rides or not seated(points))
        and not hidden_leg(points, mask, height)
        and bool(without_specks(mask, height).sum() >= IN_ONE_PIECE * mask.sum())
    )


def _image_id(item: dict[str, Any]) -> int:
    """The id of an annotation's image, -1 when there is none."""
    number = item.get("image_id")
    return number if isinstance(number, int) else -1


def _keypoints(item: dict[str, Any], where: str) -> np.ndarray:
    """float64[17, 3]; raises `Rejected`."""
    try:
        numbers = np.asarray(item.get("keypoints"), dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (51,) or not np.isfinite(numbers).all():
        raise Rejected("keypoints broken or not finite", where)
    return numbers.reshape(17, 3)


def _near(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    """Can things in these boxes (x, y, w, h) touch?"""
    return all(a[i] <= b[i] + b[i + 2] + TOUCH and b[i] <= a[i] + a[i + 2] + TOUCH for i in (0, 1))
