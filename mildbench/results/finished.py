"""Runs as they lie on disk: found, read and checked without creating their methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mildbench.addresses import place
from mildbench.annotators.overlay import annotated
from mildbench.dataset import Dataset
from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.files import read_json, walk
from mildbench.progress import tell
from mildbench.records import read_model
from mildbench.results.folder import RunFolder
from mildbench.results.panel import Panel, panel_of
from mildbench.results.record import RunRecord
from mildbench.results.scores import FIXED
from mildbench.results.summary import RunSummary


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that was scored and summarised."""

    folder: RunFolder
    record: RunRecord
    summary: RunSummary
    rows: pa.Table
    """`scores.parquet`, with every column of `panel`."""
    panel: Panel
    """Its metrics, not loaded."""


def find(paths: Sequence[Path]) -> list[Path]:
    """The run folders among `paths` and below them, each once, in the order of `paths`, then by name.

    Unfinished runs below a path are left out, and told. Raises `UserError` for a path that is not there, or holds no
    finished run.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            raise UserError(f"run not found: {path}: give a run's folder, or one that holds runs")
        if _is_training(path):
            raise UserError(f"{path} is a training, which has no scores: give runs of mildbench evaluate")
        if (path / "run.json").exists():
            found[path.resolve()] = None
            continue
        having = sorted(folder for folder, files in walk(path) if folder / "run.json" in files)
        below = [RunFolder(folder) for folder in having if not _is_training(folder)]
        if not below:
            raise UserError(f"{path} holds no run (no run.json): make one with mildbench evaluate")
        unfinished = [folder.path for folder in below if not folder.summary.exists()]
        if len(unfinished) == len(below):
            raise UserError(f"{path} holds no finished run: run the same mildbench evaluate again")
        if unfinished:
            more = f" and {len(unfinished) - 1} more" if len(unfinished) > 1 else ""
            tell(f"left out, as it was stopped: run {unfinished[0]}{more}", show=True)
        found.update(dict.fromkeys(folder.path.resolve() for folder in below if folder.summary.exists()))
    return list(found)


def _is_training(folder: Path) -> bool:
    """Whether it is a run of `mildbench train`, whose record has the same name."""
    try:
        record = read_json(folder / "run.json", "run description")
    except UserError:
        return False
    return isinstance(record, dict) and "trainer" in record


def read(path: Path) -> FinishedRun:
    """Read the run in a folder; raises `UserError` where it is unfinished, broken, or scored by other definitions."""
    folder = RunFolder(path)
    record, summary, rows = contents(folder)
    return FinishedRun(folder, record, summary, rows, panel_of([summary], f"run {folder}"))


def contents(folder: RunFolder) -> tuple[RunRecord, RunSummary, pa.Table]:
    """What a run holds: its description, its summary and the rows of `scores.parquet`.

    Unlike `read`, it needs neither torch nor the metrics' code.
    Raises `UserError` where the run is unfinished or broken.
    """
    again = "run the same mildbench evaluate again"
    for path in (folder.summary, folder.scores):
        if not path.exists():
            raise UserError(f"run {folder} has no {path.name}: it was stopped: {again}")
    record = read_model(RunRecord, folder.record, "run description")
    summary = read_model(RunSummary, folder.summary, "summary")
    try:
        rows = _plain_text(pq.read_table(folder.scores))
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"scores of run {folder} are broken ({error}): delete the file, and {again}"
        ) from None
    types = {field.name: field.type for field in FIXED} | {
        item.column: pa.float64() for item in summary.estimates
    }
    if wrong := [field.name for field in rows.schema if types.get(field.name, field.type) != field.type]:
        raise UserError(
            f"scores of run {folder} are broken ({wrong[0]} holds {rows.schema.field(wrong[0]).type}, not "
            f"{types[wrong[0]]}): delete the file, and {again}"
        )
    if lacking := set(FIXED.names).difference(rows.column_names):
        raise UserError(
            f"scores of run {folder} lack {', '.join(sorted(lacking))}, perhaps of another mildbench version: {again}"
        )
    scored = {item.column for item in summary.estimates}
    if not scored <= set(rows.column_names) or len(rows) < summary.samples:
        raise UserError(f"run {folder}: scores.parquet and summary.json are of two evaluations: {again}")
    return record, summary, rows


def _plain_text(rows: pa.Table) -> pa.Table:
    """The rows with every text as Arrow's `string`: pandas writes the same text as `large_string`."""
    fields = [
        field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields, rows.schema.metadata))


def reopen(record: RunRecord, given: Path | None = None) -> tuple[Dataset, TripletSource]:
    """The data set of a run: by itself, and as the run's method saw it, with the annotations that guided it.

    Args:
        record: the run's description.
        given: where the data set lies now; None for where it lay then.

    Raises:
        UserError: it is not there, is another one, or its annotations are gone.
    """
    known = record.dataset
    path = place(known.path) if given is None and known.path is not None else given
    if path is None:
        raise UserError("these runs are of a data set that never was a folder")
    if not path.exists():
        raise UserError(f"the data set {known.name!r} is not at {path}: say where with --dataset DIR")
    dataset = Dataset.open(path)
    seen: TripletSource = dataset
    if known.annotations is not None:
        seen = annotated(dataset, known.annotations, record.split, replace=known.replace_truth)
    if seen.fingerprint != known.fingerprint:
        raise UserError(
            f"{path} is not the data set that these runs are of ({seen.fingerprint[:12]} instead of "
            f"{known.fingerprint[:12]}): give it with --dataset DIR"
        )
    return dataset, seen
