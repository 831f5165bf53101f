"""COCO folders on disk: annotation files, images and masks, with everything broken named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.errors import UserError
from mildbench.files import below, file_sha256
from mildbench.geometry import Box
from synth.material import Rejected
from synth.sources.base import read_photo
from synth.sources.coco_content import Content, Item, is_crowd, key_of, read_content
from synth.sources.names import called, means_people, on_disk, same_file

_UNKNOWN = "nobody knows which pictures are free of people"
_LONGEST_RUN = 6
"""Characters, of five bits each, in which a compressed run length may be written."""


@dataclass(frozen=True)
class Instances:
    """What sources keep of `instances_SPLIT.json`; the file itself has gigabytes for all of COCO."""

    records: dict[str, Item]
    """Image records by id."""
    licences: dict[str, str]
    peopled: frozenset[str]
    """Ids of images with a person or a crowd."""
    doubtful: frozenset[str]
    """Ids of images with an annotation of no known category, which may be a person."""
    things: dict[str, list[Item]]
    """Image id -> annotations of single things (neither people nor crowds), each with its category's `name`."""
    problems: tuple[Rejected, ...]
    """Broken records."""
    doubt: str | None
    """Why nobody knows which pictures are free of people; None where it is known."""


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

    def read(self, kind: str) -> Content:
        """One annotation file; raises `UserError` when it is missing or not COCO's."""
        return read_content(self.annotation_file(kind), self.split)

    def instances(self, label: str) -> Instances:
        """What is where in this split, read once a process for all sources that need it.

        Raises `UserError` where no category is called `label`, which stands for people.
        """
        path = self.annotation_file("instances")
        stamp = path.stat().st_mtime_ns if path.is_file() else 0
        return _read_instances(path, self.split, label, stamp)

    def licence_of(self, record: Item, licences: dict[str, str]) -> str:
        """The photo's own licence, or the split's general one when its record names none."""
        return licences.get(key_of(record.get("license")) or "", self.licence)

    def facts(self, record: Item, licences: dict[str, str]) -> Any:
        """What is used of an image's record, as JSON values."""
        sizes = [record[name] for name in ("file_name", "width", "height")]
        return [*sizes, self.licence_of(record, licences)]

    def photo(self, record: Item) -> Path:
        """The image's file; raises `UserError` for a name that leaves the folder."""
        return on_disk(below(self.root / self.split, record["file_name"], "COCO file_name"))

    def image(self, record: Item) -> tuple[np.ndarray, str]:
        """uint8[H, W, 3] and the file's sha256; raises `Rejected` when missing, broken or of another size."""
        path = self.photo(record)
        image = read_photo(path)
        if image.shape[:2] != (record["height"], record["width"]):
            said = f"{record['width']}x{record['height']}"
            example = f"{record['file_name']}: annotations say {said}"
            raise Rejected("image of another size than its annotations", example)
        return image, file_sha256(path)


def group_of(record: Item) -> str:
    """The source image as a split's unit: file names are unique over COCO's splits, so subsets share groups."""
    return f"coco/{same_file(Path(record['file_name']).name)}"


@lru_cache(maxsize=2)
def _read_instances(path: Path, split: str, label: str, stamp: int) -> Instances:
    content = read_content(path, split)
    names = {key: str(item["name"]) for key, item in content.categories.items()}
    called(label, names.values(), str(path))
    people = {
        key
        for key, item in content.categories.items()
        if means_people(names[key], label) or means_people(str(item.get("supercategory")), label)
    }
    peopled, doubtful, things = set[str](), set[str](), dict[str, list[Item]]()
    for item in content.annotations:
        image, category = item["image_id"] or "", item["category_id"]
        if category in people:
            peopled.add(image)
        elif category not in names:
            doubtful.add(image)
        elif not is_crowd(item):
            things.setdefault(image, []).append(item | {"name": names[category]})
    lost = sorted(peopled - content.records.keys())
    problems = [Rejected("person in an image that is not listed", f"image {key or '?'}") for key in lost]
    doubt = None
    if not content.annotations:
        doubt = f"{path} annotates nothing, so {_UNKNOWN}: give the file that says what is in the pictures"
    elif "" in peopled:
        doubt = f"{path}: a person's annotation has no image id, so {_UNKNOWN}: give it one, or remove it"
    elif lost and not peopled & content.records.keys() and not content.problems:
        doubt = (
            f"{path}: no image that a person is annotated in is listed, image {lost[0]} for one, so {_UNKNOWN}: write "
            "the ids of images alike"
        )
    return Instances(
        content.records,
        content.licences,
        _under_all_ids(peopled, content.records, split),
        _under_all_ids(doubtful, content.records, split),
        things,
        (*content.problems, *problems),
        doubt,
    )


def _under_all_ids(images: set[str], records: dict[str, Item], split: str) -> frozenset[str]:
    """The ids of all records of these images' photos: one listed twice has its annotations under one of its ids."""
    files = {key: same_file(f"{split}/{record['file_name']}") for key, record in records.items()}
    photos = {files[image] for image in images & records.keys()}
    return frozenset(key for key, file in files.items() if file in photos)


def check_box(box: Any, where: str) -> tuple[float, float, float, float]:
    """x, y, width and height in pixels; raises `Rejected` for what is not a box."""
    numbers = [v for v in box if isinstance(v, int | float)] if isinstance(box, list) else []
    if len(numbers) != 4 or not all(math.isfinite(v) for v in numbers) or min(numbers[2:]) <= 0:
        raise Rejected("broken box", where)
    x, y, w, h = numbers
    return x, y, w, h


def box_of(segmentation: Any, height: int, width: int, where: str) -> tuple[float, float, float, float]:
    """x, y, width and height in pixels of what a checked segmentation marks, which its annotation may state wrongly.

    Raises `Rejected` for a segmentation that marks nothing.
    """
    if isinstance(segmentation, list):
        points = np.concatenate([_numbers(polygon).reshape(-1, 2) for polygon in segmentation])
        x, y, right, bottom = (float(v) for v in (*points.min(axis=0), *points.max(axis=0)))
    else:
        x, y, right, bottom = Box.around(decode(segmentation, height, width, where))
    if right <= x or bottom <= y:
        raise Rejected("empty mask", where)
    return x, y, right - x, bottom - y


_TRIANGLE = 6
"""Numbers of the smallest polygon that has an area."""


def check_segmentation(segmentation: Any, width: int, height: int, where: str) -> None:
    """Raises `Rejected` unless this is a polygon list or run lengths for an image of this size."""
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            raise Rejected("mask of another size than its image", where)
        _run_lengths(segmentation.get("counts"), width * height, where)
        return
    if not isinstance(segmentation, list) or not segmentation:
        raise Rejected("no segmentation", where)
    for polygon in _areas(segmentation) or segmentation:
        points = _numbers(polygon)
        if points.ndim != 1 or points.size < _TRIANGLE or points.size % 2 or not np.isfinite(points).all():
            raise Rejected("broken polygon", where)
        x, y = points[0::2], points[1::2]
        if x.min() < -1 or y.min() < -1 or x.max() > width + 1 or y.max() > height + 1:
            raise Rejected("polygon out of the image's bounds", where)


def _areas(polygons: list[Any]) -> list[Any]:
    """Those but points and lines, which some tools leave behind; pycocotools would take four numbers for a box."""
    return [polygon for polygon in polygons if not (isinstance(polygon, list) and len(polygon) < _TRIANGLE)]


def _numbers(polygon: Any) -> np.ndarray:
    try:
        return np.asarray(polygon if isinstance(polygon, list) else [], dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def decode(segmentation: Any, height: int, width: int, where: str) -> np.ndarray:
    """bool[H, W] from checked COCO polygons or run lengths; raises `Rejected` for runs that fill no such mask."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(_areas(segmentation), height, width))
        return coco_mask.decode(rle).astype(bool)
    # Not by pycocotools: runs that end too early leave it with memory that nobody wrote.
    runs = _run_lengths(segmentation["counts"], height * width, where)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(flat.reshape(width, height).T)


def _run_lengths(counts: Any, pixels: int, where: str) -> np.ndarray:
    """int64[N]: pixels off, on, off ..., down the columns; raises `Rejected` unless they are so many in all."""
    if isinstance(counts, list) and all(type(count) is int and 0 <= count <= pixels for count in counts):
        runs: np.ndarray | None = np.array(counts, dtype=np.int64)
    else:
        runs = _decompressed(counts) if isinstance(counts, str | bytes) else None
    if runs is None or runs.min(initial=0) < 0 or runs.sum() != pixels:
        raise Rejected("broken run lengths", where)
    return runs


def _decompressed(counts: str | bytes) -> np.ndarray | None:
    """int64[N]: the run lengths in COCO's compressed text, None where that ends in the middle or is none."""
    text = counts.encode("ascii", "replace") if isinstance(counts, str) else counts
    # Five bits a character, the lowest first; the sixth says that more follow, the fifth of the last is the sign.
    digits = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(digits & 32 == 0)
    if not len(ends) or ends[-1] != len(digits) - 1 or digits.min() < 0 or digits.max() > 63:
        return None
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_RUN:
        return None
    places = np.arange(len(digits)) - np.repeat(starts, lengths)
    runs: np.ndarray = np.add.reduceat((digits & 31) << 5 * places, starts)
    runs -= np.where(digits[ends] & 16, np.int64(1) << 5 * lengths, 0)
    # From the fourth on, each is the difference to the one before the last.
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
