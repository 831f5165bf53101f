"""The result in the terminal: one table a task, one row a run, and what one has to know to read it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from mildbench.evaluation.aggregate import HEADLINE
from mildbench.evaluation.compare import Comparison
from mildbench.evaluation.summary import MetricRecord, RunSummary

_NAMED = 3
"""Failed samples that are named."""
UNDEFINED = "–"


def build(summaries: Sequence[RunSummary], comparison: Comparison) -> Table:
    """The table of one invocation: sorted by the headline column, controls marked, footnotes below."""
    first = summaries[0]
    columns = [item.column for item in comparison.columns]
    headline = HEADLINE if HEADLINE in columns else next(iter(columns), None)
    metrics = {metric.name: metric for metric in first.metrics}
    compared = None if headline is None else comparison.of(headline)
    ranks = {} if compared is None else compared.ranks
    names = _names(summaries)
    notes: list[str] = []

    limited = "" if first.limit is None else f" of a limited {first.split} split"
    table = Table(
        title=f"{first.task} on {first.dataset} ({first.split}, {first.samples} samples{limited})",
        title_justify="left",
        caption_justify="left",
        header_style="bold",
    )
    table.add_column("rank", justify="right")
    table.add_column("method")
    for column in columns:
        table.add_column(_header(column, metrics), justify="right")
    sets = [(item.metric, item.variant) for item in first.sets]
    for name, variant in sets:
        table.add_column(f"{name.upper()}\nfull\n{variant} {_arrow(metrics[name])}", justify="right")
    for item in first.unavailable:
        table.add_column(item.name.upper(), justify="right")
        notes.append(f"{item.name}: n/a ({item.reason})")
    table.add_column("s/image", justify="right")

    for summary in _sorted(summaries, headline, metrics):
        cells = [_estimate(summary, column, metrics) for column in columns]
        for name, variant in sets:
            cells.append(_set(summary, name, variant, notes))
        cells += [Text("n/a", style="dim")] * len(first.unavailable)
        table.add_row(_rank(summary, ranks), _method(summary, names[summary.run]), *cells, _seconds(summary))
        notes += _failures(summary, names[summary.run])
    table.caption = Text("\n".join([*_legend(headline, metrics, first), *dict.fromkeys(notes)]), style="dim")
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
    """Best first; runs without a value last; equal ones in the order of the command line."""
    if headline is None:
        return list(summaries)
    sign = -1 if metrics[headline.partition(".")[0]].higher_is_better else 1

    def key(summary: RunSummary) -> float:
        estimate = summary.estimate(headline)
        return math.inf if estimate is None or estimate.value is None else sign * estimate.value

    return sorted(summaries, key=key)


def _rank(summary: RunSummary, ranks: dict[str, int]) -> str:
    rank = ranks.get(summary.run)
    if rank is None:
        return UNDEFINED
    return f"{rank}=" if list(ranks.values()).count(rank) > 1 else str(rank)


def _method(summary: RunSummary, name: str) -> Text:
    text = Text(name)
    marks = ["control"] if summary.control else []
    if summary.failures:
        marks.append(f"incomplete: {len(summary.failures)} failed")
    if marks:
        text.append(f"\n{', '.join(marks)}", style="dim")
    return text


def _estimate(summary: RunSummary, column: str, metrics: dict[str, MetricRecord]) -> Text:
    estimate = summary.estimate(column)
    if estimate is None or estimate.value is None:
        return Text(UNDEFINED, style="dim")
    digits = 2 if metrics[estimate.metric].unit == "dB" else 4
    text = Text(f"{estimate.value:.{digits}f}")
    if estimate.low is not None and estimate.high is not None and math.isfinite(estimate.value):
        text.append(f"\n{estimate.low:.{digits}f}..{estimate.high:.{digits}f}", style="dim")
    return text


def _set(summary: RunSummary, name: str, variant: str, notes: list[str]) -> Text:
    found = next(item for item in summary.sets if (item.metric, item.variant) == (name, variant))
    if found.note is not None:
        notes.append(f"{name}: {found.note}")
    if found.value is None:
        return Text("n/a", style="dim")
    text = Text(f"{found.value:.4g}")
    if found.spread is not None:
        text.append(f"\n±{found.spread:.2g}", style="dim")
    return text


def _seconds(summary: RunSummary) -> str:
    return UNDEFINED if summary.seconds_per_image is None else f"{summary.seconds_per_image:.3g}"


def _legend(headline: str | None, metrics: dict[str, MetricRecord], summary: RunSummary) -> list[str]:
    grown = f" (grown by {summary.paste_dilation} px)" if summary.paste_dilation else ""
    lines = [f"raw: the output as it came; pasted: the output inside the mask{grown}, the input outside"]
    if headline is not None:
        name, region, variant = headline.split(".")
        lines.append(
            f"under each mean its 95% bootstrap interval; ranked by {name.upper()} ({region}, {variant}), "
            "'=' where the paired interval of a difference covers zero"
        )
    return lines


def _failures(summary: RunSummary, name: str) -> list[str]:
    if not summary.failures:
        return []
    shown = "; ".join(f"{item.sample_id}: {item.reason}" for item in summary.failures[:_NAMED])
    more = len(summary.failures) - _NAMED
    rest = f"; and {more} more (see failures in summary.json)" if more > 0 else ""
    count = f"{len(summary.failures)} of {summary.samples} samples have no score"
    return [f"{name}: {count}, so it is not ranked, and its means are over the others: {shown}{rest}"]
