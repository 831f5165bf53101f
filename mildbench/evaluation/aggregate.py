"""Stage three: from rows and features to `summary.json`. Everything here can be recomputed in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import mildbench
from mildbench import statistics
from mildbench.errors import UserError
from mildbench.evaluation import features
from mildbench.evaluation.panel import LoadedPanel, record_of
from mildbench.evaluation.run import Run
from mildbench.files import read_json
from mildbench.metrics.base import FeatureExtractor, SetMetric, SetResult
from mildbench.records import write_model
from mildbench.results import attention_plot
from mildbench.results.finished import FinishedRun
from mildbench.results.folder import RunFolder
from mildbench.results.panel import panel_of
from mildbench.results.record import RunRecord, Session
from mildbench.results.scores import STRATIFIED, Scores
from mildbench.results.summary import VARIANTS, Failure, RunSummary, SetEstimate, Stratum


def aggregate(run: Run, record: RunRecord, panel: LoadedPanel, rows: pa.Table) -> FinishedRun:
    """Summarise the rows, and draw the attention gap where somebody stays.

    Args:
        run: its `summary.json` is written, unless that is of more samples than these.
        record: the run's description.
        panel: the part of it that is for the run.
        rows: of its samples, from `scores.parquet`.
    """
    scores = Scores(rows, panel)
    summary = RunSummary(
        mildbench=mildbench.__version__,
        run=run.folder.name,
        label=run.label,
        method=record.method,
        dataset=record.dataset.name,
        config=run.config,
        task=record.task,
        split=record.split,
        limit=record.limit,
        paste_dilation=record.paste_dilation,
        samples=len(scores.ids),
        scored=int(scores.scored.sum()),
        failures=[
            Failure(sample_id=name, reason=error)
            for name, error in zip(scores.ids, scores.errors, strict=True)
            if error is not None
        ],
        metrics=[record_of(metric) for metric in (*panel.samples, *panel.sets)],
        unavailable=list(panel.unavailable),
        estimates=[scores.estimate(column) for column in scores.values],
        sets=_sets(run.folder, panel, scores),
        strata=_strata(scores, panel.headline_columns(record.task)),
        **_timing(run, record.sessions),
        notes=_drawn(run),
    )
    if summary.samples >= _summarised(run.folder.summary):
        write_model(run.folder.summary, summary)
    return FinishedRun(run.folder, record, summary, rows, panel_of([summary], f"run {run.folder}"))


def _summarised(path: Path) -> int:
    """Samples that the `summary.json` on disk is of; 0 where there is none that can be read."""
    try:
        return int(read_json(path, "summary")["samples"])
    except (UserError, KeyError, TypeError, ValueError):
        return 0


def _drawn(run: Run) -> list[str]:
    """Draw `attention.png` unless it is newer than the record; what to tell if that cannot be done."""
    try:
        attention_plot.draw(run.folder, run.label)
    except UserError as error:  # the plot is an extra: its package may be missing
        return [str(error)]
    return []


def _strata(scores: Scores, headline: Sequence[str]) -> list[Stratum]:
    """Per stratification and stratum, in the order of tables; strata without samples are left out."""
    facts = zip(*(scores.column(name) for name in STRATIFIED), strict=True)
    labels = [statistics.strata(*fact) for fact in facts]
    found = []
    for by in STRATIFIED:
        mine = np.array([label[by] for label in labels])
        present = sorted(set(mine[scores.scored].tolist()), key=_order(by))
        for label in present:
            members = scores.scored & (mine == label)
            estimates = [scores.estimate(column, members) for column in headline]
            found.append(Stratum(by=by, label=label, samples=int(members.sum()), estimates=estimates))
    return found


def _order(by: str) -> Any:
    known = statistics.STRATA.get(by, ())
    return lambda label: (known.index(label) if label in known else len(known), label)


def _sets(run: RunFolder, panel: LoadedPanel, scores: Scores) -> list[SetEstimate]:
    rows = np.flatnonzero(scores.scored)
    networks = {type(extractor): extractor.key for extractor in panel.extractors}

    @cache
    def stacked(kind: type[FeatureExtractor], side: str) -> np.ndarray:
        folder = run.truth_features if side == "truth" else run.features
        keys = scores.column(f"{side}_sha256")
        return features.stack(folder, networks[kind], (keys[row] for row in rows))

    def result(metric: SetMetric, variant: str) -> SetResult:
        if not len(rows):
            return SetResult(None, None, 0, "no sample was scored")
        return metric.compute(stacked(metric.extractor, variant), stacked(metric.extractor, "truth"))

    return [
        SetEstimate(metric=metric.info.name, variant=variant, **vars(result(metric, variant)))
        for metric in panel.sets
        for variant in VARIANTS
    ]


def _timing(run: Run, sessions: Sequence[Session]) -> dict[str, Any]:
    images = sum(session.timed_images for session in sessions)
    if run.copies_files or not images:
        return {"seconds_per_image": None, "device": None}
    devices = {session.environment.get("gpu", session.device) for session in sessions}
    return {
        "seconds_per_image": sum(session.seconds for session in sessions) / images,
        "device": devices.pop() if len(devices) == 1 else None,
    }
