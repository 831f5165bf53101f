"""The report: everything that it shows, gathered, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mildbench
from mildbench import extras
from mildbench.errors import UserError
from mildbench.report import cases, html, plots, tables
from mildbench.report.html import Cell, TableColumn
from mildbench.results import controls, wording
from mildbench.results.board import Board, boards
from mildbench.results.conclusions import conclusions
from mildbench.results.finished import FinishedRun, reopen
from mildbench.results.scores import STRATIFIED
from mildbench.results.summary import RunSummary

_PICTURES = 16_000_000
"""Characters of pictures in the page; with its plots and tables it stays under 25 MB."""


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows."""

    svg: str
    caption: str


def write(
    path: Path, runs: Sequence[FinishedRun], dataset: Path | None = None, *, headline: str | None = None
) -> list[str]:
    """Write the report of runs, atomically.

    Args:
        path: the page.
        runs: of any tasks and data sets; each gets a section with those it can be compared to.
        dataset: where the pictures are, if not where they lay when the runs were made.
        headline: what to rank by, as `mildbench.results.headline.named` reads it; None for the usual.

    Returns:
        What could not be shown, and why: a sentence each. The page says the same.

    Raises:
        UserError: no runs, the same run twice, a headline that nothing has, or a missing package.
    """
    extras.require("matplotlib", "a report")
    extras.require("jinja2", "a report")
    if not runs:
        raise UserError("nothing to report: give a run's folder")
    html.check_free(path)
    found = boards(runs, headline)
    budget = cases.PictureBudget(_PICTURES)
    looks = plots.styles(name for board in found for name in board.names.values())
    parts = [_part(board, number, dataset, budget, looks) for number, board in enumerate(found, 1)]
    html.write(
        path,
        html.SHARED,
        "report.html.j2",
        {"sections": parts, "version": mildbench.__version__, "side": cases.SIDE},
    )
    return [part["lacking"] for part in parts if part["lacking"]]


def _part(
    board: Board[FinishedRun],
    number: int,
    dataset: Path | None,
    budget: cases.PictureBudget,
    looks: plots.Styles,
) -> dict[str, Any]:
    """What the template knows of a section, which is of one board."""
    summaries = board.summaries
    first = summaries[0]
    chosen: list[cases.Case] = []
    left_out, lacking = 0, ""
    try:
        chosen, left_out = cases.choose(board, reopen(board.results[0].record, dataset)[1], budget)
    except UserError as error:
        lacking = f"{board.title}: no pictures: {error}"
    columns = plots.plotted_columns(board)
    limited = all(summary.limit is not None for summary in summaries)
    return {
        "number": number,
        "title": board.title,
        "extent": wording.extent(board.samples, board.scenes) + (" (--limit)" if limited else ""),
        "fingerprint": first.config.dataset,
        "conclusions": conclusions(board),
        "legend": [(name, looks[name]) for name in board.names.values()],
        "ranks": tables.rank_columns(board),
        "columns": [TableColumn("method", "", ""), *tables.columns(board)],
        "rows": [
            (tables.ranks(board, summary), _marks(board, summary), _row(board, summary))
            for summary in summaries
        ],
        "notes": board.footnotes,
        "pairs": _pairs(board),
        "rewards": _rewards(board),
        "headline": "" if board.headline is None else board.axis(board.headline),
        "trade_off": plots.trade_off(board, looks),
        "strata": [
            Plot(drawn, f"{board.axis(column)}, by {plots.TITLES[by]}")
            for column in columns
            for by in STRATIFIED
            if (drawn := plots.strata(board, by, column, looks)) is not None
        ],
        "distributions": [
            Plot(drawn, f"distribution of {board.axis(column)}")
            for column in columns
            if (drawn := plots.distribution(board, column, looks)) is not None
        ],
        "attention": [
            Plot(
                drawn, f"attention gap (kept-logodds) of {board.names[run.summary.run]} over layers and time"
            )
            for run in board.results
            if (drawn := plots.attention(run)) is not None
        ],
        "costs": [_cost(board, run) for run in board.results],
        "cases": chosen,
        "left_out": left_out,
        "lacking": lacking,
        "failures": [
            (board.names[summary.run], summary.failures, summary.samples)
            for summary in summaries
            if summary.failures
        ],
        "metrics": list(board.metrics.values()),
        "unavailable": list(
            {item.name: item for summary in summaries for item in summary.unavailable}.values()
        ),
        "dilation": first.paste_dilation,
        "runs": [(board.names[run.summary.run], run.summary, run.record) for run in board.results],
    }


def _row(board: Board[FinishedRun], summary: RunSummary) -> list[Cell]:
    name = Cell(board.names[summary.run], summary.method.summary)
    return [name, *tables.cells(board, summary)]


def _marks(board: Board[FinishedRun], summary: RunSummary) -> list[tuple[str, str]]:
    """Badges: kind and text."""
    found: list[tuple[str, str]] = [
        ("control" if summary.control else "provenance", summary.method.provenance)
    ]
    if summary.method.untrained is not None:
        found.append(("warning", "random weights: numbers mean nothing"))
    if summary.failures:
        found.append(("warning", f"incomplete: {len(summary.failures)} failed"))
    if summary.samples < board.samples:
        found.append(("warning", f"{summary.samples} samples only"))
    return found


def _pairs(board: Board[FinishedRun]) -> list[list[Cell]]:
    """The paired differences in the headline column."""
    if board.headline is None:
        return []
    places = wording.digits(board.metric(board.headline).unit)

    def text(value: float | None) -> str:
        return wording.UNDEFINED if value is None else f"{value:+.{places}f}"

    return [
        [
            Cell(board.names[pair.first]),
            Cell(board.names[pair.second]),
            Cell(text(pair.value), order=pair.value),
            Cell(f"{text(pair.low)} to {text(pair.high)}"),
            Cell("tie" if pair.tied else "apart"),
            Cell(f"{pair.p_holm:.2g}", order=pair.p_holm),
            Cell(str(pair.n), order=pair.n),
        ]
        for pair in board.comparisons[board.headline].pairs
    ]


def _rewards(board: Board[FinishedRun]) -> dict[str, Any]:
    """How each metric ranks the controls: their names, and the rows."""
    rows = controls.rewarded(board)
    runs = controls.names_of(rows, board)
    return {
        "controls": [name for _, name in runs],
        "rows": [(row, controls.texts(row, [run for run, _ in runs])) for row in rows],
        "remarked": any(row.remark for row in rows),
    }


def _cost(board: Board[FinishedRun], run: FinishedRun) -> list[Cell]:
    sessions = [session for session in run.record.sessions if session.images]
    peaks = [session.peak_memory_bytes for session in sessions if session.peak_memory_bytes is not None]
    peak = max(peaks, default=None)
    seconds = run.summary.seconds_per_image
    devices = {session.environment.get("gpu", session.device) for session in sessions}
    return [
        Cell(board.names[run.summary.run]),
        Cell(wording.seconds_text(seconds), order=seconds),
        Cell("not counted" if peak is None else f"{peak / 2**20:,.0f}", order=peak),
        Cell(", ".join(sorted(devices)) or wording.UNDEFINED),
        Cell(run.record.config.dtype or wording.UNDEFINED),
        Cell(", ".join(map(str, sorted({session.batch_size for session in sessions}))) or wording.UNDEFINED),
    ]
