"""FiftyOne data sets as plain rows: opening one by name, view or zoo split, and reading what sources need."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.browse.database import connect
from mildbench.errors import UserError, did_you_mean
from mildbench.extras import require

NEEDED_FOR = "source 'fiftyone'"
WHOLE_ZOO = "all"
"""As a zoo split: everything of the zoo data set that was downloaded."""


@dataclass(frozen=True)
class Instance:
    """One detection, before its mask is read."""

    label: str
    box: tuple[float, float, float, float]
    """x, y, width and height as shares of the image."""
    has_mask: bool
    is_crowd: bool


@dataclass(frozen=True)
class Row:
    """One sample."""

    id: str
    path: Path
    file: str
    """The path without the part that all samples share."""
    group: str
    """The same for everything that is read from this file, whatever view and field it is read through."""
    size: tuple[int, int] | None
    """Width and height, None where FiftyOne has not computed them."""
    licence: str | None
    instances: tuple[Instance, ...] | None
    """None for a sample that nobody annotated."""
    points: tuple[np.ndarray, ...]
    """float64[N, 2] each, in shares of the image, NaN where not annotated."""


class Samples:
    """The samples of a data set or a saved view.

    Args:
        name: of the data set, or of a zoo data set if `zoo` is given.
        view: a saved view; the whole data set if empty.
        field: the field with detections; the only such field if empty.
        keypoints: the field with keypoints; none if empty.
        zoo: a downloaded split of the zoo data set `name`, or `all`. Nothing is ever downloaded.
    """

    def __init__(self, name: str, view: str, field: str, keypoints: str, zoo: str) -> None:
        if not name:
            raise UserError("source fiftyone: no data set named: write fiftyone:NAME")
        # FiftyOne says on stdout what it imports and loads, where our own results belong.
        with redirect_stdout(sys.stderr):
            self._fo = connect(NEEDED_FOR)
            self._dataset = self._open(name, zoo)
        options = {"view": view, "field": field, "keypoints": keypoints, "zoo": zoo}
        query = "&".join(f"{key}={value}" for key, value in options.items() if value)
        self.name = f"fiftyone:{name}" + (f"?{query}" if query else "")
        self._view = self._saved_view(view) if view else self._dataset
        self._field = self._field_of(field, self._fo.Detections, "detections")
        self._keypoints = self._field_of(keypoints, self._fo.Keypoints, "keypoints") if keypoints else None
        self.licence = str(
            self._dataset.info.get("license") or "as the owner of the FiftyOne data set states"
        )

    def _open(self, name: str, zoo: str) -> Any:
        if zoo:
            return self._open_zoo(name, zoo)
        if name not in (known := self._fo.list_datasets()):
            raise UserError(
                f"source fiftyone: there is no data set {name!r}: {did_you_mean(name, known)} "
                "(for a data set of FiftyOne's zoo add zoo=SPLIT)"
            )
        return self._fo.load_dataset(name)

    def _open_zoo(self, name: str, split: str) -> Any:
        zoo = require("fiftyone.zoo", NEEDED_FOR)
        if name not in (known := zoo.list_zoo_datasets()):
            raise UserError(
                f"source fiftyone: FiftyOne's zoo has no data set {name!r}: {did_you_mean(name, known)}"
            )
        _, info = zoo.list_downloaded_zoo_datasets().get(name, (None, None))
        wanted = "" if split == WHOLE_ZOO else split
        if info is None or (wanted and wanted not in (info.downloaded_splits or {})):
            remedy = f"fiftyone zoo datasets download {name}" + (f" --splits {wanted}" if wanted else "")
            raise UserError(
                f"source fiftyone: the zoo data set {name!r} ({split}) is not on this machine: {remedy}"
            )
        # Persistent, so that worker processes and the next build find it instead of importing it again.
        return zoo.load_zoo_dataset(
            name, split=wanted or None, download_if_necessary=False, persistent=True, progress=False
        )

    def _saved_view(self, view: str) -> Any:
        known = self._dataset.list_saved_views()
        if view not in known:
            raise UserError(
                f"source fiftyone: data set {self._dataset.name!r} has no saved view {view!r}: "
                f"{did_you_mean(view, known)}"
            )
        return self._dataset.load_saved_view(view)

    def _field_of(self, field: str, kind: type, what: str) -> str:
        known = list(self._dataset.get_field_schema(embedded_doc_type=kind))
        if not field and len(known) == 1:
            return str(known[0])
        if field not in known:
            reason = (
                f"no field {field!r} of {what}" if field else f"not one field of {what}: name it, field=NAME"
            )
            raise UserError(
                f"source fiftyone: data set {self._dataset.name!r} has {reason}: {did_you_mean(field, known)}"
            )
        return field

    def labels(self) -> set[str]:
        """What detections are called in the whole data set, whatever the view, and what it says they may be."""
        used = self._dataset.distinct(f"{self._field}.detections.label")
        stated = self._dataset.classes.get(self._field) or self._dataset.default_classes or ()
        return {str(name) for name in (*used, *stated)}

    def rows(self) -> list[Row]:
        """All samples, ordered by file. Masks stay in the database."""
        f = self._fo.ViewField
        detections = f"{self._field}.detections"
        crowd = (f("iscrowd") == 1) | (f("iscrowd") == True) | (f("IsGroupOf") == True)  # noqa: E712
        masked = (f("mask") != None) | (f("mask_path") != None)  # noqa: E711
        columns = [
            "id",
            "filepath",
            "metadata.width",
            "metadata.height",
            f"{detections}.label",
            f"{detections}.bounding_box",
            f(detections).map(masked),
            f(detections).map(crowd),
        ]
        if self._keypoints:
            columns.append(f"{self._keypoints}.keypoints.points")
        licensed = self._dataset.has_field("license")
        if licensed:
            columns.append("license")
        root = _shared_folder(self._dataset.values("filepath"))
        rows = []
        for values in zip(*self._view.values(columns), strict=True):
            number, path, width, height, labels, boxes, has_mask, is_crowd = values[:8]
            points = values[8] if self._keypoints else None
            instances = None
            if labels is not None:
                instances = tuple(
                    Instance(str(label), tuple(box), bool(mask), bool(crowded))
                    for label, box, mask, crowded in zip(labels, boxes, has_mask, is_crowd, strict=True)
                )
            file = Path(os.path.relpath(path, root)).as_posix()
            rows.append(
                Row(
                    number,
                    Path(path),
                    file,
                    f"fiftyone/{self._dataset.name}/{file}",
                    (width, height) if width and height else None,
                    str(values[-1]) if licensed and values[-1] else None,
                    instances,
                    tuple(np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in points or ()),
                )
            )
        return sorted(rows, key=lambda row: (row.file, row.id))

    def image_size(self, path: Path) -> tuple[int, int] | None:
        """Width and height from the file's header, None when it cannot be read."""
        try:
            metadata = self._fo.ImageMetadata.build_for(str(path))
        except Exception:  # by format, Pillow's, eta's or the operating system's
            return None
        return (metadata.width, metadata.height) if metadata.width and metadata.height else None

    def mask(self, sample: str, index: int) -> tuple[np.ndarray | None, str | None]:
        """The mask in the database and the path of the one on disk, of one detection of one sample."""
        detection = self._view[sample][self._field].detections[index]
        return detection.mask, detection.mask_path


def _shared_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath([str(Path(path).parent) for path in paths]) if paths else ""
