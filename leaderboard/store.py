"""Entries on disk: read, checked by their schema, made of runs and written.

entries/
  <entry>.json                          `Entry`
  <entry>.<sha256[:8]>.parquet          its scores, sample by sample
  verified/<entry>.json                 `Verification`, where somebody recorded one
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from leaderboard.schema import (
    SCHEMA,
    Attachment,
    Entry,
    Predictions,
    Reported,
    Verification,
    entry_name,
    predictions_sha256,
)
from mildbench.errors import UserError
from mildbench.files import file_sha256, inside, write_bytes
from mildbench.records import read_model, write_model
from mildbench.results.finished import FinishedRun
from mildbench.results.panel import Panel, panel_of
from mildbench.results.scores import FIXED, schema_of

ENTRIES = Path(__file__).with_name("entries")
REPORTED = Path(__file__).with_name("reported")


@dataclass(frozen=True, eq=False)
class StoredEntry:
    """An entry and its per-sample scores."""

    path: Path
    """Of the entry's JSON file."""
    entry: Entry
    rows: pa.Table
    """`FIXED`, then float64 columns of every metric of `panel`; ids are distinct."""
    panel: Panel
    """The entry's metrics, not loaded."""

    @property
    def record(self) -> Path:
        """Where the record of its verification is, if there is one."""
        return _record(self.path)


def paths(folder: Path = ENTRIES) -> list[Path]:
    """The files of all entries of a folder, by name; raises `UserError` where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"entries not found: {folder}: give the folder with --entries DIR")
    return sorted(folder.glob("*.json"))


def read(path: Path) -> StoredEntry:
    """Read one entry with its scores.

    Raises `UserError` where it breaks the schema or is not called what it holds, where its scores are missing or
    not those that were added, and where a metric's definition is another now.
    """
    entry = read_model(Entry, path, "entry")
    if path.stem != entry.name:
        raise UserError(f"entry {path}: what it holds is called {entry.name}: rename it, or restore it")
    attached = path.with_name(entry.scores_file)
    if not attached.is_file():
        raise UserError(f"entry {path.name}: its scores {attached.name} are missing: restore the file")
    found = file_sha256(attached)
    if found != entry.scores.sha256:
        raise UserError(
            f"entry {path.name}: {attached.name} is not the file that was added (sha256 {found[:12]}, the "
            f"entry says {entry.scores.sha256[:12]}): restore both"
        )
    try:
        rows = pq.read_table(attached)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"entry {path.name}: {attached.name} cannot be read ({error}): restore it") from None
    return StoredEntry(path, entry, *_sound(entry, rows, f"entry {path.name}"))


def read_verification(stored: StoredEntry) -> Verification | None:
    """The record of the entry's verification, whatever it is of; raises `UserError` for a broken one."""
    path = stored.record
    return read_model(Verification, path, "record of a verification") if path.is_file() else None


def write_verification(stored: StoredEntry, verification: Verification) -> None:
    """Replace the record of the entry's verification."""
    write_model(stored.record, verification)


def read_reported(folder: Path = REPORTED) -> list[Reported]:
    """Numbers copied from papers, by file name; raises `UserError` where one breaks the schema."""
    return [read_model(Reported, path, "reported numbers") for path in sorted(folder.glob("*.json"))]


def make(
    run: FinishedRun, folder: Path = ENTRIES, *, today: datetime.date, at: str | None = None
) -> tuple[StoredEntry, bytes]:
    """Make an entry of a run, without writing anything.

    Args:
        run: evaluated without a limit, or on all samples of its limit.
        folder: where the entry is to be.
        today: when it joins.
        at: address of the predictions.

    Returns:
        The entry, and the bytes of its scores' file.

    Raises:
        UserError: a run of which more was scored than its summary is of, scores with other columns, no address.
    """
    summary = run.summary
    try:
        predictions = Predictions(sha256=pictures_sha256(run.rows), at=at)
    except ValidationError:
        raise UserError(
            f"--predictions-at {at!r} is no address: give one that starts with https://, hf://, s3:// or gs://"
        ) from None
    if len(run.rows) != summary.samples:
        raise UserError(
            f"run {run.folder} has scores of {len(run.rows)} samples and a summary of {summary.samples}: run "
            "mildbench evaluate again without --limit"
        )
    buffer = io.BytesIO()
    pq.write_table(run.rows, buffer, compression="zstd", compression_level=19)
    data = buffer.getvalue()
    peaks = [s.peak_memory_bytes for s in run.record.sessions if s.peak_memory_bytes is not None]
    entry = Entry(
        added=today,
        summary=summary.model_copy(update={"strata": []}),
        scores=Attachment(sha256=hashlib.sha256(data).hexdigest(), rows=len(run.rows)),
        predictions=predictions,
        peak_memory_bytes=max(peaks, default=None),
        # The machine's kernel moves no number.
        environment={name: value for name, value in run.record.environment.items() if name != "platform"},
    )
    path = inside(folder, f"{entry_name(summary)}.json", "data set's name")
    return StoredEntry(path, entry, *_sound(entry, run.rows, f"run {run.folder}")), data


def check_free(stored: StoredEntry, *, replace: bool) -> None:
    """Raise `UserError` where an entry is there that is not to be replaced."""
    if stored.path.exists() and not replace:
        raise UserError(f"{stored.path} is there already: leave it, or add with --replace")


def write(stored: StoredEntry, data: bytes, *, replace: bool = False) -> None:
    """Write an entry that `make` made.

    One that is there is only taken away, with its record, once the new one is in its place; `UserError` unless
    `replace`.
    """
    check_free(stored, replace=replace)
    path = stored.path
    old = [*path.parent.glob(f"{escape(path.stem)}.????????.parquet"), stored.record]
    scores = path.with_name(stored.entry.scores_file)
    write_bytes(scores, data)
    write_model(path, stored.entry)
    for gone in old:
        if gone != scores:
            gone.unlink(missing_ok=True)


def pictures_sha256(rows: pa.Table) -> str:
    """`predictions_sha256` of the pictures that gave these rows."""
    return predictions_sha256(
        zip(rows.column("id").to_pylist(), rows.column("raw_sha256").to_pylist(), strict=True)
    )


def schema_text() -> str:
    """The text of `entry.schema.json`."""
    return json.dumps(Entry.model_json_schema(), indent=2) + "\n"


def write_schema() -> None:
    """Write `entry.schema.json` after a change of `leaderboard.schema`."""
    write_bytes(SCHEMA, schema_text().encode())


def _record(path: Path) -> Path:
    return path.parent / "verified" / path.name


def _sound(entry: Entry, rows: pa.Table, what: str) -> tuple[pa.Table, Panel]:
    """The rows, and the metrics that they are of; `UserError` unless the one has the columns of the other."""
    panel = panel_of([entry.summary], what)
    expected = schema_of(panel)
    if not rows.schema.equals(expected):
        raise UserError(f"{what}: its scores have other columns, or of other types, than its metrics give")
    if any(rows.column(name).null_count for name in ("id", *expected.names[len(FIXED) :])):
        raise UserError(f"{what}: its scores have rows without an id, or without a number")
    ids = rows.column("id").to_pylist()
    if len(set(ids)) < len(ids):
        raise UserError(f"{what}: its scores have a sample twice")
    return rows, panel
