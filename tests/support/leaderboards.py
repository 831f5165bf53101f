"""Entries made of runs, and tampered with."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard import review, store
from leaderboard.review import Reviewed
from leaderboard.schema import Attachment, Entry
from leaderboard.store import StoredEntry
from mildbench.records import write_model
from mildbench.results import finished
from mildbench.results.finished import FinishedRun
from mildbench.results.scores import Scores
from mildbench.results.summary import Failure

DAY = datetime.date(2024, 5, 17)


def add(
    run: Path | FinishedRun, folder: Path, *, today: datetime.date = DAY, at: str | None = None
) -> StoredEntry:
    """Make an entry of a run."""
    opened = finished.read(run) if isinstance(run, Path) else run
    stored, data = store.make(opened, folder, today=today, at=at)
    store.write(stored, data)
    return stored


def entry_of(folder: Path, label: str) -> StoredEntry:
    """The entry with this label."""
    (found,) = [
        item for path in store.paths(folder) if (item := store.read(path)).entry.summary.label == label
    ]
    return found


def reviewed(folder: Path) -> list[Reviewed]:
    """All entries of a folder, none of which is refused."""
    shown, refused = review.review_all(folder)
    assert refused == []
    return shown


def tamper(stored: StoredEntry, place: list[Any], value: Any) -> Path:
    """Write `value` at a place in the entry's JSON."""
    content = json.loads(stored.path.read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    stored.path.write_text(json.dumps(content))
    return stored.path


def forge(
    stored: StoredEntry,
    *,
    rows: Callable[[pa.Table], pa.Table] = lambda table: table,
    entry: Callable[[dict[str, Any]], None] = lambda content: None,
    folder: Path | None = None,
) -> StoredEntry:
    """A forgery that agrees with itself, under the name that it then has; the entry it was made of stays.

    Args:
        stored: what it is made of.
        rows: changes the scores.
        entry: changes the entry, before all that follows from the scores and the configuration is computed anew.
        folder: where it goes; where `stored` lies unless given.
    """
    table = rows(stored.rows)
    scores = Scores(table, stored.panel)
    content = stored.entry.model_dump()
    summary = content["summary"]
    summary["estimates"] = [scores.estimate(column).model_dump() for column in scores.values]
    summary |= {"samples": len(table), "scored": int(scores.scored.sum())}
    summary["sets"] = [item | {"n": summary["scored"]} for item in summary["sets"]]
    failed = zip(scores.ids, scores.errors, strict=True)
    summary["failures"] = [
        Failure(sample_id=name, reason=why).model_dump() for name, why in failed if why is not None
    ]
    content["predictions"]["sha256"] = store.pictures_sha256(table)
    entry(content)
    made = Entry.model_validate(content)
    config = made.summary.config
    run = f"{made.summary.run.rpartition('@')[0]}@{config.hash[:8]}"
    made = made.model_copy(update={"summary": made.summary.model_copy(update={"run": run})})
    path = (folder or stored.path.parent) / f"{made.name}.json"
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".tmp")
    pq.write_table(table, scratch)
    sha256 = store.file_sha256(scratch)
    made = made.model_copy(update={"scores": Attachment(sha256=sha256, rows=len(table))})
    scratch.rename(path.with_name(made.scores_file))
    write_model(path, made)
    return store.read(path)


def raised(column: str, by: float) -> Callable[[pa.Table], pa.Table]:
    """Changes of the scores, for `forge`: this column is greater in every sample."""

    def change(table: pa.Table) -> pa.Table:
        values = table.column(column).to_numpy() + by
        return table.set_column(table.column_names.index(column), column, pa.array(values))

    return change


def invented(table: pa.Table) -> pa.Table:
    """Changes of the scores, for `forge`: one more sample, which the data set does not have."""
    row = table.slice(0, 1).to_pylist()[0] | {"id": "zzz-p0"}
    return pa.concat_tables([table, pa.Table.from_pylist([row], table.schema)])


def renamed(table: pa.Table) -> pa.Table:
    """Changes of the scores, for `forge`: one sample under another id."""
    ids = np.array(table.column("id").to_pylist(), dtype=object)
    ids[1] = "foreign"
    return table.set_column(0, "id", pa.array(ids.tolist(), pa.string()))
