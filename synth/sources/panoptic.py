"""`coco:FOLDER?split=val2017` as segmented pictures: COCO panoptic, every pixel a thing or a part of the background.

Layout as published: `FOLDER/annotations/panoptic_SPLIT.json`, `FOLDER/annotations/panoptic_SPLIT/*.png`, and the
images in `FOLDER/SPLIT/`. `mildbench segment` makes such a folder of any photos. Categories are those that the file
lists, whatever their names and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.annotators.panoptic import segment_ids
from mildbench.errors import UserError
from mildbench.files import inside
from mildbench.images import read_rgb
from mildbench.scene import Provenance
from synth.sources.base import (
    BackgroundRef,
    Rejected,
    Rejections,
    Segment,
    SegmentedImage,
    SegmentedSource,
)
from synth.sources.coco_folder import CocoFolder, group_of, image_records, licence_names


class PanopticImages(SegmentedSource):
    """Photos with COCO's panoptic segmentation.

    Args:
        path: the COCO folder.
        split: part of the file names, e.g. `train2017`; empty for the only one there is, else `train2017`.
        min_side: smallest image taken, in pixels of the shorter side.
    """

    def __init__(self, path: str, split: str = "", min_side: int = 256) -> None:
        self._folder = CocoFolder(path, split or _only_split(path) or "train2017")
        self.name, self.licence = self._folder.name, self._folder.licence
        self.min_side = min_side
        self.rejections = Rejections()

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._folder.read("panoptic")

    @cached_property
    def _records(self) -> dict[int, dict[str, Any]]:
        return image_records(self._content)

    @cached_property
    def _categories(self) -> dict[int, tuple[str, bool]]:
        """Id -> name, and whether it is a thing."""
        return {c["id"]: (str(c["name"]), bool(c["isthing"])) for c in self._content.get("categories") or []}

    @cached_property
    def _annotations(self) -> dict[str, dict[str, Any]]:
        return {str(item.get("image_id")): item for item in self._content["annotations"]}

    def images(self) -> Sequence[BackgroundRef]:
        if len(names := licence_names(self._content)) == 1:
            (self.licence,) = names.values()
        found = []
        for key, item in self._annotations.items():
            try:
                record = self._check(key, item)
            except Rejected as rejected:
                self.rejections.add(rejected)
                continue
            if min(record["width"], record["height"]) >= self.min_side:
                found.append(BackgroundRef(key, group_of(record)))
        return sorted(found, key=lambda ref: int(ref.key))

    def _check(self, key: str, item: dict[str, Any]) -> dict[str, Any]:
        """The image's record; raises `Rejected` for a broken annotation."""
        record = self._records.get(item.get("image_id", -1))
        if record is None:
            raise Rejected("annotation without an image", f"image {key}")
        segments = item.get("segments_info")
        if not isinstance(item.get("file_name"), str) or not isinstance(segments, list) or not segments:
            raise Rejected("annotation without segments", f"image {key}")
        if any(not {"id", "category_id"} <= segment.keys() for segment in segments):
            raise Rejected("segment without id or category", f"image {key}")
        if any(segment["category_id"] not in self._categories for segment in segments):
            raise Rejected("segment of an unknown category", f"image {key}")
        return record

    def photo(self, key: str) -> Path:
        return self._folder.photo(self._check(key, self._annotations[key]))

    def files(self, key: str) -> Sequence[Path]:
        return [self.photo(key), self._drawn(self._annotations[key]["file_name"])]

    def annotation(self, key: str) -> Any:
        item = self._annotations[key]
        segments = item["segments_info"]
        names = [self._categories[segment["category_id"]] for segment in segments]
        record = self._check(key, item)
        return [self._folder.facts(record, licence_names(self._content)), segments, names]

    def image(self, key: str) -> SegmentedImage:
        item = self._annotations[key]
        record = self._check(key, item)
        image, sha256 = self._folder.image(record)
        numbers = self._numbers(item["file_name"])
        if numbers.shape != image.shape[:2]:
            raise Rejected("segmentation of another size than its image", item["file_name"])
        present, inverse = np.unique(numbers, return_inverse=True)
        inverse = inverse.reshape(numbers.shape)
        index = {int(number): k for k, number in enumerate(present) if number > 0}
        listed = {segment["id"] for segment in item["segments_info"]}
        if listed != index.keys():
            raise Rejected("segments listed and segments drawn differ", item["file_name"])
        segments = []
        for info in item["segments_info"]:
            name, is_thing = self._categories[info["category_id"]]
            mask = inverse == index[info["id"]]
            segments.append(Segment(info["id"], name, is_thing, bool(info.get("iscrowd")), mask))
        licence = self._folder.licence_of(record, licence_names(self._content))
        provenance = Provenance(self.name, record["file_name"], sha256, licence, key)
        return SegmentedImage(image, tuple(segments), provenance)

    def _numbers(self, file_name: str) -> np.ndarray:
        """int32[H, W]: segment ids, encoded as R + 256 G + 65536 B, 0 for unlabelled; raises `Rejected`."""
        try:
            drawn = read_rgb(self._drawn(file_name), "segmentation")
        except UserError as error:
            raise Rejected("segmentation missing or unreadable", str(error)) from None
        return segment_ids(drawn)

    def _drawn(self, file_name: str) -> Path:
        folder = self._folder.annotation_file("panoptic").with_suffix("")
        return inside(folder, file_name, "COCO panoptic file_name")


def _only_split(path: str) -> str:
    """The split that a folder has, if it has one alone; else empty."""
    files = list(Path(path).glob("annotations/panoptic_*.json"))
    return files[0].stem.removeprefix("panoptic_") if len(files) == 1 else ""
