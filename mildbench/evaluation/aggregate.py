"""Stage three: from rows and features to `summary.json`. Everything here can be recomputed in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

import mildbench
from mildbench import statistics
from mildbench.errors import UserError
from mildbench.evaluation import attention_plot
from mildbench.evaluation.features import FeatureStore
from mildbench.evaluation.panel import Panel, record_of
from mildbench.evaluation.rows import columns
from mildbench.evaluation.run import Run, RunRecord, Session, write_model
from mildbench.evaluation.summary import (
    VARIANTS,
    Estimate,
    Failure,
    RunSummary,
    SetEstimate,
    Stratum,
)
from mildbench.files import read_json
from mildbench.metrics.base import EFFECT, SampleMetric
from mildbench.tasks import keeps

HEADLINE = "psnr.mask.pasted"
"""The column that tables are sorted and ranked by. PSNR needs no weights, so it is there on every machine;
the erased part is what the task is about; pasted, so that no method is ranked by what its autoencoder does to
the rest of the picture (the raw columns show that)."""


class Scores:
    """Rows of one run, as arrays."""

    def __init__(self, table: pa.Table, panel: Panel) -> None:
        """`panel`: the part of it that is for the run."""
        text = {name: table.column(name).to_pylist() for name in ("id", "scene", "error")}
        self.ids: list[str] = text["id"]
        self.errors: list[str | None] = text["error"]
        scenes = [scene or name for name, scene in zip(text["id"], text["scene"], strict=True)]
        self.clusters: np.ndarray = np.unique(np.array(scenes), return_inverse=True)[1]
        """int[N]: tasks on one scene share most of their pixels, so the bootstrap draws scenes."""
        self.scored = np.array([error is None for error in self.errors], dtype=bool)
        self.effects = any(f".{EFFECT}." in name for name in table.column_names)
        """Whether the region `effect` was scored."""
        shown = replace(panel, effects=self.effects)
        self.values = {name: table.column(name).to_numpy() for name in columns(shown)}
        """Column -> float64[N]; NaN is undefined or failed."""
        self._table = table

    def column(self, name: str) -> list[Any]:
        """The values of any other column; None is unknown."""
        return self._table.column(name).to_pylist()


STRATIFIED = ("visible_ratio", "people", "mask_share", "family", "difficulty", "ground")
"""Columns of the scores by which aggregates are split, in the order of `statistics.strata`'s arguments."""


def headline_columns(panel: Panel, task: str) -> list[str]:
    """The score columns that tables show and strata and comparisons are made for, in order."""
    found = []
    for metric in panel.pair:
        name, regions = metric.info.name, metric.info.regions
        shown = ("mask",) if "mask" in regions else regions
        found += [f"{name}.{region}.{variant}" for region in shown for variant in VARIANTS]
        if name == "psnr":
            found.append("psnr.outside.raw")
            if panel.effects:
                found.append(f"psnr.{EFFECT}.raw")
            if keeps(task):
                found.append("psnr.overlap.pasted")
    for other in (*panel.layers, *panel.attention):
        found += [f"{other.info.name}.{region}.{VARIANTS[0]}" for region in other.info.regions]
    return found


def metric_of(panel: Panel, column: str) -> SampleMetric:
    """The metric that a score column belongs to."""
    name = column.partition(".")[0]
    return next(metric for metric in panel.samples if metric.info.name == name)


def aggregate(run: Run, record: RunRecord, panel: Panel, rows: pa.Table) -> RunSummary:
    """Summarise the rows, and draw the attention gap where there is one.

    Args:
        run: its `summary.json` is written, unless that is of more samples than these.
        record: the run's description.
        panel: the part of it that is for the run.
        rows: of its samples, from `scores.parquet`.
    """
    scores = Scores(rows, panel)
    every = scores.scored
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
        scored=int(every.sum()),
        failures=[
            Failure(sample_id=name, reason=error)
            for name, error in zip(scores.ids, scores.errors, strict=True)
            if error is not None
        ],
        metrics=[record_of(metric) for metric in (*panel.samples, *panel.sets)],
        unavailable=list(panel.unavailable),
        estimates=[estimate(panel, scores, column, every) for column in scores.values],
        sets=_sets(run, panel, scores),
        strata=_strata(panel, scores, headline_columns(panel, record.task)),
        **_timing(run, record.sessions),
        notes=_drawn(run),
    )
    if summary.samples >= _summarised(run):
        write_model(run.summary, summary)
    return summary


def _summarised(run: Run) -> int:
    """Samples that the `summary.json` on disk is of; 0 where there is none that can be read."""
    try:
        return int(read_json(run.summary, "summary")["samples"])
    except (UserError, KeyError, TypeError, ValueError):
        return 0


def _drawn(run: Run) -> list[str]:
    """Draw `attention.png` unless it is newer than the record; what to tell if that cannot be done."""
    try:
        attention_plot.draw(run)
    except UserError as error:  # the plot is an extra: its package may be missing
        return [str(error)]
    return []


def estimate(panel: Panel, scores: Scores, column: str, members: np.ndarray) -> Estimate:
    """The mean of a score column over the samples of bool[N] `members`."""
    metric, region, variant = column.split(".")
    found = statistics.mean(
        scores.values[column][members], metric_of(panel, column), scores.clusters[members]
    )
    return Estimate.model_validate({"metric": metric, "region": region, "variant": variant, **vars(found)})


def _strata(panel: Panel, scores: Scores, headline: Sequence[str]) -> list[Stratum]:
    """Per stratification and stratum, in the order of tables; strata without samples are left out."""
    facts = zip(*(scores.column(name) for name in STRATIFIED), strict=True)
    labels = [statistics.strata(*fact) for fact in facts]
    found = []
    for by in STRATIFIED:
        mine = np.array([label[by] for label in labels])
        present = sorted(set(mine[scores.scored].tolist()), key=_order(by))
        for label in present:
            members = scores.scored & (mine == label)
            estimates = [estimate(panel, scores, column, members) for column in headline]
            found.append(Stratum(by=by, label=label, samples=int(members.sum()), estimates=estimates))
    return found


def _order(by: str) -> Any:
    known = statistics.STRATA.get(by, ())
    return lambda label: (known.index(label) if label in known else len(known), label)


def _sets(run: Run, panel: Panel, scores: Scores) -> list[SetEstimate]:
    networks = {type(extractor): extractor.key for extractor in panel.extractors}
    outputs = {kind: FeatureStore(run.features, name) for kind, name in networks.items()}
    truths = {kind: FeatureStore(run.truth_features, name) for kind, name in networks.items()}
    rows = np.flatnonzero(scores.scored)
    keys = {side: scores.column(f"{side}_sha256") for side in (*VARIANTS, "truth")}
    found: list[SetEstimate] = []
    for metric in panel.sets:
        kind = metric.extractor
        for variant in VARIANTS:
            shared: dict[str, Any] = {"metric": metric.info.name, "variant": variant}
            if not len(rows):
                nothing: dict[str, Any] = {"value": None, "spread": None, "n": 0}
                nothing["note"] = "no sample was scored"
                found.append(SetEstimate(**shared, **nothing))
            else:
                result = metric.compute(
                    outputs[kind].stack(keys[variant][row] for row in rows),
                    truths[kind].stack(keys["truth"][row] for row in rows),
                )
                found.append(SetEstimate(**shared, **vars(result)))
    return found


def _timing(run: Run, sessions: Sequence[Session]) -> dict[str, Any]:
    images = sum(session.timed_images for session in sessions)
    if run.copies_files or not images:
        return {"seconds_per_image": None, "device": None}
    devices = {session.environment.get("gpu", session.device) for session in sessions}
    return {
        "seconds_per_image": sum(session.seconds for session in sessions) / images,
        "device": devices.pop() if len(devices) == 1 else None,
    }
