"""`coco:FOLDER?split=train2017`: people and clean backgrounds from a COCO folder.

Layout as published: `FOLDER/annotations/person_keypoints_SPLIT.json`, `instances_SPLIT.json`, and the images
in `FOLDER/SPLIT/`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.errors import UserError
from mildbench.files import file_sha256, inside, read_json
from mildbench.images import read_rgb
from mildbench.labels import UNLABELLED
from mildbench.scene import Provenance
from synth.cutout import refine
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

PERSON = 1
LEFT_ANKLE, RIGHT_ANKLE = 15, 16
BORDER = 2
"""A box within so many pixels of the image border counts as cut by it."""


class _CocoFolder:
    """One split of a COCO folder: annotation files, image records, images."""

    def __init__(self, path: str, split: str) -> None:
        self.root = Path(path)
        self.split = split
        if not self.root.is_dir():
            raise UserError(
                f"source coco: the folder {self.root} does not exist: give the folder that holds annotations/"
            )
        self.name = f"coco?split={split}"
        self.licence = "annotations CC-BY-4.0; each photo under its own Flickr licence"

    def read(self, kind: str) -> dict[str, Any]:
        path = self.root / "annotations" / f"{kind}_{self.split}.json"
        content = read_json(path, f"COCO annotations of split {self.split!r}")
        if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
            raise UserError(f"{path} is not a COCO file: it has no 'images' and 'annotations'")
        return content

    def licence_of(self, record: dict[str, Any], content: dict[str, Any]) -> str:
        names = {item["id"]: item["name"] for item in content.get("licenses") or []}
        return str(names.get(record.get("license"), self.licence))

    def image(self, record: dict[str, Any]) -> tuple[np.ndarray, str]:
        """The image and its sha256; raises `Rejected` when it is missing, broken or of another size."""
        name = record["file_name"]
        path = inside(self.root / self.split, name, "COCO file_name")
        try:
            image = read_rgb(path)
        except UserError as error:
            raise Rejected("image missing or unreadable", str(error)) from None
        if image.shape[:2] != (record["height"], record["width"]):
            said = f"{record['width']}x{record['height']}"
            raise Rejected("image of another size than its annotations", f"{name}: annotations say {said}")
        return image, file_sha256(path)


def _group(record: dict[str, Any]) -> str:
    # COCO's file names are unique over all its splits, so subsets kept in several folders share groups.
    return f"coco/{Path(record['file_name']).name}"


class CocoPeople(PeopleSource):
    """People with keypoints, filtered to those that can stand alone.

    Args:
        path: the COCO folder.
        split: part of the file names, e.g. `train2017`.
        min_height: smallest person taken, in source pixels.
        min_keypoints: fewest labelled keypoints; an occluded or cropped person has few.
    """

    def __init__(
        self, path: str, split: str = "train2017", min_height: int = 96, min_keypoints: int = 8
    ) -> None:
        self._folder = _CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_height = min_height
        self.min_keypoints = min_keypoints
        self.rejections = Rejections()

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._folder.read("person_keypoints")

    @cached_property
    def _records(self) -> dict[int, dict[str, Any]]:
        return {record["id"]: record for record in self._content["images"]}

    @cached_property
    def _annotations(self) -> dict[str, dict[str, Any]]:
        return {str(item["id"]): item for item in self._content["annotations"]}

    def people(self) -> Sequence[PersonRef]:
        found = []
        for key, item in sorted(self._annotations.items(), key=lambda pair: int(pair[0])):
            if item.get("iscrowd") or not item.get("num_keypoints"):
                continue
            try:
                ref = self._check(key, item)
            except Rejected as rejected:
                self.rejections.add(rejected)
                continue
            if ref is not None:
                found.append(ref)
        return found

    def _check(self, key: str, item: dict[str, Any]) -> PersonRef | None:
        """The person if usable, None if merely unsuitable; raises `Rejected` for a broken annotation."""
        where = f"annotation {key}"
        record = self._records.get(item["image_id"])
        if record is None:
            raise Rejected("annotation without an image", where)
        width, height = record["width"], record["height"]
        keypoints = np.asarray(item["keypoints"], dtype=np.float64)
        if keypoints.shape != (51,) or not np.isfinite(keypoints).all():
            raise Rejected("keypoints broken or not finite", where)
        x, y, visible = keypoints.reshape(17, 3).T
        known = visible > 0
        if ((x < -1) | (x > width + 1) | (y < -1) | (y > height + 1))[known].any():
            raise Rejected("keypoint outside the image", where)
        _check_segmentation(item["segmentation"], width, height, where)
        left, top, w, h = item["bbox"]
        cut_at_bottom = top + h >= height - BORDER
        cut_elsewhere = left <= BORDER or top <= BORDER or left + w >= width - BORDER
        on_own_feet = (visible[[LEFT_ANKLE, RIGHT_ANKLE]] == 2).any()
        suitable = (
            h >= self.min_height
            and not cut_elsewhere
            and known.sum() >= self.min_keypoints
            # Legs hidden by a table look cut off anywhere but at the frame's lower edge.
            and (on_own_feet or cut_at_bottom)
        )
        return PersonRef(key, _group(record), round(h), cut_at_bottom) if suitable else None

    def cutout(self, key: str) -> Cutout:
        item = self._annotations[key]
        record = self._records[item["image_id"]]
        image, sha256 = self._folder.image(record)
        mask = _decode(item["segmentation"], record["height"], record["width"])
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if rows.size == 0:
            raise Rejected("empty mask", f"annotation {key}")
        margin = max(4, round((rows[-1] - rows[0]) / 20))
        top, left = max(rows[0] - margin, 0), max(columns[0] - margin, 0)
        window = np.s_[top : rows[-1] + 1 + margin, left : columns[-1] + 1 + margin]
        rgba = refine(image[window], mask[window])
        keypoints = np.asarray(item["keypoints"], dtype=np.float32).reshape(17, 3).copy()
        keypoints[keypoints[:, 2] > 0, :2] -= (left, top)
        parsing = np.where(rgba[..., 3] >= 128, UNLABELLED, 0).astype(np.uint8)
        licence = self._folder.licence_of(record, self._content)
        return Cutout(
            rgba, parsing, keypoints, Provenance(self.name, record["file_name"], sha256, licence, key)
        )


class CocoBackgrounds(BackgroundSource):
    """Images in which `instances_SPLIT.json` has no person at all; crowd regions count as people.

    Args:
        path: the COCO folder.
        split: part of the file names.
        min_side: smallest image taken, in pixels of the shorter side.
    """

    def __init__(self, path: str, split: str = "train2017", min_side: int = 256) -> None:
        self._folder = _CocoFolder(path, split)
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_side = min_side
        self.rejections = Rejections()

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._folder.read("instances")

    @cached_property
    def _records(self) -> dict[str, dict[str, Any]]:
        return {str(record["id"]): record for record in self._content["images"]}

    def backgrounds(self) -> Sequence[BackgroundRef]:
        categories: dict[str, set[int]] = defaultdict(set)
        for item in self._content["annotations"]:
            categories[str(item["image_id"])].add(item["category_id"])
        return [
            BackgroundRef(key, _group(record))
            for key, record in sorted(self._records.items(), key=lambda pair: int(pair[0]))
            if PERSON not in categories[key] and min(record["width"], record["height"]) >= self.min_side
        ]

    def background(self, key: str) -> Background:
        record = self._records[key]
        image, sha256 = self._folder.image(record)
        licence = self._folder.licence_of(record, self._content)
        return Background(image, Provenance(self.name, record["file_name"], sha256, licence))


def _check_segmentation(segmentation: Any, width: int, height: int, where: str) -> None:
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise Rejected("mask of another size than its image", where)
        return
    if not isinstance(segmentation, list) or not segmentation:
        raise Rejected("no segmentation", where)
    for polygon in segmentation:
        points = np.asarray(polygon, dtype=np.float64) if isinstance(polygon, list) else np.empty(0)
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise Rejected("broken polygon", where)
        x, y = points[0::2], points[1::2]
        if x.min() < -1 or y.min() < -1 or x.max() > width + 1 or y.max() > height + 1:
            raise Rejected("polygon out of the image's bounds", where)


def _decode(segmentation: Any, height: int, width: int) -> np.ndarray:
    """bool[H, W] from COCO polygons, uncompressed or compressed RLE."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, height, width)
    else:
        rle = segmentation
    return coco_mask.decode(rle).astype(bool)
