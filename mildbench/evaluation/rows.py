"""The rows of `scores.parquet`: which of those on disk still hold, and how more are put there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mildbench.errors import UserError
from mildbench.files import fingerprint, write_bytes
from mildbench.results.folder import RunFolder
from mildbench.results.panel import Panel
from mildbench.results.scores import InputDigests, schema_of

SCORE_REVISION = 3
"""Goes up when regions, pasting or this file change what a score is: every run is then scored anew."""

Row = dict[str, Any]

_KEY = b"mildbench.scoring"
_DECIDE = ["error", *InputDigests._fields, "raw_sha256", "pasted_sha256", "truth_sha256"]


class Rows:
    """One run's rows on disk; in memory they are columns, for there may be many.

    Rows that were scored alike (same metrics of the same identities, same dilation) have one key. `scores.parquet`
    holds those of one key; `parts/` those of a scoring that was stopped, and those of other keys, to be taken up again.
    """

    def __init__(self, run: RunFolder, panel: Panel, dilation: int) -> None:
        self._run = run
        metrics = {metric.info.id: metric.identity() for metric in panel.samples}
        key = fingerprint({"revision": SCORE_REVISION, "metrics": metrics, "paste_dilation": dilation})
        self.schema = schema_of(panel).with_metadata({_KEY: key.encode()})
        """Of its files."""
        self._key = key
        self._tables = [self.schema.empty_table()]
        self._places: dict[str, int] = {}
        self._held: list[str] = []
        self._held_key = key
        if run.scores.exists():
            table = _read(run.scores)
            self._held, self._held_key = table.column("id").to_pylist(), _key(table)
            if self._held_key == key:
                self._take(run.scores, table)
        self._parts: list[Path] = []
        for path in _parts(run, key):
            self.take(path)

    def take(self, path: Path) -> None:
        """Read one more part, of those that `write_part` makes."""
        self._take(path, _read(path))
        self._parts.append(path)

    @property
    def next_part(self) -> int:
        """The number of the first part that is not there."""
        return _next_part(self._run, self._key)

    def _take(self, path: Path, table: pa.Table) -> None:
        if not table.schema.equals(self.schema):
            raise UserError(
                f"scores {path} are broken (other columns or types): delete the file to score again"
            )
        first = sum(map(len, self._tables))
        self._tables.append(table)
        self._places.update(
            (name, first + place) for place, name in enumerate(table.column("id").to_pylist())
        )

    def holding(self, sample_id: str, inputs: InputDigests, failure: str | None) -> Row | None:
        """The sample's row if it still holds: scored by these metrics, from the very files that are there.

        Of its columns, what says what it was scored from.
        """
        if sample_id not in self._places:
            return None
        row = self._all().select(_DECIDE).slice(self._places[sample_id], 1).to_pylist()[0]
        if any(row[name] != value for name, value in inputs._asdict().items()):
            return None
        return row if inputs.prediction_sha256 is not None or row["error"] == failure else None

    def table(self, ids: Sequence[str]) -> pa.Table:
        """The rows of these samples, in order; each must be there."""
        places = pa.array([self._places[name] for name in ids], pa.int64())
        return self._all().take(places).combine_chunks()

    def _all(self) -> pa.Table:
        if len(self._tables) > 1:
            self._tables = [pa.concat_tables(self._tables).combine_chunks()]
        return self._tables[0]

    def merge(self, ids: Sequence[str], every: Sequence[str]) -> None:
        """Write all rows to `scores.parquet`, in the order of `every`, the task's samples, and clear parts away.

        Whatever has been scored is kept: rows of other samples than `ids` (an evaluation without the limit)
        stay in the file, and a file of another key becomes a part. But where that file holds samples that
        `ids` lacks it stays, and the rows of this scoring stay in their parts.
        """
        other = self._held_key != self._key
        if other and not set(self._held) <= set(ids):
            return
        if other:
            moved = _part(self._run, self._held_key, _next_part(self._run, self._held_key))
            moved.parent.mkdir(exist_ok=True)
            self._run.scores.rename(moved)
        order = [name for name in every if name in self._places]
        if self._parts or other or order != self._held:
            _write(self._run.scores, self.table(order))
        # Only now is everything in its new place.
        for path in self._parts:
            path.unlink()
        self._parts = []
        if self._run.parts.exists() and not any(self._run.parts.iterdir()):
            self._run.parts.rmdir()


def write_part(run: RunFolder, schema: pa.Schema, number: int, rows: Sequence[Row]) -> tuple[Path, str]:
    """Put finished rows on disk, as part `number` of those of their key; returns the file and its sha256."""
    path = _part(run, schema.metadata[_KEY].decode(), number)
    return path, _write(path, pa.Table.from_pylist(list(rows), schema))


def _write(path: Path, table: pa.Table) -> str:
    # Through memory, so that a full disk is an OSError of ours, with nothing half written.
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return write_bytes(path, buffer.getvalue())


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"scores {path} are broken ({error}): delete the file to score again") from None
    if "id" not in table.column_names:
        raise UserError(f"scores {path} are broken (no ids): delete the file to score again")
    return table


def _key(table: pa.Table) -> str:
    return (table.schema.metadata or {}).get(_KEY, b"").decode()


def _parts(run: RunFolder, key: str) -> list[Path]:
    """The parts of one key, oldest first."""
    return sorted(run.parts.glob(f"{key[:16]}-*.parquet"))


def _part(run: RunFolder, key: str, number: int) -> Path:
    return run.parts / f"{key[:16]}-{number:05d}.parquet"


def _next_part(run: RunFolder, key: str) -> int:
    return max((int(path.stem.rpartition("-")[2]) + 1 for path in _parts(run, key)), default=0)
