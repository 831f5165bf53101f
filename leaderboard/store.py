"""Entries on disk: read, checked by their schema, and added."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard.schema import SCHEMA, Attachment, Entry, Reported, entry_name
from mildbench.errors import UserError
from mildbench.evaluation.aggregate import Scores
from mildbench.evaluation.finished import FinishedRun, panel_of
from mildbench.evaluation.run import read_model, write_model
from mildbench.files import file_sha256, inside, write_bytes

ENTRIES = Path(__file__).with_name("entries")
REPORTED = Path(__file__).with_name("reported")


@dataclass(frozen=True, eq=False)
class Stored:
    """An entry and where it lies."""

    path: Path
    entry: Entry

    @property
    def attachment(self) -> Path:
        """The file of its per-sample scores; raises `UserError` for a name that leaves the folder."""
        return inside(self.path.parent, self.entry.scores.file, f"entry {self.path.name}")

    def rows(self) -> pa.Table:
        """The per-sample scores; raises `UserError` where they are missing or not those that were reviewed."""
        path, attached = self.attachment, self.entry.scores
        if not path.exists():
            raise UserError(
                f"entry {self.path.name}: its scores {attached.file} are missing: restore the file"
            )
        found = file_sha256(path)
        if found != attached.sha256:
            raise UserError(
                f"entry {self.path.name}: {attached.file} is not the file that was added (sha256 {found[:12]}, the "
                f"entry says {attached.sha256[:12]}): restore both"
            )
        return pq.read_table(path)

    def scores(self) -> Scores:
        """The same, to compute with; raises `UserError` also where a metric's definition is another now."""
        return Scores(self.rows(), panel_of(self.entry.summary.metrics, f"entry {self.path.name}"))


def read(path: Path) -> Stored:
    """Read one entry; raises `UserError` where it breaks the schema, or is not called what it holds."""
    entry = read_model(Entry, path, "entry")
    if path.stem != entry.name:
        raise UserError(f"entry {path}: what it holds is called {entry.name}: rename it, or restore it")
    return Stored(path, entry)


def read_all(folder: Path = ENTRIES) -> list[Stored]:
    """All entries of a folder, by name; raises `UserError` like `read`."""
    if not folder.is_dir():
        raise UserError(f"entries not found: {folder}: give the folder with --entries DIR")
    return [read(path) for path in sorted(folder.glob("*.json"))]


def read_reported(folder: Path = REPORTED) -> list[Reported]:
    """Numbers copied from papers, by file name; raises `UserError` where one breaks the schema."""
    return [read_model(Reported, path, "reported numbers") for path in sorted(folder.glob("*.json"))]


def add(run: FinishedRun, folder: Path = ENTRIES, *, replace: bool = False, today: datetime.date) -> Stored:
    """Make an entry of a run, per-sample scores first; raises `UserError` for one that is there, unless replaced."""
    summary = run.summary
    if len(run.rows) != summary.samples:
        raise UserError(
            f"run {run.folder} has scores of {len(run.rows)} samples and a summary of {summary.samples}: run "
            "mildbench evaluate again without --limit"
        )
    path = folder / f"{entry_name(summary)}.json"
    if path.exists() and not replace:
        raise UserError(f"{path} is there already: leave it, or add with --replace")
    buffer = io.BytesIO()
    pq.write_table(run.rows, buffer, compression="zstd", compression_level=19)
    attached = path.with_suffix(".parquet")
    sha256 = write_bytes(attached, buffer.getvalue())
    peaks = [s.peak_memory_bytes for s in run.record.sessions if s.peak_memory_bytes is not None]
    entry = Entry(
        added=today,
        summary=summary.model_copy(update={"strata": []}),
        scores=Attachment(file=attached.name, sha256=sha256, rows=len(run.rows)),
        peak_memory_bytes=max(peaks, default=None),
        # The machine's kernel moves no number.
        environment={name: value for name, value in run.record.environment.items() if name != "platform"},
    )
    write_model(path, entry)
    return Stored(path, entry)


def schema_text() -> str:
    """The text of `entry.schema.json`."""
    return json.dumps(Entry.model_json_schema(), indent=2) + "\n"


def write_schema() -> None:
    """Write `entry.schema.json` after a change of `leaderboard.schema`."""
    write_bytes(SCHEMA, schema_text().encode())
