"""Annotate a data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import mildbench
from mildbench.annotators import store
from mildbench.annotators.base import Annotator, AnnotatorSpec, Picture, boxes_of
from mildbench.annotators.batches import Annotated, Team, Unannotated
from mildbench.annotators.panoptic import encode_ids
from mildbench.annotators.parts import Row, annotated, numbers, parts
from mildbench.annotators.store import AnnotatorRecord, Record
from mildbench.dataset import Dataset
from mildbench.dataset.writers import ShardWriter, new_shard
from mildbench.errors import UserError
from mildbench.executors import HERE, Executor, Spec
from mildbench.files import fingerprint, replacing, write_json
from mildbench.images import encode_png
from mildbench.longwork import LongWork, Made, Maker, other_here
from mildbench.progress import Advance

_COLUMNS = ["id", "split", "width", "height", "composite", "instances"]
_COLUMNS += ["persons.list.element.id", "persons.list.element.category"]


@dataclass(frozen=True)
class Job:
    """What is to be annotated, by whom."""

    name: str
    """Of the folder under `annotations`."""
    people: AnnotatorSpec | None
    """None: people are the truth's."""
    pose: AnnotatorSpec | None
    parsing: AnnotatorSpec | None
    segments: AnnotatorSpec | None
    split: str


def annotate(
    dataset: Dataset,
    job: Job,
    team: Team,
    *,
    batch_size: int,
    advance: Advance,
    executor: Executor = HERE,
) -> Record:
    """Annotate a split, or finish what was interrupted. The truth is read and never written.

    Args:
        dataset: its composites are annotated; where `job.people` is None, its instance masks say who is there.
        job: whose specs `team` was created from.
        team: loaded annotators.
        batch_size: pictures given to an annotator at once; never changes a result on a CPU.
        advance: told how many samples are done.
        executor: what runs it; never changes a result on a CPU. Workers load annotators of their own.

    Raises `UserError` when the folder holds annotations by other models, weights or options, and for a data set
    in which people are unknown where they are needed and `job.people` is None.
    """
    nobody_known = dataset.info.source == "pairs"
    if nobody_known and team.people is None and (team.pose or team.parsing):
        raise UserError(f"people are unknown in {dataset.root}: say who finds them: --people NAME")
    own = [row["id"] for row in dataset.rows(["id", "split"]) if row["split"] == job.split]
    dataset.check_unchanged(None, own)
    folder = store.folder_of(dataset.root, job.name)
    total = dataset.info.samples[job.split]
    record = _record(dataset, job, team)
    identity = _identity(record)
    taken = UserError(
        f"{folder} holds annotations by another annotator, version, weights or options: "
        "choose another --name, or delete that folder"
    )
    if store.record_of(folder, job.split).is_file():
        finished = store.Annotations.open(folder, job.split, dataset.fingerprint).record
        if _identity(finished) != identity:
            raise taken
        advance(total)
        return finished
    work = LongWork(
        folder,
        folder / store.PARTS / job.split,
        identity,
        _Maker(dataset, job, team, batch_size, folder, identity),
    )
    if work.claimant not in (None, identity):
        raise taken
    work.claim()
    rows = (row for row in dataset.rows(_COLUMNS) if row["split"] == job.split)
    work.run(executor, parts(rows), advance)
    entries = (made.result for made in work.records(numbers(total)))
    failed = _merge(store.samples_of(folder, job.split), store.schema_of(record), entries)
    record = record.model_copy(update={"failed": failed})
    write_json(store.record_of(folder, job.split), record.facts())
    work.remove()
    return record


def _record(dataset: Dataset, job: Job, team: Team) -> Record:
    """What is to be said of the annotations by this team; nothing has failed yet."""
    return Record(
        mildbench_version=mildbench.__version__,
        dataset=dataset.fingerprint,
        split=job.split,
        people=_source(job.people, team.people) or "truth",
        pose=_source(job.pose, team.pose),
        parsing=_source(job.parsing, team.parsing),
        segments=_source(job.segments, team.segments),
        samples=dataset.info.samples[job.split],
        failed=0,
    )


@dataclass(frozen=True, eq=False)
class _Maker(Maker):
    """Annotates parts of a split."""

    dataset: Dataset
    job: Job
    team: Team
    batch_size: int
    folder: Path
    identity: str

    def open(self) -> None:
        if _identity(_record(self.dataset, self.job, self.team)) != self.identity:
            raise other_here("versions or weights of the annotators")

    def make(self, spec: Spec, advance: Advance) -> Made:
        known = self.team.people is None
        with_people = known and self.dataset.info.source != "pairs"

        def read(row: Row) -> tuple[_Sample, Picture | Unannotated]:
            return _read(self.dataset, row, with_people)

        with new_shard(self.dataset.info.format, self.folder, {self.job.split: spec["number"]}) as shard:
            entries = [
                _entry(sample.row, result, sample.ids if known else None, shard)
                for sample, result in annotated(spec["items"], read, self.team, self.batch_size, advance)
            ]
        return Made(entries, shard.files)


def _source(spec: AnnotatorSpec | None, annotator: Annotator | None) -> AnnotatorRecord | None:
    return None if spec is None or annotator is None else AnnotatorRecord.of(spec, annotator)


def _identity(record: Record) -> str:
    return fingerprint({key: fact for key, fact in record.facts().items() if key != "failed"})


@dataclass(frozen=True)
class _Sample:
    row: Row
    ids: tuple[int, ...] = ()
    """Of the people in the picture, who are all seen at least in part."""


def _read(dataset: Dataset, row: Row, with_people: bool) -> tuple[_Sample, Picture | Unannotated]:
    try:
        image = dataset.picture(row["composite"], "composite")
        if not with_people:
            return _Sample(row), Picture(row["id"], image)
        instances = dataset.labels(row["instances"], "instance map")
    except UserError as error:
        return _Sample(row), Unannotated(str(error))
    people = (person["id"] for person in row["persons"] if person["category"] == "person")
    ids = tuple(person for person in people if (instances == person).any())
    masks = np.array([instances == person for person in ids], dtype=bool).reshape(-1, *instances.shape)
    return _Sample(row, ids), Picture(row["id"], image, boxes_of(masks), masks)


def _entry(row: Row, result: Annotated | Unannotated, ids: tuple[int, ...] | None, shard: ShardWriter) -> Row:
    """A row of `samples_SPLIT.parquet`; stores the maps. `ids` of known people, None for found ones."""
    entry: Row = {"id": row["id"], "split": row["split"], "size": [row["height"], row["width"]]}
    if isinstance(result, Unannotated):
        return entry | {"persons": [], "parsing": None, "error": result.reason}
    picture = result.picture
    parsing, segments = result.parsing, result.segments
    name = None if parsing is None else shard.add(row["split"], row["id"], "parsing", encode_png(parsing))
    if segments is not None:
        place = shard.add(row["split"], row["id"], "segments", encode_ids(segments.labels))
        entry["segments"] = {"ids": place, "names": list(segments.names), "things": list(segments.things)}
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


def _merge(target: Path, schema: pa.Schema, parts: Iterator[list[Row]]) -> int:
    """Put the completion records together as one table; returns how many samples failed."""
    failed = 0
    with replacing(target) as path, pq.ParquetWriter(path, schema) as writer:
        for entries in parts:
            failed += sum(entry["error"] is not None for entry in entries)
            writer.write_table(pa.Table.from_pylist(entries, schema=schema))
    return failed
