"""The result in the terminal: one row a run, one column a number, and what one has to know to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.summary import RunSummary


@dataclass(frozen=True)
class _Column:
    header: str
    cells: list[Text]

    @property
    def width(self) -> int:
        lines = [*self.header.split("\n"), *(line for cell in self.cells for line in cell.plain.split("\n"))]
        return max(map(len, lines))


def build(board: Board[Any], width: int, *, wide: bool = False) -> Group:
    """The table of one invocation: sorted by the headline column, controls marked, footnotes below.

    It has the columns that `width` characters have room for, those it is ranked by first, and says how many it leaves
    out. If `wide` it has all, and goes on below itself, whole columns at a time.
    """
    summaries = board.summaries
    first = summaries[0]
    start = [
        *_ranks(board),
        _Column("method", [_method(row, board.names[row.run]) for row in summaries]),
    ]
    scores = [
        _Column(_header(board, column), [_estimate(board, row, column) for row in summaries])
        for column in dict.fromkeys([*board.headlines, *board.columns])
    ]
    for name, variant in board.sets:
        header = f"{name.upper()}\nfull\n{variant} {wording.arrow(board.metrics[name])}"
        scores.append(
            _Column(header, [_number(wording.set_text(row.of_set(name, variant))) for row in summaries])
        )
    for lacking in first.unavailable:
        nothing = [Text(wording.NOT_POSSIBLE, style="dim") for _ in summaries]
        scores.append(_Column(lacking.name.upper(), nothing))
    seconds = _Column("s/image", [Text(wording.seconds_text(row.seconds_per_image)) for row in summaries])
    room = width - _taken(start)
    if wide:
        parts, left_out = _fitting([*scores, seconds], room), 0
    else:
        first_part, *others = _fitting(scores, room - _taken([seconds]))
        parts, left_out = [[*first_part, seconds]], sum(map(len, others))

    limited = "" if first.limit is None else ": --limit"
    title = f"{first.task} on {first.dataset} ({first.split}, {wording.extent(first.samples, board.scenes)}{limited})"
    tables = [_table([*start, *part]) for part in parts]
    more = [f"{left_out} more column{'' if left_out == 1 else 's'}: --wide"] if left_out else []
    notes = Text("\n".join([*more, *board.footnotes]), style="dim")
    return Group(Text(title, style="bold"), *tables, notes)


def _ranks(board: Board[Any]) -> list[_Column]:
    """One for each headline; its metric stands below where there are several."""
    summaries = board.summaries
    if not board.headlines:
        return [_Column("rank", [Text(wording.UNDEFINED) for _ in summaries])]
    return [
        _Column(
            f"rank\n{column.partition('.')[0].upper()}" if len(board.headlines) > 1 else "rank",
            [Text(wording.rank(row.run, board.comparisons[column].ranks)) for row in summaries],
        )
        for column in board.headlines
    ]


_PADDING = 3
"""Characters between two columns."""


def _taken(columns: Sequence[_Column]) -> int:
    return sum(column.width + _PADDING for column in columns)


def _fitting(columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    """Split so that each part is at most `width` wide, or one column."""
    parts: list[list[_Column]] = [[]]
    for column in columns:
        if parts[-1] and _taken([*parts[-1], column]) > width:
            parts.append([])
        parts[-1].append(column)
    return parts


def _table(columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        left = column.header == "method"
        table.add_column(column.header, justify="left" if left else "right", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table


def _header(board: Board[Any], column: str) -> str:
    name, region, variant = column.split(".")
    return f"{name.upper()}\n{region}\n{variant} {wording.arrow(board.metrics[name])}"


def _method(summary: RunSummary, name: str) -> Text:
    marks = ["control"] if summary.control else []
    if summary.method.untrained is not None:
        marks.append("random weights")
    if summary.failures:
        marks.append(f"incomplete: {len(summary.failures)} failed")
    return Text(name).append(f"\n{', '.join(marks)}" if marks else "", style="dim")


def _estimate(board: Board[Any], summary: RunSummary, column: str) -> Text:
    return _number(wording.estimate_text(summary.estimate(column), board.metric(column).unit))


def _number(number: wording.Number) -> Text:
    """The value, and below it how sure it is."""
    if number.value in (wording.NOT_POSSIBLE, wording.UNDEFINED):
        return Text(number.value, style="dim")
    text = Text(number.value)
    return text.append(f"\n{number.spread}", style="dim") if number.spread else text
