"""`coco:FOLDER?split=val2017` as segmented pictures: COCO panoptic, every pixel a thing or a part of the background.

Layout as published: `FOLDER/annotations/panoptic_SPLIT.json`, `FOLDER/annotations/panoptic_SPLIT/*.png`, and the
images in `FOLDER/SPLIT/`. `mildbench segment` makes such a folder of any photos. Categories are those that the file
lists, whatever their names and numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mildbench.annotators.panoptic import segment_ids
from mildbench.errors import UserError
from mildbench.files import below
from mildbench.images import read_rgb
from mildbench.scene import Provenance
from synth.material import BackgroundRef, Known, Rejected, Rejections, Segment, SegmentedImage
from synth.sources.base import SegmentedSource
from synth.sources.coco_content import Content, Item, is_crowd, key_of
from synth.sources.coco_folder import CocoFolder, group_of
from synth.sources.names import called, in_order, means_people, on_disk


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
    def _content(self) -> Content:
        return self._folder.read("panoptic")

    @cached_property
    def _categories(self) -> dict[str, tuple[str, bool]]:
        """Id -> name, and whether it is a thing; one that does not say so is not known."""
        return {
            key: (item["name"], bool(item["isthing"]))
            for key, item in self._content.categories.items()
            if "isthing" in item
        }

    @cached_property
    def _annotations(self) -> dict[str, Item]:
        found: dict[str, Item] = {}
        twice = set[str]()
        for place, item in enumerate(self._content.annotations):
            key = item["image_id"]
            if key is None:
                self.rejections.add(Rejected("annotation without an image", f"annotation number {place}"))
            elif found.setdefault(key, item) != item:
                twice.add(key)
        for key in twice:
            del found[key]
            self.rejections.add(Rejected("image with two segmentations", f"image {key}"))
        return found

    @property
    def known(self) -> Literal[Known.PANOPTIC, Known.ANNOTATOR]:
        """Whether people made the segmentation or a model did (`mildbench segment`)."""
        return Known.ANNOTATOR if self._content.by_model else Known.PANOPTIC

    def images(self) -> Sequence[BackgroundRef]:
        names = set(self._content.licences.values())
        if len(names) == 1:
            (self.licence,) = names
        for problem in self._content.problems:
            self.rejections.add(problem)
        self.left_out.clear()
        found = []
        for key, item in self._annotations.items():
            try:
                record = self._check(key, item)
            except Rejected as rejected:
                self.rejections.add(rejected)
                continue
            if min(record["width"], record["height"]) >= self.min_side:
                found.append(BackgroundRef(key, group_of(record)))
            else:
                self.left_out[f"smaller than {self.min_side} px"] += 1
        return sorted(found, key=lambda ref: in_order(ref.key))

    def check_people(self, label: str) -> None:
        """Raises `UserError` where no category means people: then the file does not say where they are.

        One that `mildbench segment` made lists what it found, which may be nobody.
        """
        if self._content.by_model:
            return
        names = [str(item["name"]) for item in self._content.categories.values()]
        if not any(means_people(name, label) for name in names):
            called(label, names, str(self._folder.annotation_file("panoptic")))

    def __contains__(self, key: str) -> bool:
        """Whether an image is segmented."""
        return key in self._annotations

    def categories(self, key: str) -> list[str]:
        """Of the segments of one of `images`."""
        segments = self._annotations[key]["segments_info"]
        return [self._categories[key_of(segment["category_id"]) or ""][0] for segment in segments]

    def _check(self, key: str, item: Item) -> Item:
        """The image's record; raises `Rejected` for a broken annotation."""
        record = self._content.records.get(key)
        if record is None:
            raise Rejected("annotation without an image", f"image {key}")
        segments = item.get("segments_info")
        if not isinstance(item.get("file_name"), str) or not isinstance(segments, list) or not segments:
            raise Rejected("annotation without segments", f"image {key}")
        for segment in segments:
            known = isinstance(segment, dict) and "category_id" in segment
            if not known or (number := key_of(segment.get("id"))) is None or not number.isdecimal():
                raise Rejected("segment without id or category", f"image {key}")
            if key_of(segment["category_id"]) not in self._categories:
                raise Rejected("segment of an unknown category", f"image {key}")
        return record

    def photo(self, key: str) -> Path:
        return self._folder.photo(self._check(key, self._annotations[key]))

    def files(self, key: str) -> Sequence[Path]:
        return [self.photo(key), self._drawn(self._annotations[key]["file_name"])]

    def annotation(self, key: str) -> Any:
        item = self._annotations[key]
        segments = item["segments_info"]
        record = self._check(key, item)
        names = [self._categories[key_of(segment["category_id"]) or ""] for segment in segments]
        return [self._folder.facts(record, self._content.licences), segments, names]

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
        infos = {int(key_of(info["id"]) or 0): info for info in item["segments_info"]}
        if infos.keys() != index.keys():
            raise Rejected("segments listed and segments drawn differ", item["file_name"])
        segments = []
        for number, info in infos.items():
            name, is_thing = self._categories[key_of(info["category_id"]) or ""]
            segments.append(Segment(number, name, is_thing, is_crowd(info), inverse == index[number]))
        licence = self._folder.licence_of(record, self._content.licences)
        provenance = Provenance(self.name, record["file_name"], sha256, licence, key)
        return SegmentedImage(image, tuple(segments), provenance)

    def _numbers(self, file_name: str) -> np.ndarray:
        """int32[H, W]: segment ids, encoded as R + 256 G + 65536 B, 0 for unlabelled; raises `Rejected`."""
        path = self._drawn(file_name)
        try:
            drawn = read_rgb(path, "segmentation")
        except UserError as error:
            raise Rejected("segmentation missing or unreadable", str(error)) from None
        return segment_ids(drawn)

    def _drawn(self, file_name: str) -> Path:
        folder = self._folder.annotation_file("panoptic").with_suffix("")
        return on_disk(below(folder, file_name, "COCO panoptic file_name"))


def _only_split(path: str) -> str:
    """The split that a folder has, if it has one alone; else empty."""
    files = list(Path(path).glob("annotations/panoptic_*.json"))
    return files[0].stem.removeprefix("panoptic_") if len(files) == 1 else ""
