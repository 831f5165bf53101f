"""A board as a table that can be sorted: its columns, and a result's cells in them."""

from __future__ import annotations

from typing import Any

from mildbench.report.html import Cell, TableColumn
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.summary import RunSummary


def columns(board: Board[Any]) -> list[TableColumn]:
    """Of the scores, of the whole sets' numbers, and the time."""
    found = []
    for column in board.columns:
        metric = board.metric(column)
        _, region, variant = column.split(".")
        unit = f", {metric.unit}" if metric.unit else ""
        found.append(TableColumn(metric.name.upper(), f"{region}, {variant}{unit}", wording.arrow(metric)))
    for name, variant in board.sets:
        found.append(TableColumn(name.upper(), f"full, {variant}", wording.arrow(board.metrics[name])))
    return [*found, TableColumn("s/image", "", "↓")]


def cells(board: Board[Any], summary: RunSummary) -> list[Cell]:
    """One for each of `columns`; below the number how sure it is, and its ranks in that column."""
    found = []
    for column in board.columns:
        estimate = summary.estimate(column)
        text, spread = wording.estimate_text(estimate, board.metric(column).unit)
        value, ranks = None if estimate is None else estimate.value, board.comparisons[column].ranks
        below = [spread, wording.rank(summary.run, ranks) if summary.run in ranks else ""]
        best = value is not None and summary.run in board.best(column)
        found.append(Cell(text, " · ".join(filter(None, below)), order=value, best=best))
    for name, variant in board.sets:
        mine = summary.of_set(name, variant)
        found.append(Cell(*wording.set_text(mine), order=None if mine is None else mine.value))
    seconds = summary.seconds_per_image
    return [*found, Cell(wording.seconds_text(seconds), order=seconds)]


def rank_columns(board: Board[Any]) -> list[TableColumn]:
    """One for each headline, or an empty one."""
    if not board.headlines:
        return [TableColumn("rank", "", "")]
    return [TableColumn("rank", wording.column_text(column), "") for column in board.headlines]


def ranks(board: Board[Any], summary: RunSummary) -> list[Cell]:
    """One for each of `rank_columns`."""
    if not board.headlines:
        return [Cell(wording.UNDEFINED)]
    found = []
    for column in board.headlines:
        known = board.comparisons[column].ranks
        mine = known.get(summary.run)
        found.append(Cell(wording.rank(summary.run, known), order=None if mine is None else sum(mine) / 2))
    return found
