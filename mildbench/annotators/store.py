"""Annotations on disk: a folder beside a data set's truth, which they never touch.

```
DATASET/annotations/NAME/
  annotator_SPLIT.json   who annotated the split, with which versions and weights; written last
  samples_SPLIT.parquet  one row a sample: poses and boxes of its people, where its parsing is, or why it failed
  SPLIT/parsing/         CIHP-20 label maps (tar files where the data set has them)
  SPLIT/segments/        panoptic segment ids, encoded as COCO does
  .parts/                while unfinished: one completion record for every few samples
```
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco_mask

from mildbench.annotators.base import Annotator, AnnotatorSpec, Segments
from mildbench.annotators.panoptic import segment_ids
from mildbench.dataset.storage import Storage, open_table
from mildbench.errors import UserError
from mildbench.images import decode_labels, decode_rgb
from mildbench.records import Strict, read_model

PARTS = ".parts"
TRUTH = "truth"
"""Stands for the data set itself where people were not found but known."""


class AnnotatorRecord(Strict):
    """What made one part of the annotations."""

    annotator: str
    options: dict[str, str]
    """As given, paths by their last part only."""
    versions: dict[str, str]
    """Library -> version."""
    weights: dict[str, str]
    """File name -> sha256."""

    @classmethod
    def of(cls, spec: AnnotatorSpec, annotator: Annotator) -> AnnotatorRecord:
        """What is to be said of a loaded annotator."""
        return cls(
            annotator=spec.name,
            options=spec.public_options(),
            versions=annotator.versions(),
            weights=annotator.weights(),
        )

    def __str__(self) -> str:
        used = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        files = ", ".join(f"{name} (sha256 {sha256[:12]})" for name, sha256 in self.weights.items())
        return f"{self.annotator} ({used}); {files}"


class Record(Strict):
    """`annotator_SPLIT.json`."""

    schema_version: Literal[1] = 1
    mildbench_version: str
    dataset: str
    """Fingerprint of the data set."""
    split: str
    people: AnnotatorRecord | Literal["truth"]
    """Who says where people are."""
    pose: AnnotatorRecord | None
    parsing: AnnotatorRecord | None
    segments: AnnotatorRecord | None = None
    samples: int
    failed: int

    def facts(self) -> dict[str, Any]:
        """As JSON values. Without segments nothing is said of them, as in records older than these."""
        return self.model_dump(mode="json", exclude=None if self.segments else {"segments"})


_PERSON = pa.struct(
    [
        ("id", pa.int16()),
        ("box", pa.list_(pa.float32(), 4)),
        ("mask", pa.string()),
        ("score", pa.float32()),
        ("keypoints", pa.list_(pa.float32(), 51)),
    ]
)
_SEGMENTS = pa.struct(
    [("ids", pa.string()), ("names", pa.list_(pa.string())), ("things", pa.list_(pa.bool_()))]
)
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("size", pa.list_(pa.int32(), 2)),
        ("persons", pa.list_(_PERSON)),
        ("parsing", pa.string()),
        ("error", pa.string()),
    ]
)
"""`size` is height and width. `persons` are the data set's own, by `id`, where people are the truth's; then `mask`
is null. Found people are numbered from 1 and carry a COCO RLE (its `counts`). Keypoints are x, y, score in canvas
pixels, null without a pose."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """What was found in one sample."""

    ids: tuple[int, ...]
    boxes: np.ndarray
    """float32[K, 4]: left, top, right, bottom."""
    scores: np.ndarray
    """float32[K]: 1 where people are the truth's."""
    masks: np.ndarray | None
    """bool[K, H, W] of found people, None where people are the truth's."""
    keypoints: np.ndarray | None
    """float32[K, 17, 3]: x, y, score."""
    parsing: np.ndarray | None
    """uint8[H, W]."""
    segments: Segments | None


class Annotations:
    """Finished annotations of a split. Open with `Annotations.open`; safe to read from several threads."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder = folder
        self.record = record
        self._storage = Storage(folder)
        self._table = open_table(samples_of(folder, record.split))
        if not self._table.schema_arrow.equals(schema_of(record)):
            raise pa.ArrowInvalid("other columns than this mildbench reads")
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        for group in range(self._table.num_row_groups):
            names = self._table.read_row_group(group, ["id"])["id"].to_pylist()
            self._places.update((name, (group, place)) for place, name in enumerate(names))
        self._group = lru_cache(maxsize=8)(self._read_group)

    def __reduce__(self) -> tuple[Any, ...]:
        return Annotations.open, (self.folder.absolute(), self.record.split, self.record.dataset)

    @classmethod
    def open(cls, folder: Path, split: str, dataset_fingerprint: str) -> Annotations:
        """Raises `UserError` when they are missing, unfinished, damaged, or of another data set."""
        path = record_of(folder, split)
        if not path.is_file():
            raise UserError(
                f"no finished annotations of the split {split!r} at {folder}: mildbench annotate makes them"
            )
        record = read_model(Record, path, "annotation record", "annotate again")
        if record.dataset != dataset_fingerprint:
            raise UserError(
                f"{folder} annotates another data set (fingerprint {record.dataset[:12]}, here "
                f"{dataset_fingerprint[:12]}): delete it and annotate again"
            )
        try:
            return cls(folder, record)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{samples_of(folder, split)} cannot be read ({error}): annotate again") from None

    def of(self, sample_id: str) -> Annotation | None:
        """What was found in a sample; None if annotating it failed. Raises `UserError` for an unknown id."""
        if sample_id not in self._places:
            raise UserError(f"{self.folder} does not cover the sample {sample_id!r}")
        group, place = self._places[sample_id]
        row = self._group(group).slice(place, 1).to_pylist()[0]
        if row["error"] is not None:
            return None
        persons = row["persons"]
        posed = [person["keypoints"] for person in persons]
        return Annotation(
            ids=tuple(person["id"] for person in persons),
            boxes=np.array([person["box"] for person in persons], np.float32).reshape(-1, 4),
            scores=np.array([person["score"] for person in persons], np.float32),
            masks=None if self.record.people == TRUTH else _decode(persons, row["size"]),
            keypoints=None if self.record.pose is None else np.array(posed, np.float32).reshape(-1, 17, 3),
            parsing=None if row["parsing"] is None else self._labels(row["parsing"]),
            segments=None if self.record.segments is None else self._segments(row["segments"]),
        )

    @cached_property
    def content_sha256(self) -> str:
        """Of all that was found: the record says by whom, but not that somebody mended it by hand."""
        digest = hashlib.sha256()
        for group in range(self._table.num_row_groups):
            for row in self._read_group(group).to_pylist():
                digest.update(json.dumps(row).encode())
                maps = (row["parsing"], (row.get("segments") or {}).get("ids"))
                for name in filter(None, maps):
                    digest.update(self._storage.read(name))
        return digest.hexdigest()

    def failures(self) -> dict[str, str]:
        """Sample id -> why it has no annotation."""
        with self._lock:
            rows = self._table.read(["id", "error"]).to_pylist()
        return {row["id"]: row["error"] for row in rows if row["error"] is not None}

    def _read_group(self, group: int) -> pa.Table:
        with self._lock:  # a ParquetFile has one position for all threads
            return self._table.read_row_group(group)

    def _labels(self, name: str) -> np.ndarray:
        return decode_labels(self._storage.read(name), f"parsing {self.folder / name}")

    def _segments(self, entry: dict[str, Any]) -> Segments:
        drawn = decode_rgb(self._storage.read(entry["ids"]), f"segments {self.folder / entry['ids']}")
        return Segments(segment_ids(drawn) - 1, tuple(entry["names"]), tuple(entry["things"]))


ANNOTATIONS = "annotations"
"""The folder in a data set."""


def folder_of(root: Path, name: str) -> Path:
    """Where the annotations called `name` are in a data set; raises `UserError` for a name that is no folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise UserError(f"the name {name!r} cannot be a folder's: use letters, digits, '.', '_', '+' and '-'")
    return root / ANNOTATIONS / name


def annotations_of(root: Path) -> list[Path]:
    """The folders of all annotations in a data set, by name, finished or not."""
    home = root / ANNOTATIONS
    return sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []


def record_of(folder: Path, split: str) -> Path:
    """The record of a split; there once the split is finished."""
    return folder / f"annotator_{split}.json"


def schema_of(record: Record) -> pa.Schema:
    """Of the rows of a split: `segments` is a column only where there are any.

    Its `ids` is where the map of segment ids is; 1 stands for the first of `names`.
    """
    return _SCHEMA if record.segments is None else _SCHEMA.append(pa.field("segments", _SEGMENTS))


def samples_of(folder: Path, split: str) -> Path:
    """The rows of a split."""
    return folder / f"samples_{split}.parquet"


def encode_mask(mask: np.ndarray) -> str:
    """bool[H, W] as the `counts` of a COCO RLE."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def _decode(persons: list[dict[str, Any]], size: list[int]) -> np.ndarray:
    masks = [coco_mask.decode({"size": size, "counts": person["mask"]}) > 0 for person in persons]
    return np.array(masks, dtype=bool).reshape(-1, *size)
