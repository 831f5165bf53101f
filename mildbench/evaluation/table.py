"""The result in the terminal: one row a run, one column a number, and what one has to know to read it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from mildbench.evaluation.aggregate import HEADLINE
from mildbench.evaluation.compare import Comparison
from mildbench.evaluation.summary import MetricRecord, RunSummary

UNDEFINED = "–"
NOT_POSSIBLE = "n/a"
_NAMED = 3
"""Failed samples that are named."""


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
    rows = _sorted(summaries, headline, metrics)
    names = _names(summaries)
    compared = None if headline is None else comparison.of(headline)
    ranks = {} if compared is None else compared.ranks

    start = [
        _Column("rank", [Text(_rank(row, ranks)) for row in rows]),
        _Column("method", [_method(row, names[row.run]) for row in rows]),
    ]
    scores = [
        _Column(_header(column, metrics), [_estimate(row, column, metrics) for row in rows])
        for column in columns
    ]
    for item in first.sets:
        header = f"{item.metric.upper()}\nfull\n{item.variant} {_arrow(metrics[item.metric])}"
        scores.append(_Column(header, [_set(row, item.metric, item.variant) for row in rows]))
    for lacking in first.unavailable:
        scores.append(_Column(lacking.name.upper(), [Text(NOT_POSSIBLE, style="dim") for _ in rows]))
    scores.append(_Column("s/image", [Text(_seconds(row)) for row in rows]))

    limited = "" if first.limit is None else ": --limit"
    title = f"{first.task} on {first.dataset} ({first.split}, {first.samples} samples{limited})"
    notes = [*_legend(headline, first), *_remarks(summaries, columns, metrics), *_notes(rows, names)]
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
    return f"{name.upper()}\n{region}\n{variant} {_arrow(metrics[name])}"


def _arrow(metric: MetricRecord) -> str:
    return "↑" if metric.higher_is_better else "↓"


def _names(summaries: Sequence[RunSummary]) -> dict[str, str]:
    """Run -> label, with the folder's hash where two runs have the same."""
    counts = Counter(summary.label for summary in summaries)
    return {
        summary.run: summary.label if counts[summary.label] == 1 else f"{summary.label}@{summary.run[-8:]}"
        for summary in summaries
    }


def _sorted(
    summaries: Sequence[RunSummary], headline: str | None, metrics: dict[str, MetricRecord]
) -> list[RunSummary]:
    """Best first; runs that lack samples or training after all others; equal ones in the order of the command."""
    if headline is None:
        return sorted(summaries, key=_last)
    sign = -1 if metrics[headline.partition(".")[0]].higher_is_better else 1

    def key(summary: RunSummary) -> tuple[bool, float]:
        estimate = summary.estimate(headline)
        value = None if estimate is None else estimate.value
        return _last(summary), math.inf if value is None else sign * value

    return sorted(summaries, key=key)


def _last(summary: RunSummary) -> bool:
    return bool(summary.failures) or summary.method.untrained is not None


def _rank(summary: RunSummary, ranks: dict[str, int]) -> str:
    rank = ranks.get(summary.run)
    if rank is None:
        return UNDEFINED
    return f"{rank}=" if list(ranks.values()).count(rank) > 1 else str(rank)


def _method(summary: RunSummary, name: str) -> Text:
    marks = ["control"] if summary.control else []
    if summary.method.untrained is not None:
        marks.append("random weights")
    if summary.failures:
        marks.append(f"incomplete: {len(summary.failures)} failed")
    return Text(name).append(f"\n{', '.join(marks)}" if marks else "", style="dim")


def _estimate(summary: RunSummary, column: str, metrics: dict[str, MetricRecord]) -> Text:
    """The value, below it half its interval; or the interval itself where a bound is infinite, too."""
    estimate = summary.estimate(column)
    if estimate is None:
        return Text(NOT_POSSIBLE, style="dim")
    if estimate.value is None:
        return Text(UNDEFINED, style="dim")
    digits = 2 if metrics[estimate.metric].unit == "dB" else 4
    text = Text(f"{estimate.value:.{digits}f}")
    low, high = estimate.low, estimate.high
    if low is None or high is None or low == high == estimate.value:
        return text
    if math.isfinite(low) and math.isfinite(high):
        return text.append(f"\n±{(high - low) / 2:.{digits}f}", style="dim")
    return text.append(f"\n{low:.{digits}f} to {high:.{digits}f}", style="dim")


def _set(summary: RunSummary, name: str, variant: str) -> Text:
    found = next(item for item in summary.sets if (item.metric, item.variant) == (name, variant))
    if found.value is None:
        return Text(NOT_POSSIBLE, style="dim")
    text = Text(f"{found.value:.4g}")
    return text if found.spread is None else text.append(f"\n±{found.spread:.2g}", style="dim")


def _seconds(summary: RunSummary) -> str:
    seconds = summary.seconds_per_image
    if seconds is None:
        return UNDEFINED
    if seconds < 0.001:
        return "<0.001"
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def _legend(headline: str | None, summary: RunSummary) -> list[str]:
    grown = f" (grown by {summary.paste_dilation} px)" if summary.paste_dilation else ""
    lines = [f"raw: the output as it came; pasted: the output inside the mask{grown}, the input outside"]
    if headline is not None:
        name, region, variant = headline.split(".")
        lines.append(
            f"±: half the 95% bootstrap interval; ranked by {name.upper()} ({region}, {variant}), "
            "= where the paired interval of a difference covers zero"
        )
    return lines


def _remarks(
    summaries: Sequence[RunSummary], columns: Sequence[str], metrics: dict[str, MetricRecord]
) -> list[str]:
    """What to know of the columns as such."""
    shown = dict.fromkeys(column.partition(".")[0] for column in columns)
    noted: dict[str, list[str]] = {}
    for name in shown:
        if (note := metrics[name].note) is not None:
            noted.setdefault(note, []).append(name.upper())
    lines = [f"{', '.join(names)}: {note}" for note, names in noted.items()]
    if any(summary.estimate(column) is None for summary in summaries for column in columns):
        lines.append("n/a: the method completes no layers, or has no attention to record")
    return lines


def _notes(summaries: Sequence[RunSummary], names: dict[str, str]) -> list[str]:
    """What is not available, or not to be trusted, and why; each said once."""
    lacking = [f"{item.name}: n/a ({item.reason})" for item in summaries[0].unavailable]
    remarks = [
        f"{item.metric}: {item.note}"
        for summary in summaries
        for item in summary.sets
        if item.note is not None
    ]
    untrained = [
        f"{names[summary.run]}: random weights ({summary.method.untrained}): its numbers mean nothing"
        for summary in summaries
        if summary.method.untrained is not None
    ]
    failures = [_failures(summary, names[summary.run]) for summary in summaries if summary.failures]
    others = [note for summary in summaries for note in summary.notes]
    return list(dict.fromkeys([*lacking, *remarks, *untrained, *failures, *others]))


def _failures(summary: RunSummary, name: str) -> str:
    named = [(item.sample_id, item.reason.partition("\n")[0]) for item in summary.failures[:_NAMED]]
    shown = "; ".join(f"{sample_id}: {reason}" for sample_id, reason in named)
    more = len(summary.failures) - _NAMED
    rest = f"; and {more} more (all in summary.json)" if more > 0 else ""
    count = f"{len(summary.failures)} of {summary.samples} samples have no score"
    return f"{name}: {count}: not ranked, means are over the others: {shown}{rest}"
