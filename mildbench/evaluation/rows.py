"""The rows of `scores.parquet`: their columns, which of those on disk still hold, and how more are added."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mildbench.errors import UserError
from mildbench.evaluation.panel import Panel
from mildbench.evaluation.run import Run
from mildbench.evaluation.summary import VARIANTS
from mildbench.files import fingerprint, write_bytes
from mildbench.metrics.base import REGIONS

SCORE_REVISION = 1
"""Goes up when regions, pasting or this file change what a score is: every run is then scored anew."""

Row = dict[str, Any]

FIXED = pa.schema(
    [
        ("id", pa.string()),
        ("scene", pa.string()),
        ("split", pa.string()),
        ("family", pa.string()),
        ("people", pa.int64()),
        ("visible_ratio", pa.float64()),
        ("mask_share", pa.float64()),
        ("difficulty", pa.float64()),
        ("error", pa.string()),
        ("prediction_sha256", pa.string()),
        ("raw_sha256", pa.string()),
        ("pasted_sha256", pa.string()),
        ("truth_sha256", pa.string()),
    ]
)
"""What every row has before its scores. `error` is null for a scored sample. `prediction_sha256` is the
file's, the other three are `pixel_sha256`. Scores follow as float64 columns `metric.region.variant`; NaN is
undefined."""

_KEY = b"mildbench.scoring"
_PART = 64
"""Samples that a killed scoring loses at most."""


def columns(panel: Panel) -> list[str]:
    """The score columns, in order: metric, region, variant."""
    return [
        f"{metric.info.name}.{region}.{variant}"
        for metric in panel.pair
        for region in REGIONS
        if region in metric.info.regions
        for variant in VARIANTS
    ]


class Rows:
    """One run's rows, on disk and on their way there."""

    def __init__(self, run: Run, panel: Panel, dilation: int) -> None:
        self._run = run
        ids = sorted(metric.info.id for metric in panel.pair)
        key = fingerprint({"revision": SCORE_REVISION, "metrics": ids, "paste_dilation": dilation})
        scores = [(name, pa.float64()) for name in columns(panel)]
        self._schema = pa.schema([*FIXED, *scores]).with_metadata({_KEY: key.encode()})
        self._parts = sorted(run.parts.glob("[0-9]*.parquet"))
        merged = self._read(run.scores) if run.scores.exists() else []
        self._order = [row["id"] for row in merged]
        self._rows = {row["id"]: row for row in merged}
        for path in self._parts:
            self._rows.update((row["id"], row) for row in self._read(path))
        self._unsaved: list[Row] = []
        self._added = False

    def holding(self, sample_id: str, prediction_sha256: str | None, failure: str | None) -> Row | None:
        """The sample's row if it still holds: scored by these metrics, from the very file that is there."""
        row = self._rows.get(sample_id)
        if row is None or row["prediction_sha256"] != prediction_sha256:
            return None
        return row if prediction_sha256 is not None or row["error"] == failure else None

    def add(self, row: Row) -> None:
        """Take a finished row; every so many go to disk."""
        self._rows[row["id"]] = row
        self._added = True
        self._unsaved.append(row)
        if len(self._unsaved) >= _PART:
            self.save()

    def save(self) -> None:
        """Put what is not on disk yet into a part."""
        if self._unsaved:
            number = int(self._parts[-1].stem) + 1 if self._parts else 0
            path = self._run.parts / f"{number:05d}.parquet"
            self._write(path, self._unsaved)
            self._parts = [*self._parts, path]
            self._unsaved = []

    def merge(self, ids: Sequence[str]) -> None:
        """Write `scores.parquet` with exactly the samples `ids`, in order, and clear the parts away.

        Rows of other samples (an earlier run without the limit) stay behind in a part, so they are not lost.
        """
        if not self._added and self._order == list(ids):
            return
        wanted = set(ids)
        others = [row for name, row in self._rows.items() if name not in wanted]
        done, self._unsaved = self._parts, others
        self.save()
        self._write(self._run.scores, [self._rows[name] for name in ids])
        # Only now is everything in its new place.
        for path in done:
            path.unlink()
        self._parts = self._parts[len(done) :]
        if not self._parts and self._run.parts.exists():
            self._run.parts.rmdir()

    def _read(self, path: Path) -> list[Row]:
        """The rows of a file, or none where they were scored by other metrics or another dilation."""
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"scores {path} are broken ({error}): delete the file to score again") from None
        known = (table.schema.metadata or {}).get(_KEY)
        return table.to_pylist() if known == self._schema.metadata[_KEY] else []

    def _write(self, path: Path, rows: Iterable[Row]) -> None:
        # Through memory, so that a full disk is an OSError of ours, with nothing half written.
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), self._schema), buffer)
        write_bytes(path, buffer.getvalue())
