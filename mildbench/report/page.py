"""The report: everything that it shows, gathered, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mildbench
from mildbench import extras
from mildbench.errors import UserError
from mildbench.evaluation import wording
from mildbench.evaluation.aggregate import STRATIFIED
from mildbench.evaluation.finished import FinishedRun, reopen
from mildbench.evaluation.summary import RunSummary
from mildbench.files import write_bytes
from mildbench.report import cases, html, plots
from mildbench.report.html import Cell, Column
from mildbench.report.section import Section, sections

_PICTURES = 16_000_000
"""Characters of pictures in the page; with its plots and tables it stays under 25 MB."""


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows."""

    svg: str
    caption: str


def write(path: Path, runs: Sequence[FinishedRun], dataset: Path | None = None) -> list[str]:
    """Write the report of runs, atomically.

    Args:
        path: the page.
        runs: of any tasks and data sets; each gets a section with those it can be compared to.
        dataset: where the pictures are, if not where they lay when the runs were made.

    Returns:
        What could not be shown, and why: a sentence each. The page says the same.

    Raises:
        UserError: no runs, the same run twice, or a missing package.
    """
    extras.require("matplotlib", "a report")
    extras.require("jinja2", "a report")
    if not runs:
        raise UserError("nothing to report: give a run's folder")
    found = sections(runs)
    budget = cases.Budget(_PICTURES)
    looks = plots.styles(name for section in found for name in section.names.values())
    parts = [_part(section, number, dataset, budget, looks) for number, section in enumerate(found, 1)]
    text = html.render(
        html.SHARED,
        "report.html.j2",
        {"sections": parts, "version": mildbench.__version__, "side": cases.SIDE},
    )
    write_bytes(path, text.encode())
    return [part["lacking"] for part in parts if part["lacking"]]


def _part(
    section: Section, number: int, dataset: Path | None, budget: cases.Budget, looks: plots.Styles
) -> dict[str, Any]:
    """What the template knows of a section."""
    summaries = [run.summary for run in section.runs]
    first = summaries[0]
    chosen: list[cases.Case] = []
    left_out, lacking = 0, ""
    try:
        chosen, left_out = cases.choose(section, reopen(section.runs[0].record, dataset)[1], budget)
    except UserError as error:
        lacking = f"{section.title}: no pictures: {error}"
    columns = plots.plotted_columns(section)
    return {
        "number": number,
        "title": section.title,
        "samples": first.samples,
        "fingerprint": first.config.dataset,
        "legend": [(name, looks[name]) for name in section.names.values()],
        "columns": _columns(section, first),
        "rows": [(_marks(run.summary), _row(section, run.summary)) for run in section.runs],
        "notes": [
            *wording.legend(section.headline, first),
            *wording.remarks(summaries, section.columns, section.metrics),
            *wording.notes(summaries, section.names),
        ],
        "pairs": _pairs(section),
        "headline": "" if section.headline is None else section.axis(section.headline),
        "strata": [
            Plot(drawn, f"{section.axis(column)}, by {plots.TITLES[by]}")
            for column in columns
            for by in STRATIFIED
            if (drawn := plots.strata(section, by, column, looks)) is not None
        ],
        "distributions": [
            Plot(drawn, f"distribution of {section.axis(column)}")
            for column in columns
            if (drawn := plots.distribution(section, column, looks)) is not None
        ],
        "attention": [
            Plot(drawn, f"attention gap (CAG-kappa) of {section.names[run.summary.run]} over layers and time")
            for run in section.runs
            if (drawn := plots.attention(run)) is not None
        ],
        "costs": [_cost(section, run) for run in section.runs],
        "cases": chosen,
        "left_out": left_out,
        "lacking": lacking,
        "failures": [
            (section.names[summary.run], summary.failures, summary.samples)
            for summary in summaries
            if summary.failures
        ],
        "metrics": list(section.metrics.values()),
        "unavailable": list(
            {item.name: item for summary in summaries for item in summary.unavailable}.values()
        ),
        "dilation": first.paste_dilation,
        "runs": [(section.names[run.summary.run], run.summary, run.record) for run in section.runs],
    }


def _columns(section: Section, first: RunSummary) -> list[Column]:
    found = [Column("rank", "", ""), Column("method", "", "")]
    for column in section.columns:
        metric = section.metric(column)
        _, region, variant = column.split(".")
        unit = f", {metric.unit}" if metric.unit else ""
        found.append(Column(metric.name.upper(), f"{region}, {variant}{unit}", wording.arrow(metric)))
    for item in first.sets:
        arrow = wording.arrow(section.metrics[item.metric])
        found.append(Column(item.metric.upper(), f"full, {item.variant}", arrow))
    return [*found, Column("s/image", "", "↓")]


def _row(section: Section, summary: RunSummary) -> list[Cell]:
    rank = section.ranks.get(summary.run)
    cells = [
        Cell(wording.rank(summary.run, section.ranks), order=rank),
        Cell(section.names[summary.run], summary.method.summary),
    ]
    for column in section.columns:
        estimate = summary.estimate(column)
        number = wording.estimate_text(estimate, section.metric(column).unit)
        value = None if estimate is None else estimate.value
        cells.append(Cell(*number, order=value, best=summary.run in section.best(column)))
    sets = {(item.metric, item.variant): item for item in summary.sets}
    for item in section.runs[0].summary.sets:
        mine = sets.get((item.metric, item.variant))
        number = wording.Number(wording.NOT_POSSIBLE) if mine is None else wording.set_text(mine)
        cells.append(Cell(*number, order=None if mine is None else mine.value))
    seconds = summary.seconds_per_image
    return [*cells, Cell(wording.seconds_text(seconds), order=seconds)]


def _marks(summary: RunSummary) -> list[tuple[str, str]]:
    """Badges: kind and text."""
    found: list[tuple[str, str]] = [
        ("control" if summary.control else "provenance", summary.method.provenance)
    ]
    if summary.method.untrained is not None:
        found.append(("warning", "random weights: numbers mean nothing"))
    if summary.failures:
        found.append(("warning", f"incomplete: {len(summary.failures)} failed"))
    if summary.limit is not None:
        found.append(("warning", f"first {summary.samples} samples only"))
    return found


def _pairs(section: Section) -> list[list[Cell]]:
    """The paired differences in the headline column."""
    if section.headline is None:
        return []
    places = wording.digits(section.metric(section.headline).unit)

    def text(value: float | None) -> str:
        return wording.UNDEFINED if value is None else f"{value:+.{places}f}"

    return [
        [
            Cell(section.names[pair.first]),
            Cell(section.names[pair.second]),
            Cell(text(pair.value), order=pair.value),
            Cell(f"{text(pair.low)} to {text(pair.high)}"),
            Cell("tie" if pair.tied else "apart"),
            Cell(f"{pair.p_holm:.2g}", order=pair.p_holm),
            Cell(str(pair.n), order=pair.n),
        ]
        for pair in section.comparisons[section.headline].pairs
    ]


def _cost(section: Section, run: FinishedRun) -> list[Cell]:
    sessions = [session for session in run.record.sessions if session.images]
    peaks = [session.peak_memory_bytes for session in sessions if session.peak_memory_bytes is not None]
    peak = max(peaks, default=None)
    seconds = run.summary.seconds_per_image
    devices = {session.environment.get("gpu", session.device) for session in sessions}
    return [
        Cell(section.names[run.summary.run]),
        Cell(wording.seconds_text(seconds), order=seconds),
        Cell("not counted" if peak is None else f"{peak / 2**20:,.0f}", order=peak),
        Cell(", ".join(sorted(devices)) or wording.UNDEFINED),
        Cell(run.record.config.dtype or wording.UNDEFINED),
        Cell(", ".join(map(str, sorted({session.batch_size for session in sessions}))) or wording.UNDEFINED),
    ]
