"""`fiftyone:NAME`: people and backgrounds from any FiftyOne data set, saved view or downloaded zoo data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.identity import pixels_sha256
from mildbench.images import read_labels
from mildbench.posture import feet, hidden_leg, seated
from mildbench.scene import Provenance
from synth.material import Background, BackgroundRef, Cutout, LeftOut, PersonRef, Rejected, Rejections
from synth.sources.base import BackgroundSource, PeopleSource, read_photo
from synth.sources.crop import cut_out, without_specks
from synth.sources.fiftyone_samples import Instance, Row, Samples
from synth.sources.names import called, means_people

BORDER = 2
"""A box within so many pixels of the image border counts as cut by it."""
IN_ONE_PIECE = 0.95
"""Smallest share of a mask in one piece; an occluder cuts the others in two."""
POINTS_INSIDE = 0.9
"""Keypoints belong to a person when this share of them lies in the person's box."""


class FiftyonePeople(PeopleSource):
    """Detections with instance masks, of a person's label.

    Args:
        path: name of the data set.
        view: a saved view; the whole data set if empty.
        field: the field with the detections; may be left out where there is only one.
        label: the label of people, in any case.
        keypoints: a field with COCO-17 keypoints; without it, pose is unknown and hidden legs go unnoticed.
        zoo: a downloaded split of the zoo data set of this name, or `all`.
        min_height: smallest person taken, in pixels.
    """

    def __init__(
        self,
        path: str,
        view: str = "",
        field: str = "",
        label: str = "person",
        keypoints: str = "",
        zoo: str = "",
        min_height: int = 96,
    ) -> None:
        self._samples = Samples(path, view, field, keypoints, zoo)
        self.name, self.licence = self._samples.name, self._samples.licence
        self.label = label
        self.min_height = min_height
        self.rejections = Rejections()
        self._people = called(label, self._samples.labels(), f"FiftyOne data set {path!r}")

    @cached_property
    def _rows(self) -> dict[str, Row]:
        return _by_file(self._samples.rows(), self.rejections)

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        found: list[PersonRef] = []
        for row in self._rows.values():
            for index, instance in enumerate(row.instances or ()):
                if instance.label in self._people:
                    found += self.checked(self._check, row, index, instance)
        return found

    def _check(self, row: Row, index: int, instance: Instance) -> PersonRef:
        """The person; raises `LeftOut` if merely unsuitable, `Rejected` for a broken annotation."""
        if instance.is_crowd:
            raise LeftOut("a crowd")
        key = f"{row.file}#{index}"
        if not instance.has_mask:
            raise Rejected("detection without a mask", key)
        size = row.size or self._samples.image_size(row.path)
        if size is None:
            raise Rejected("image missing or unreadable", row.file)
        left, top, right, bottom = _pixel_box(instance, size, key)
        cut_at_bottom = bottom >= size[1] - BORDER
        height = bottom - top
        if height < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        if left <= BORDER or top <= BORDER or right >= size[0] - BORDER:
            raise LeftOut("cut by the image's border")
        points = self._points(row, index, size)
        if points is not None and not cut_at_bottom and feet(points) < 2:
            raise LeftOut("a foot out of sight")
        if points is not None and seated(points):
            raise LeftOut("seated")
        return PersonRef(key, row.group, height, cut_at_bottom)

    def _points(self, row: Row, index: int, size: tuple[int, int]) -> np.ndarray | None:
        """float64[17, 3] in pixels, v=2 where annotated; None where nobody's keypoints are this person's."""
        boxes = {
            i: instance.box
            for i, instance in enumerate(row.instances or ())
            if instance.label in self._people
        }
        mine = match_points(boxes, row.points).get(index)
        if mine is None:
            return None
        known = np.isfinite(row.points[mine]).all(axis=1)
        points = np.zeros((17, 3))
        points[known, :2] = row.points[mine][known] * size
        points[known, 2] = 2
        return points

    def photo(self, key: str) -> Path:
        return self._rows[key.rpartition("#")[0]].path

    def files(self, key: str) -> Sequence[Path]:
        file, _, number = key.rpartition("#")
        row = self._rows[file]
        _, mask = self._samples.mask(row.id, int(number))
        return [row.path] if mask is None else [row.path, row.path.parent / mask]

    def annotation(self, key: str) -> Any:
        """Of everybody in the image, for keypoints are matched with all of them; the mask is this person's."""
        file, _, number = key.rpartition("#")
        row = self._rows[file]
        stored, _ = self._samples.mask(row.id, int(number))
        mask = None if stored is None else pixels_sha256(np.asarray(stored))
        points = [part.tolist() for part in row.points]
        return [row.size, row.licence, [astuple(one) for one in row.instances or ()], points, mask]

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        file, _, number = key.rpartition("#")
        row, index = self._rows[file], int(number)
        image = read_photo(row.path)
        size = (image.shape[1], image.shape[0])
        if row.instances is None or (row.size is not None and row.size != size):
            raise Rejected("image of another size than its metadata", row.file)
        mask = np.zeros(image.shape[:2], dtype=bool)
        left, top, right, bottom = _pixel_box(row.instances[index], size, key)
        part: np.ndarray = self._mask(row, index, key).astype(np.uint8)
        if part.shape != (bottom - top, right - left):
            part = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST_EXACT)
        mask[top:bottom, left:right] = part > 0
        if not mask.any():
            raise Rejected("empty mask", key)
        main = without_specks(mask)
        if main.sum() < IN_ONE_PIECE * mask.sum():
            raise Rejected("person in pieces", key)
        points = self._points(row, index, size)
        if points is not None and hidden_leg(points, main, int(mask.any(axis=1).sum())):
            raise Rejected("leg behind something", key)
        crop = cut_out(image, main, scale=scale)
        keypoints = crop.keypoints(np.zeros((17, 3)) if points is None else points)
        provenance = Provenance(self.name, file, file_sha256(row.path), row.licence or self.licence, number)
        return Cutout(crop.rgba, crop.parsing, keypoints, provenance, scale=crop.scale)

    def _mask(self, row: Row, index: int, key: str) -> np.ndarray:
        """bool[h, w], the box's part of the mask."""
        stored, path = self._samples.mask(row.id, index)
        if stored is None and path is not None:
            try:
                stored = read_labels(row.path.parent / path)
            except UserError as error:
                raise Rejected("mask missing or unreadable", str(error)) from None
        if stored is None or stored.ndim != 2 or 0 in stored.shape:
            raise Rejected("mask is not a picture", key)
        return np.asarray(stored) > 0


class FiftyoneBackgrounds(BackgroundSource):
    """Samples in which nobody is labelled, crowds included; samples that were never annotated are not taken.

    Args:
        path: name of the data set.
        view: a saved view; the whole data set if empty.
        field: the field with the detections; may be left out where there is only one.
        label: the label of people, in any case. Whatever else is a word for people counts as well.
        zoo: a downloaded split of the zoo data set of this name, or `all`.
        min_side: smallest image taken, in pixels of the shorter side.
    """

    def __init__(
        self,
        path: str,
        view: str = "",
        field: str = "",
        label: str = "person",
        zoo: str = "",
        min_side: int = 256,
    ) -> None:
        self._samples = Samples(path, view, field, "", zoo)
        self.name, self.licence = self._samples.name, self._samples.licence
        self.label = label
        self.min_side = min_side
        self.rejections = Rejections()
        called(label, self._samples.labels(), f"FiftyOne data set {path!r}")

    @cached_property
    def _rows(self) -> dict[str, Row]:
        return _by_file(self._samples.rows(), self.rejections)

    def backgrounds(self) -> Sequence[BackgroundRef]:
        self.left_out.clear()
        found = []
        for row in self._rows.values():
            size = row.size or self._samples.image_size(row.path)
            if row.instances is None:
                self.left_out["never annotated"] += 1
            elif any(means_people(instance.label, self.label) for instance in row.instances):
                self.left_out["a person in it"] += 1
            elif size is None:
                self.rejections.add(Rejected("image missing or unreadable", row.file))
            elif min(size) < self.min_side:
                self.left_out[f"smaller than {self.min_side} px"] += 1
            else:
                found.append(BackgroundRef(row.file, row.group))
        return found

    def photo(self, key: str) -> Path:
        return self._rows[key].path

    def annotation(self, key: str) -> Any:
        return self._rows[key].licence

    def background(self, key: str) -> Background:
        row = self._rows[key]
        image = read_photo(row.path)
        licence = row.licence or self.licence
        return Background(image, Provenance(self.name, key, file_sha256(row.path), licence))


def _by_file(rows: Sequence[Row], rejections: Rejections) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        if row.file in found:
            rejections.add(Rejected("file twice in the data set", row.file))
        found.setdefault(row.file, row)
    return found


def match_points(
    boxes: dict[int, tuple[float, float, float, float]], points: Sequence[np.ndarray]
) -> dict[int, int]:
    """Which keypoints are whose: index of the box -> index into `points`, each used once.

    A person's keypoints lie in the person's box; where several boxes hold them, the box that fits them best wins.

    Args:
        boxes: x, y, width and height.
        points: float64[N, 2] each, in the boxes' units, NaN where not annotated; only COCO-17 are considered.
    """
    fits = []
    for number, part in enumerate(points):
        known = part[np.isfinite(part).all(axis=1)]
        if len(part) != 17 or not len(known):
            continue
        low, high = known.min(axis=0), known.max(axis=0)
        for index, (x, y, w, h) in boxes.items():
            inside = ((known >= (x, y)) & (known <= (x + w, y + h))).all(axis=1).mean()
            if inside >= POINTS_INSIDE:
                fits.append((float(np.prod(high - low)) / (w * h), -index, -number))
    matched: dict[int, int] = {}
    for _, index, number in sorted(fits, reverse=True):
        if -index not in matched and -number not in matched.values():
            matched[-index] = -number
    return matched


def _pixel_box(instance: Instance, size: tuple[int, int], key: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels, right and bottom excluded; raises `Rejected`."""
    box = np.asarray(instance.box, dtype=np.float64)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise Rejected("broken box", key)
    low, high = box[:2] * size, (box[:2] + box[2:]) * size
    if (low < -1).any() or (high > np.add(size, 1)).any():
        raise Rejected("box out of the image's bounds", key)
    left, top = np.clip(np.rint(low), 0, None).astype(int).tolist()
    right, bottom = np.clip(np.rint(high), None, size).astype(int).tolist()
    if right <= left or bottom <= top:
        raise Rejected("broken box", key)
    return left, top, right, bottom
