"""Recompute an entry: its aggregates from its scores, its scores from predictions or by running the method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leaderboard.schema import Entry
from leaderboard.store import Stored
from mildbench.errors import UserError
from mildbench.evaluation.aggregate import estimate
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import TripletSource
from mildbench.evaluation.finished import panel_of
from mildbench.evaluation.rows import FIXED, columns
from mildbench.evaluation.run import task_folder
from mildbench.evaluation.runner import evaluate
from mildbench.evaluation.summary import Estimate
from mildbench.method import MethodSpec

AGGREGATES = 1e-9
"""Relative: aggregates of the same scores differ by the order of additions only."""
SCORES = 1e-4
"""Relative and absolute: networks give other last digits on other devices. Pictures are compared to the bit."""
_NAMED = 5
"""Differences of one kind that are told one by one."""


@dataclass
class Report:
    """What was recomputed."""

    checked: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    """A sentence each; an entry with any is not what it says."""
    notes: list[str] = field(default_factory=list)
    """What could not be checked, or is otherwise worth knowing."""


def aggregates(stored: Stored) -> Report:
    """Recompute everything in the entry that follows from its per-sample scores."""
    report, entry, summary = Report(), stored.entry, stored.entry.summary
    try:
        scores = stored.scores()
    except (UserError, OSError, pa.ArrowInvalid, KeyError) as error:
        report.differences.append(str(error))
        return report
    counts = {
        "rows": (len(scores.ids), entry.scores.rows),
        "samples": (len(scores.ids), summary.samples),
        "distinct samples": (len(set(scores.ids)), summary.samples),
        "scored": (int(scores.scored.sum()), summary.scored),
    }
    for what, (found, said) in counts.items():
        if found != said:
            report.differences.append(f"{what}: the scores have {found}, the entry says {said}")
    failed = {name: error for name, error in zip(scores.ids, scores.errors, strict=True) if error is not None}
    if failed != {failure.sample_id: failure.reason for failure in summary.failures}:
        report.differences.append("failures: the entry lists others than the scores")
    panel = panel_of(summary.metrics, f"entry {entry.name}")
    said_estimates = {item.column: item for item in summary.estimates}
    if list(said_estimates) != list(scores.values):
        report.differences.append("aggregates: the entry has other columns than the scores")
    for column in scores.values:
        if (said_estimate := said_estimates.get(column)) is not None:
            found_estimate = estimate(panel, scores, column, scores.scored)
            report.differences += _estimate_differences(found_estimate, said_estimate)
    report.checked.append(
        f"{len(said_estimates)} aggregates with their intervals from {len(scores.ids)} samples"
    )
    if summary.sets:
        names = ", ".join(dict.fromkeys(item.metric for item in summary.sets))
        report.notes.append(f"{names}: of the set as a whole: recomputed only from predictions")
    return report


def predictions(stored: Stored, folder: Path, dataset: TripletSource, *, device: str = "cpu") -> Report:
    """Score stored predictions (`<sample id>.png`) and compare."""
    if not folder.is_dir():
        raise UserError(f"predictions folder not found: {folder}")
    # A run's own folder as well as the pictures' in it.
    inner = folder / "predictions"
    directory = inner if inner.is_dir() else folder
    spec = MethodSpec("precomputed", {"directory": str(directory)})
    report = _scores(stored, spec, Corruption(), dataset, device)
    report.notes += [
        f"{metric.name}: needs more of the method than pictures: use --rerun"
        for metric in stored.entry.summary.metrics
        if metric.name in _not_of_pictures(stored.entry)
    ]
    return report


def rerun(stored: Stored, dataset: TripletSource, *, device: str = "cpu") -> Report:
    """Run the method again, as it was, and compare."""
    summary = stored.entry.summary
    spec = MethodSpec(summary.method.name, dict(summary.method.options))
    corruption = Corruption.parse(summary.config.corruption)
    return _scores(stored, spec, corruption, dataset, device)


def _scores(
    stored: Stored, spec: MethodSpec, corruption: Corruption, dataset: TripletSource, device: str
) -> Report:
    summary = stored.entry.summary
    report = Report()
    if dataset.fingerprint != summary.config.dataset:
        report.notes.append(
            f"the data set's files are others ({dataset.fingerprint[:12]}, the entry has "
            f"{summary.config.dataset[:12]}): what they hold is compared"
        )
    with TemporaryDirectory() as scratch:
        out = Path(scratch)
        (again,) = evaluate(
            dataset,
            summary.task,
            summary.split,
            [spec],
            out=out,
            metrics=[metric.name for metric in summary.metrics],
            device=device,
            limit=summary.limit,
            seed=summary.config.seed,
            paste_dilation=summary.paste_dilation,
            corruption=corruption,
        )
        found = pq.read_table(task_folder(out, dataset, summary.task) / again.run / "scores.parquet")
    if again.config.versions != summary.config.versions and spec.name == summary.method.name:
        report.notes.append("the method's code has changed since")
    lacking = {item.name for item in again.unavailable}
    report.notes += [f"{item.name}: not recomputed: {item.reason}" for item in again.unavailable]
    skipped = lacking | (_not_of_pictures(stored.entry) if spec.name == "precomputed" else set())
    report.differences += _row_differences(stored, found, skipped)
    report.differences += _set_differences(summary.sets, again.sets, lacking)
    report.checked.append(f"pictures and scores of {len(found)} samples")
    return report


def _not_of_pictures(entry: Entry) -> set[str]:
    """Names of the entry's metrics that are of layers or attention."""
    panel = panel_of(entry.summary.metrics, f"entry {entry.name}")
    return {metric.info.name for metric in (*panel.layers, *panel.attention)}


def _row_differences(stored: Stored, found: pa.Table, skipped: set[str]) -> list[str]:
    said = stored.rows()
    if found.column("id").to_pylist() != said.column("id").to_pylist():
        return ["samples: the data set's task has others than the entry"]
    ids = said.column("id").to_pylist()
    panel = panel_of(stored.entry.summary.metrics, f"entry {stored.entry.name}")
    scores = [column for column in columns(panel) if column.partition(".")[0] not in skipped]
    # The pictures by their pixels: files of the same picture may differ. Failures by their being failures:
    # a missing file tells another story than the method did.
    facts = [
        name
        for name in FIXED.names
        if not name.endswith(("prediction_sha256", "layers_sha256", "attention_sha256")) and name != "error"
    ]
    differences = []
    for name in ("error", *facts, *scores):
        mine, theirs = (table.column(name).to_pylist() for table in (found, said))
        wrong = [
            (sample, a, b)
            for sample, a, b in zip(ids, mine, theirs, strict=True)
            if not (((a is None) == (b is None)) if name == "error" else _same(a, b, SCORES))
        ]
        differences += [
            f"{sample}: {name} is {_text(a)}, the entry says {_text(b)}" for sample, a, b in wrong[:_NAMED]
        ]
        if len(wrong) > _NAMED:
            differences.append(f"{name}: {len(wrong) - _NAMED} more samples differ")
    return differences


def _set_differences(said: Sequence, found: Sequence, lacking: set[str]) -> list[str]:
    mine = {(item.metric, item.variant): item for item in found}
    differences = []
    for item in said:
        if item.metric in lacking:
            continue
        again = mine.get((item.metric, item.variant))
        if again is None or not _same(again.value, item.value, SCORES) or again.n != item.n:
            value = None if again is None else again.value
            differences.append(
                f"{item.metric} ({item.variant}) is {_text(value)}, the entry says {_text(item.value)}"
            )
    return differences


def _estimate_differences(found: Estimate, said: Estimate) -> list[str]:
    return [
        f"{said.column}: {name} is {_text(mine)} by the scores, the entry says {_text(theirs)}"
        for name in ("value", "low", "high", "n", "undefined")
        if not _same(mine := getattr(found, name), theirs := getattr(said, name), AGGREGATES)
    ]


def _same(first: object, second: object, tolerance: float) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        if math.isnan(first) or math.isnan(second):
            return math.isnan(first) and math.isnan(second)
        return bool(np.isclose(first, second, rtol=tolerance, atol=tolerance))
    return first == second


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
