"""COCO folders on disk: annotation files, image records, images and masks, with everything broken named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.errors import UserError
from mildbench.files import file_sha256, inside, read_json
from synth.sources.base import Rejected, read_photo

PERSON = 1
"""COCO's category id of a person."""


@dataclass(frozen=True)
class Instances:
    """What sources keep of `instances_SPLIT.json`; the file itself has gigabytes for all of COCO."""

    records: dict[int, dict[str, Any]]
    """Image records by id."""
    licences: dict[int, str]
    with_people: frozenset[int]
    """Ids of images with a person or a crowd."""
    things: dict[int, list[dict[str, Any]]]
    """Image id -> annotations of single things (neither people nor crowds), each with its category's `name`."""


class CocoFolder:
    """One split of a COCO folder.

    Args:
        path: the folder that holds `annotations/` and the split's folder of images.
        split: part of the file names, e.g. `train2017`.
        scheme: the source's scheme, for names and messages.
    """

    def __init__(self, path: str, split: str, scheme: str = "coco") -> None:
        self.root = Path(path)
        self.split = split
        if not self.root.is_dir():
            raise UserError(
                f"source {scheme}: the folder {self.root} does not exist: "
                "give the folder that holds annotations/"
            )
        self.name = f"{scheme}?split={split}"
        self.licence = "annotations CC-BY-4.0; each photo under its own Flickr licence"

    def annotation_file(self, kind: str) -> Path:
        """Path of `annotations/KIND_SPLIT.json`."""
        return self.root / "annotations" / f"{kind}_{self.split}.json"

    def read(self, kind: str) -> dict[str, Any]:
        """One annotation file; raises `UserError` when it is missing or not COCO's."""
        return read_coco(self.annotation_file(kind), self.split)

    def instances(self) -> Instances:
        """The things of this split, read once a process for all sources that need them."""
        path = self.annotation_file("instances")
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        return _read_instances(path, self.split, stamp)

    def licence_of(self, record: dict[str, Any], licences: dict[int, str]) -> str:
        """The photo's own licence, or the split's general one when its record names none."""
        return licences.get(record.get("license", -1), self.licence)

    def facts(self, record: dict[str, Any], licences: dict[int, str]) -> Any:
        """What is used of an image's record, as JSON values."""
        sizes = [record[name] for name in ("file_name", "width", "height")]
        return [*sizes, self.licence_of(record, licences)]

    def photo(self, record: dict[str, Any]) -> Path:
        """The image's file; raises `UserError` for a name that leaves the folder."""
        return inside(self.root / self.split, record["file_name"], "COCO file_name")

    def image(self, record: dict[str, Any]) -> tuple[np.ndarray, str]:
        """uint8[H, W, 3] and the file's sha256; raises `Rejected` when missing, broken or of another size."""
        path = self.photo(record)
        image = read_photo(path)
        if image.shape[:2] != (record["height"], record["width"]):
            said = f"{record['width']}x{record['height']}"
            example = f"{record['file_name']}: annotations say {said}"
            raise Rejected("image of another size than its annotations", example)
        return image, file_sha256(path)


def read_coco(path: Path, split: str) -> dict[str, Any]:
    """A COCO-style file as published; raises `UserError` when it is missing or not one."""
    content = read_json(path, f"COCO annotations of split {split!r}")
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise UserError(f"{path} is not a COCO file: it has no 'images' and 'annotations'")
    return content


def image_records(content: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Image records by id; one that lacks a name or a size is left out, as if the image were not listed."""
    return {
        record["id"]: record
        for record in content["images"]
        if isinstance(record.get("file_name"), str)
        and all(isinstance(record.get(side), int) and record[side] > 0 for side in ("width", "height"))
    }


def licence_names(content: dict[str, Any]) -> dict[int, str]:
    """Licence names by id."""
    return {item["id"]: str(item["name"]) for item in content.get("licenses") or []}


def group_of(record: dict[str, Any]) -> str:
    """The source image as a split's unit: file names are unique over COCO's splits, so subsets share groups."""
    return f"coco/{Path(record['file_name']).name}"


@lru_cache(maxsize=2)
def _read_instances(path: Path, split: str, stamp: int) -> Instances:
    content = read_coco(path, split)
    names = {item["id"]: str(item["name"]) for item in content.get("categories") or []}
    with_people, things = set(), dict[int, list[dict[str, Any]]]()
    for item in content["annotations"]:
        if item["category_id"] == PERSON:
            with_people.add(item["image_id"])
        elif not item.get("iscrowd") and item["category_id"] in names:
            things.setdefault(item["image_id"], []).append(item | {"name": names[item["category_id"]]})
    return Instances(image_records(content), licence_names(content), frozenset(with_people), things)


def check_box(box: Any, where: str) -> tuple[float, float, float, float]:
    """x, y, width and height in pixels; raises `Rejected` for what is not a box."""
    numbers = [v for v in box if isinstance(v, int | float)] if isinstance(box, list) else []
    if len(numbers) != 4 or not all(math.isfinite(v) for v in numbers) or min(numbers[2:]) <= 0:
        raise Rejected("broken box", where)
    x, y, w, h = numbers
    return x, y, w, h


def check_segmentation(segmentation: Any, width: int, height: int, where: str) -> None:
    """Raises `Rejected` unless this is a polygon list or run lengths for an image of this size."""
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise Rejected("mask of another size than its image", where)
        counts = segmentation.get("counts")
        if isinstance(counts, list):
            sound = all(isinstance(n, int) and n >= 0 for n in counts) and sum(counts) == width * height
        else:
            sound = isinstance(counts, str | bytes)
        if not sound:
            raise Rejected("broken run lengths", where)
        return
    if not isinstance(segmentation, list) or not segmentation:
        raise Rejected("no segmentation", where)
    for polygon in segmentation:
        points = _numbers(polygon)
        if points.ndim != 1 or points.size < 6 or points.size % 2 or not np.isfinite(points).all():
            raise Rejected("broken polygon", where)
        x, y = points[0::2], points[1::2]
        if x.min() < -1 or y.min() < -1 or x.max() > width + 1 or y.max() > height + 1:
            raise Rejected("polygon out of the image's bounds", where)


def _numbers(polygon: Any) -> np.ndarray:
    try:
        return np.asarray(polygon if isinstance(polygon, list) else [], dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def decode(segmentation: Any, height: int, width: int, where: str) -> np.ndarray:
    """bool[H, W] from checked COCO polygons or run lengths; raises `Rejected` for runs that do not decode."""
    try:
        if isinstance(segmentation, list):
            rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation["counts"], list):
            rle = coco_mask.frPyObjects(segmentation, height, width)
        else:
            rle = segmentation
        return coco_mask.decode(rle).astype(bool)
    except ValueError:
        raise Rejected("broken run lengths", where) from None
