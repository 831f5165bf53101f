"""What came of an ablation: `NAME.json`, with the records of all trainings and runs, and a table of it."""

from __future__ import annotations

from typing import Literal

from mildbench.records import Strict
from mildbench.results import wording
from mildbench.results.compare import Comparison, PairRecord
from mildbench.results.record import RunRecord
from mildbench.results.summary import RunSummary
from mildbench.training.record import TrainingRecord


class RowResult(Strict):
    """One variant."""

    name: str
    training: TrainingRecord | None
    """None where nothing was trained."""
    run: RunRecord
    summary: RunSummary
    """Without strata."""


class Ablation(Strict):
    """`NAME.json`."""

    schema_version: Literal[1] = 1
    study: str
    description: str
    columns: list[str]
    rows: list[RowResult]
    """The others are compared with the first."""
    comparison: Comparison


def markdown(ablation: Ablation) -> str:
    """One row a variant: the score, and in brackets the 95 % interval of its paired difference from the first row."""
    first = ablation.rows[0]
    metrics = {metric.name: metric for row in ablation.rows for metric in row.summary.metrics}
    heads = [first.summary.task, "steps"]
    for column in ablation.columns:
        name, region, variant = column.split(".")
        heads.append(f"{name.upper()} {region} {variant} {wording.arrow(metrics[name])}")
    lines = [heads, ["---"] * len(heads)]
    for row in ablation.rows:
        steps = wording.UNDEFINED if row.training is None else str(row.training.exported)
        lines.append([row.name, steps, *(_cell(ablation, row, column) for column in ablation.columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(ablation: Ablation, row: RowResult, column: str) -> str:
    first = ablation.rows[0].summary
    unit = next(metric.unit for metric in first.metrics if metric.name == column.partition(".")[0])
    estimate = row.summary.estimate(column)
    value = f"{wording.estimate_text(estimate, unit).value} {wording.over(estimate)}".strip()
    pair = _pair(ablation.comparison, row.summary.run, first.run, column)
    if pair is None or pair.value is None or pair.low is None or pair.high is None:
        return value
    sign, places = (1 if pair.first == row.summary.run else -1), wording.digits(unit)
    low, high = sorted((sign * pair.low, sign * pair.high))
    return f"{value}, {sign * pair.value:+.{places}f} [{low:+.{places}f}, {high:+.{places}f}]"


def _pair(comparison: Comparison, one: str, other: str, column: str) -> PairRecord | None:
    found = comparison.column(column)
    pairs = [] if found is None else found.pairs
    return next((pair for pair in pairs if {pair.first, pair.second} == {one, other} and one != other), None)
