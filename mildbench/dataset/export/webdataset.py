"""A data set as tar files: the same bytes as if it had been built with `--format webdataset`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from mildbench.dataset.annotations import AnnotationReader
from mildbench.dataset.index import IndexWriter
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.parts import with_files
from mildbench.dataset.reader import Dataset
from mildbench.dataset.schema import DatasetInfo, annotation_file
from mildbench.dataset.writers import SCENES, ShardWriter, TarShard
from mildbench.errors import UserError

_COUNTED = {"schema_version", "mildbench_version", "samples", "people", "report", "fingerprint", "checksums"}
"""Fields of the description that the index fills in anew."""


def export_webdataset(dataset: Dataset, out: Path, advance: Callable[[int], None]) -> DatasetInfo:
    """Copy a data set into tar files; what is made is a data set that `Dataset.open` reads."""
    info = dataset.info
    description = info.model_dump(mode="json", exclude=_COUNTED) | {"format": "webdataset"}
    annotations = {split: AnnotationReader(dataset.root / annotation_file(split)) for split in info.people}
    made: Counter[str] = Counter()
    with new_folder(out) as folder, IndexWriter(folder, description, info.samples) as index:
        for rows in _chunks(dataset.rows(), SCENES["webdataset"]):
            here = {row["split"] for row in rows}
            with TarShard(folder, {split: made[split] for split in here}) as shard:
                moved = [_move(dataset, row, shard) for row in rows]
            made.update(here)
            for row in moved:
                index.add(row)
                if row["split"] in annotations:
                    image, people = annotations[row["split"]].of(row["id"])
                    if image is None:
                        raise UserError(
                            f"data set {dataset.root}: {row['id']} has no annotations: mildbench validate says more"
                        )
                    index.annotate(row["split"], image | {"file_name": row["composite"]}, people)
            index.add_files(shard.files, shard.shared)
            advance(len(rows))
        return index.finish(info.report)


def _move(dataset: Dataset, row: dict[str, Any], shard: ShardWriter) -> dict[str, Any]:
    def store(part: str, name: str) -> str:
        return shard.add(
            row["split"], row["id"], part, dataset.storage.read(name), PurePosixPath(name).suffix
        )

    moved = with_files(row, store)
    shard.end(moved)
    return moved


def _chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(rows, size)):
        yield chunk
