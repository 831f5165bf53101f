"""The result in the terminal: one row a run, one column a number, and what one has to know to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mildbench.evaluation import wording
from mildbench.evaluation.aggregate import HEADLINE
from mildbench.evaluation.compare import Comparison
from mildbench.evaluation.summary import MetricRecord, RunSummary


@dataclass(frozen=True)
class _Column:
    header: str
    cells: list[Text]

    @property
    def width(self) -> int:
        lines = [*self.header.split("\n"), *(line for cell in self.cells for line in cell.plain.split("\n"))]
        return max(map(len, lines))


def build(summaries: Sequence[RunSummary], comparison: Comparison, width: int) -> Group:
    """The table of one invocation: sorted by the headline column, controls marked, footnotes below.

    A table that is wider than `width` characters goes on below itself, whole columns at a time.
    """
    first = summaries[0]
    metrics = {metric.name: metric for summary in summaries for metric in summary.metrics}
    columns = [item.column for item in comparison.columns]
    headline = HEADLINE if HEADLINE in columns else next(iter(columns), None)
    rows = wording.ordered(summaries, headline, metrics)
    names = wording.names(summaries)
    compared = None if headline is None else comparison.of(headline)
    ranks = {} if compared is None else compared.ranks

    start = [
        _Column("rank", [Text(wording.rank(row.run, ranks)) for row in rows]),
        _Column("method", [_method(row, names[row.run]) for row in rows]),
    ]
    scores = [
        _Column(_header(column, metrics), [_estimate(row, column, metrics) for row in rows])
        for column in columns
    ]
    for item in first.sets:
        header = f"{item.metric.upper()}\nfull\n{item.variant} {wording.arrow(metrics[item.metric])}"
        scores.append(_Column(header, [_set(row, item.metric, item.variant) for row in rows]))
    for lacking in first.unavailable:
        scores.append(_Column(lacking.name.upper(), [Text(wording.NOT_POSSIBLE, style="dim") for _ in rows]))
    scores.append(_Column("s/image", [Text(wording.seconds_text(row.seconds_per_image)) for row in rows]))

    limited = "" if first.limit is None else ": --limit"
    title = f"{first.task} on {first.dataset} ({first.split}, {first.samples} samples{limited})"
    notes = [
        *wording.legend(headline, first),
        *wording.remarks(summaries, columns, metrics),
        *wording.notes(rows, names),
    ]
    tables = [_table([*start, *part]) for part in _fitting(scores, width - _taken(start))]
    return Group(Text(title, style="bold"), *tables, Text("\n".join(notes), style="dim"))


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


def _header(column: str, metrics: dict[str, MetricRecord]) -> str:
    name, region, variant = column.split(".")
    return f"{name.upper()}\n{region}\n{variant} {wording.arrow(metrics[name])}"


def _method(summary: RunSummary, name: str) -> Text:
    marks = ["control"] if summary.control else []
    if summary.method.untrained is not None:
        marks.append("random weights")
    if summary.failures:
        marks.append(f"incomplete: {len(summary.failures)} failed")
    return Text(name).append(f"\n{', '.join(marks)}" if marks else "", style="dim")


def _estimate(summary: RunSummary, column: str, metrics: dict[str, MetricRecord]) -> Text:
    unit = metrics[column.partition(".")[0]].unit
    return _number(wording.estimate_text(summary.estimate(column), unit))


def _set(summary: RunSummary, name: str, variant: str) -> Text:
    found = next(item for item in summary.sets if (item.metric, item.variant) == (name, variant))
    return _number(wording.set_text(found))


def _number(number: wording.Number) -> Text:
    """The value, and below it how sure it is."""
    if number.value in (wording.NOT_POSSIBLE, wording.UNDEFINED):
        return Text(number.value, style="dim")
    text = Text(number.value)
    return text.append(f"\n{number.spread}", style="dim") if number.spread else text
