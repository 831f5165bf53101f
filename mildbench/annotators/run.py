"""Annotate a data set: some samples at a time, each such part whole or not at all, so that it resumes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import mildbench
from mildbench.annotators import store
from mildbench.annotators.base import Annotator, AnnotatorSpec, Picture, boxes_of
from mildbench.annotators.batches import Annotated, Failure, Team, annotate_batch
from mildbench.annotators.store import Record, Source
from mildbench.dataset import Dataset
from mildbench.dataset.writers import ShardWriter, new_shard
from mildbench.errors import UserError
from mildbench.evaluation.data import read_ahead
from mildbench.files import fingerprint, read_json, replacing, write_bytes, write_json
from mildbench.images import encode_png
from mildbench.progress import Advance

PART = 64
"""Samples between two completion records: what an interruption costs at most."""
_THREADS = 2
_COLUMNS = ["id", "split", "width", "height", "composite", "instances"]
_COLUMNS += ["persons.list.element.id", "persons.list.element.category"]

Row = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """What is to be annotated, by whom."""

    name: str
    """Of the folder under `annotations`."""
    people: AnnotatorSpec | None
    """None: people are the truth's."""
    pose: AnnotatorSpec | None
    parsing: AnnotatorSpec | None
    split: str


def annotate(dataset: Dataset, job: Job, team: Team, *, batch_size: int, advance: Advance) -> Record:
    """Annotate a split, or finish what was interrupted. The truth is read and never written.

    Args:
        dataset: its composites are annotated; where `job.people` is None, its instance masks say who is there.
        job: whose specs `team` was created from.
        team: loaded annotators.
        batch_size: pictures given to an annotator at once; never changes a result.
        advance: told how many samples are done.

    Raises `UserError` when the folder holds annotations by other models, weights or options, and for a data set
    in which people are unknown while `job.people` is None.
    """
    if team.people is None and dataset.info.source == "pairs":
        raise UserError(f"people are unknown in {dataset.root}: say who finds them: --people NAME")
    folder = store.folder_of(dataset.root, job.name)
    total = dataset.info.samples[job.split]
    record = Record(
        mildbench_version=mildbench.__version__,
        dataset=dataset.fingerprint,
        split=job.split,
        people=_source(job.people, team.people) or "truth",
        pose=_source(job.pose, team.pose),
        parsing=_source(job.parsing, team.parsing),
        samples=total,
        failed=0,
    )
    identity = _identity(record)
    if store.record_of(folder, job.split).is_file():
        finished = store.Annotations.open(folder, job.split, dataset.fingerprint).record
        if _identity(finished) != identity:
            raise _other(folder)
        advance(total)
        return finished
    parts = folder / store.PARTS / job.split
    _claim(folder, parts, identity)
    for part in _parts(dataset, job.split):
        if not part.record(parts).is_file():
            part.make(folder, parts, dataset, team, batch_size)
        advance(len(part.rows))
    failed = _merge(store.samples_of(folder, job.split), parts, _parts(dataset, job.split))
    record = record.model_copy(update={"failed": failed})
    write_json(store.record_of(folder, job.split), record.model_dump(mode="json"))
    shutil.rmtree(parts)
    return record


def _source(spec: AnnotatorSpec | None, annotator: Annotator | None) -> Source | None:
    if spec is None or annotator is None:
        return None
    return Source(
        annotator=spec.name,
        options=spec.public_options(),
        versions=annotator.versions(),
        weights=annotator.weights(),
    )


def _identity(record: Record) -> str:
    return fingerprint(record.model_dump(mode="json", exclude={"failed"}))


def _other(folder: Path) -> UserError:
    return UserError(
        f"{folder} holds annotations by another annotator, version, weights or options: "
        "choose another --name, or delete that folder"
    )


def _claim(folder: Path, parts: Path, identity: str) -> None:
    claim = parts / "identity"
    if claim.is_file() and claim.read_text() != identity:
        raise _other(folder)
    write_bytes(claim, identity.encode())


@dataclass(frozen=True)
class _Part:
    """Some consecutive samples of a split."""

    number: int
    rows: tuple[Row, ...]

    def record(self, parts: Path) -> Path:
        return parts / f"{self.number:06d}.json"

    def make(self, folder: Path, parts: Path, dataset: Dataset, team: Team, batch_size: int) -> None:
        """Annotate the samples and write, last, what the split's table will say of them."""
        known = team.people is None
        entries: list[Row] = []
        shard = new_shard(dataset.info.format, folder, {self.rows[0]["split"]: self.number})
        with ThreadPoolExecutor(_THREADS) as pool, shard:
            samples = read_ahead(
                pool, lambda row: (row, _read(dataset, row, known)), self.rows, 2 * batch_size
            )
            for batch in _batches(samples, batch_size):
                pictures = [sample.picture for _, sample in batch if isinstance(sample, _Sample)]
                results = iter(annotate_batch(team, pictures))
                for row, sample in batch:
                    if isinstance(sample, Failure):
                        entries.append(_entry(row, sample, None, shard))
                    else:
                        entries.append(_entry(row, next(results), sample.ids if known else None, shard))
        write_json(self.record(parts), entries, indent=None)


def _parts(dataset: Dataset, split: str) -> Iterator[_Part]:
    rows = (row for row in dataset.rows(_COLUMNS) if row["split"] == split)
    for number, batch in enumerate(_batches(rows, PART)):
        yield _Part(number, tuple(batch))


@dataclass(frozen=True, eq=False)
class _Sample:
    picture: Picture
    ids: tuple[int, ...]
    """Of the people in the picture, who are all seen at least in part."""


def _read(dataset: Dataset, row: Row, with_people: bool) -> _Sample | Failure:
    try:
        image = dataset.picture(row["composite"], "composite")
        if not with_people:
            return _Sample(Picture(row["id"], image), ())
        instances = dataset.labels(row["instances"], "instance map")
    except UserError as error:
        return Failure(str(error))
    people = (person["id"] for person in row["persons"] if person["category"] == "person")
    ids = tuple(person for person in people if (instances == person).any())
    masks = np.array([instances == person for person in ids], dtype=bool).reshape(-1, *instances.shape)
    return _Sample(Picture(row["id"], image, boxes_of(masks), masks), ids)


def _entry(row: Row, result: Annotated | Failure, ids: tuple[int, ...] | None, shard: ShardWriter) -> Row:
    """A row of `samples_SPLIT.parquet`; stores the parsing map. `ids` of known people, None for found ones."""
    entry: Row = {"id": row["id"], "split": row["split"], "size": [row["height"], row["width"]]}
    if isinstance(result, Failure):
        return entry | {"persons": [], "parsing": None, "error": result.reason}
    picture = result.picture
    parsing = result.parsing
    name = None if parsing is None else shard.add(row["split"], row["id"], "parsing", encode_png(parsing))
    persons = [
        {
            "id": k + 1 if ids is None else ids[k],
            "box": box.tolist(),
            "mask": None if ids is not None or picture.masks is None else store.encode_mask(picture.masks[k]),
            "score": float(result.scores[k]),
            "keypoints": None if result.keypoints is None else result.keypoints[k].ravel().tolist(),
        }
        for k, box in enumerate(picture.boxes)
    ]
    entry |= {"persons": persons, "parsing": name, "error": None}
    shard.end(entry)
    return entry


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def _merge(target: Path, records: Path, parts: Iterable[_Part]) -> int:
    """Put the completion records together as one table; returns how many samples failed."""
    failed = 0
    with replacing(target) as path, pq.ParquetWriter(path, store.SCHEMA) as writer:
        for part in parts:
            entries = read_json(part.record(records), "completion record")
            failed += sum(entry["error"] is not None for entry in entries)
            writer.write_table(pa.Table.from_pylist(entries, schema=store.SCHEMA))
    return failed
