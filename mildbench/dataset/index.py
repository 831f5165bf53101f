"""What lies on top of a data set's files: table, annotations, card, checksums, and last its description.

Everything is streamed: the memory needed does not grow with the files of a sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import mildbench
from mildbench.dataset import card, croissant
from mildbench.dataset.annotations import AnnotationWriter
from mildbench.dataset.content import Fingerprint
from mildbench.dataset.schema import (
    CARD,
    CHECKSUMS,
    CROISSANT,
    INFO,
    SAMPLE_SCHEMA,
    SAMPLES,
    DatasetInfo,
    annotation_file,
)
from mildbench.files import file_sha256, replacing, write_bytes, write_json

ROWS = 256
"""Rows in a row group of `samples.parquet`, what a reader decodes to get at one."""


class IndexWriter:
    """Collects samples in order; `finish` makes the folder a data set.

    Args:
        root: the data set's folder, which holds the samples' files.
        description: the fields of `DatasetInfo` that are known beforehand: all but those that are counted here.
        splits: every split, those without a sample too.
    """

    def __init__(self, root: Path, description: dict[str, Any], splits: Iterable[str]) -> None:
        self._root = root
        self._description = description
        self._scenes = description["source"] != "pairs"
        self._samples = dict.fromkeys(splits, 0)
        self._people = dict.fromkeys(self._samples if self._scenes else (), 0)
        self._rows: list[dict[str, Any]] = []
        self._shared: set[str] = set()
        self._fingerprint = Fingerprint()
        self._parts = ExitStack()
        self._checksums = ExitStack()

    def __enter__(self) -> IndexWriter:
        with ExitStack() as parts, ExitStack() as checksums:
            enter = parts.enter_context
            self._table = enter(pq.ParquetWriter(enter(replacing(self._root / SAMPLES)), SAMPLE_SCHEMA))
            about = self._description["description"]
            self._annotations = {
                split: enter(AnnotationWriter(enter(replacing(self._root / annotation_file(split))), about))
                for split in self._people
            }
            temporary = checksums.enter_context(replacing(self._root / CHECKSUMS))
            self._sums = checksums.enter_context(temporary.open("w", encoding="utf-8"))
            self._parts, self._checksums = parts.pop_all(), checksums.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._parts.__exit__(*error)
        finally:
            self._checksums.__exit__(*error)

    def add(self, row: dict[str, Any]) -> None:
        """A sample: its row of `samples.parquet`."""
        self._fingerprint.add(row["content_sha256"])
        self._samples[row["split"]] += 1
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._write_rows()

    def annotate(self, split: str, image: dict[str, Any], annotations: list[dict[str, Any]]) -> None:
        """A scene's truth in COCO's format, in the order of the scenes."""
        self._people[split] += len(annotations)
        self._annotations[split].add(image, annotations)

    def add_files(self, files: dict[str, str], shared: dict[str, str]) -> None:
        """What a `ShardWriter` has made."""
        for name, sha256 in files.items():
            self._sum(name, sha256)
        for name, sha256 in shared.items():
            if name not in self._shared:
                self._shared.add(name)
                self._sum(name, sha256)

    def finish(self, report: dict[str, Any]) -> DatasetInfo:
        """Put everything in place, `dataset.json` last: it marks the data set finished."""
        self._write_rows()
        self._parts.close()
        sums = {
            name: file_sha256(self._root / name) for name in (SAMPLES, *map(annotation_file, self._people))
        }
        content = {
            "mildbench_version": mildbench.__version__,
            **self._description,
            "samples": self._samples,
            "people": self._people,
            "report": report,
            "fingerprint": self._fingerprint.hexdigest(),
        }
        info = DatasetInfo.model_validate(content)
        sums[CARD] = write_bytes(self._root / CARD, card.render(info).encode())
        described = croissant.describe(info, {name: (self._root / name, sums[name]) for name in sums})
        sums[CROISSANT] = write_json(self._root / CROISSANT, described)
        self.add_files(sums, {})
        self._checksums.close()
        info = info.model_copy(update={"checksums": file_sha256(self._root / CHECKSUMS)})
        write_json(self._root / INFO, info.model_dump(mode="json"))
        return info

    def _sum(self, name: str, sha256: str) -> None:
        self._sums.write(f"{sha256}  {name}\n")

    def _write_rows(self) -> None:
        if self._rows:
            self._table.write_table(pa.Table.from_pylist(self._rows, schema=SAMPLE_SCHEMA))
            self._rows = []
