"""How results read, wherever they are shown: names, numbers, ranks, and what one has to know beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mildbench.marking import FOOTPRINT
from mildbench.results.summary import Estimate, MetricRecord, RunSummary, SetEstimate
from mildbench.statistics import FEW_SCENES, Rank

UNDEFINED = "–"
NOT_POSSIBLE = "n/a"
_NAMED = 3
"""Failed samples that are named."""


class Number(NamedTuple):
    """A number as text."""

    value: str
    spread: str = ""
    """How sure it is: half its interval, the interval itself where a bound is infinite, or a deviation; and of how many
    samples it is the mean, where it is not of all."""


def names(summaries: Sequence[RunSummary]) -> dict[str, str]:
    """Run -> label, with the folder's hash where two runs have the same."""
    counts = Counter(summary.label for summary in summaries)
    return {
        summary.run: summary.label if counts[summary.label] == 1 else f"{summary.label}@{summary.run[-8:]}"
        for summary in summaries
    }


def rank(run: str, ranks: Mapping[str, Rank]) -> str:
    """The run's rank, or the first and the last of those that it may have."""
    found = ranks.get(run)
    if found is None:
        return UNDEFINED
    first, last = found
    return str(first) if first == last else f"{first}–{last}"


def extent(samples: int, scenes: int) -> str:
    """What a table is of."""
    return f"{samples} samples of {scenes} scene{'' if scenes == 1 else 's'}"


def few(scenes: int) -> list[str]:
    """A warning where scenes are few."""
    if scenes >= FEW_SCENES:
        return []
    return [
        f"only {scenes} scene{'' if scenes == 1 else 's'}: intervals are wide and rough below {FEW_SCENES} scenes, and "
        "a difference that is not found may be there all the same"
    ]


def arrow(metric: MetricRecord) -> str:
    """Which way is better."""
    return "↑" if metric.higher_is_better else "↓"


def digits(unit: str) -> int:
    """Decimal places of a metric's numbers."""
    return 2 if unit == "dB" else 4


def estimate_text(estimate: Estimate | None, unit: str) -> Number:
    """A mean; None is of a method that cannot have it."""
    if estimate is None:
        return Number(NOT_POSSIBLE)
    if estimate.value is None:
        return Number(UNDEFINED)
    places = digits(unit)
    value, low, high = f"{estimate.value:.{places}f}", estimate.low, estimate.high
    count = over(estimate)
    if low is None or high is None or low == high == estimate.value:
        return Number(value, count)
    if math.isfinite(low) and math.isfinite(high):
        return Number(value, f"±{(high - low) / 2:.{places}f} {count}".strip())
    return Number(value, f"{low:.{places}f} to {high:.{places}f} {count}".strip())


def over(estimate: Estimate | None) -> str:
    """How many samples a mean is over, where that is not all of them; else empty."""
    # Other rows of the column may be over other samples.
    return f"(n {estimate.n})" if estimate is not None and estimate.undefined else ""


def span(counts: Collection[int]) -> str:
    """Numbers of samples, at least one: the number, or the least and the most."""
    least, most = min(counts), max(counts)
    return str(least) if least == most else f"{least} to {most}"


def set_text(found: SetEstimate | None) -> Number:
    """A number of the whole set; None is of a run that was not scored by the metric."""
    if found is None or found.value is None:
        return Number(NOT_POSSIBLE)
    return Number(f"{found.value:.4g}", "" if found.spread is None else f"±{found.spread:.2g}")


def seconds_text(seconds: float | None) -> str:
    """Seconds a picture."""
    if seconds is None:
        return UNDEFINED
    if seconds < 0.001:
        return "<0.001"
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def column_text(column: str) -> str:
    """A score column in words."""
    name, region, variant = column.split(".")
    return f"{name.upper()} ({region}, {variant})"


_REWARDS = {
    "psnr": "PSNR rewards closeness to the one true picture, and blur with it; not what looks real",
    "rc-s": "RC-S rewards a fill that looks like its surroundings, true or not",
    "lpips": "LPIPS rewards closeness to the one true picture as a network sees it, texture with it",
}
"""What the usual headlines make of a fill."""


def rewards(columns: Sequence[str]) -> list[str]:
    """What the metrics of these columns reward, where that is known."""
    names = dict.fromkeys(column.partition(".")[0] for column in columns)
    return [_REWARDS[name] for name in names if name in _REWARDS]


def legend(headlines: Sequence[str], summary: RunSummary) -> list[str]:
    """What the variants and the intervals are, and what the ranks are by."""
    grown = f" (grown by {summary.paste_dilation} px)" if summary.paste_dilation else ""
    lines = [f"raw: the output as it came; pasted: the output inside the mask{grown}, the input outside"]
    if headlines:
        by = ", and beside it by ".join(map(column_text, headlines))
        lines.append(
            f"±: half the 95 % interval over scenes; ranked by {by}: a range where the paired differences, corrected "
            "for all pairs, leave several ranks open"
        )
        lines += rewards(headlines)
    if summary.config.mask != FOOTPRINT:
        lines.append(
            f"mask shown: {summary.config.mask} (mildbench ls masks): methods see it, and pasting keeps the input "
            "outside of it; the region mask is all that must change"
        )
    return lines


def remarks(
    summaries: Sequence[RunSummary], columns: Sequence[str], metrics: dict[str, MetricRecord]
) -> list[str]:
    """What to know of the columns as such."""
    shown = dict.fromkeys(column.partition(".")[0] for column in columns)
    noted: dict[str, list[str]] = {}
    for name in shown:
        if (note := metrics[name].note) is not None:
            noted.setdefault(note, []).append(name.upper())
    lines = [f"{', '.join(names)}: {note}" for note, names in noted.items()]
    lines += _partial(summaries, columns)
    if any(summary.estimate(column) is None for summary in summaries for column in columns):
        lines.append("n/a: the method completes no layers, or has no attention to record")
    return lines


def _partial(summaries: Sequence[RunSummary], columns: Sequence[str]) -> list[str]:
    """Which means leave samples out, and how many they are over."""
    means: dict[str, list[str]] = {}
    for column in columns:
        found = [
            item for summary in summaries if (item := summary.estimate(column)) and item.value is not None
        ]
        if any(item.undefined for item in found):
            samples = max(item.n + item.undefined for item in found)
            means.setdefault(f"{span({item.n for item in found})} of {samples} samples", []).append(
                column_text(column)
            )
    return [f"{', '.join(names)}: mean over {over}, undefined in the others" for over, names in means.items()]


def notes(summaries: Sequence[RunSummary], names: dict[str, str]) -> list[str]:
    """What is not available, or not to be trusted, and why; each said once."""
    lacking = [f"{item.name}: n/a ({item.reason})" for item in summaries[0].unavailable]
    refused = [
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
    return list(dict.fromkeys([*lacking, *refused, *untrained, *failures, *others]))


def _failures(summary: RunSummary, name: str) -> str:
    named = [(item.sample_id, item.reason.partition("\n")[0]) for item in summary.failures[:_NAMED]]
    shown = "; ".join(f"{sample_id}: {reason}" for sample_id, reason in named)
    more = len(summary.failures) - _NAMED
    rest = f"; and {more} more (all in summary.json)" if more > 0 else ""
    count = f"{len(summary.failures)} of {summary.samples} samples have no score"
    return f"{name}: {count}: not ranked, means are over the others: {shown}{rest}"
