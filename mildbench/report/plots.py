"""The report's plots, as inline SVG.

Points with intervals rather than bars: a mean has no natural zero to draw a bar from. The first colours are Okabe
and Ito's, which the colour-blind can tell apart; with more runs no colour comes twice, and markers help.
"""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mildbench.results import attention_plot, wording
from mildbench.results.attention import AttentionFile
from mildbench.results.board import Board
from mildbench.results.finished import FinishedRun
from mildbench.results.headline import FIDELITY, PLAUSIBLE
from mildbench.results.scores import STRATIFIED
from mildbench.results.summary import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class RunStyle(NamedTuple):
    """How a run is drawn."""

    colour: str
    marker: str
    """matplotlib's code."""
    sign: str
    """The marker as a character, for legends in text."""


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#888888")
_MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"), ("*", "★"))
_SIZE = (4.6, 3.1)
"""Inches; the text stays legible when a phone shows it at three quarters."""
_INK = "#010203"
"""Stands for the page's text colour, so that one picture serves the light and the dark page."""
_QUANTILES = np.linspace(0, 1, 201)

TITLES = {
    "visible_ratio": "visible ratio of the hardest person",
    "people": "people in the picture",
    "mask_share": "mask area, share of the picture",
    "family": "scenario family",
    "ground": "how it is known where people can stand",
    "difficulty": "family and measured difficulty (0 easy, 1 hard)",
}
"""Stratification -> what its axis says."""


Styles = Mapping[str, RunStyle]
"""Name of a run -> how it is drawn."""


def styles(names: Iterable[str]) -> Styles:
    """A look for each of the names, no colour twice; one name looks alike in all plots of a page."""
    return {
        name: RunStyle(_colour(place), *_MARKERS[place % len(_MARKERS)])
        for place, name in enumerate(dict.fromkeys(names))
    }


def _colour(place: int) -> str:
    """One of `_COLOURS`, and beyond them hues a golden angle apart in two brightnesses."""
    if place < len(_COLOURS):
        return _COLOURS[place]
    more = place - len(_COLOURS)
    rgb = colorsys.hls_to_rgb((more * 0.618034 + 0.08) % 1, (0.35, 0.6)[more % 2], 0.65)
    return "#" + "".join(f"{round(255 * part):02X}" for part in rgb)


def plotted_columns(board: Board[FinishedRun]) -> list[str]:
    """The columns that are plotted: the pasted ones, and those of metrics that have only raw ones."""
    pasted = {column.partition(".")[0] for column in board.columns if column.endswith(".pasted")}
    return [
        column
        for column in board.columns
        if column.endswith(".pasted") or column.partition(".")[0] not in pasted
    ]


def trade_off(board: Board[FinishedRun], looks: Styles) -> str | None:
    """Fidelity across, plausibility up, the better ends above and to the right, and the front marked: the ranked runs
    that no other ranked one beats. None where fewer than two runs have finite means of both."""
    up = next((column for column in PLAUSIBLE if column in board.columns), None)
    if FIDELITY not in board.columns or up is None:
        return None
    points: dict[str, np.ndarray] = {}
    bars: dict[str, np.ndarray] = {}
    for run in board.results:
        pair = [run.summary.estimate(column) for column in (FIDELITY, up)]
        found = [estimate for estimate in pair if estimate is not None and _has_mean(estimate)]
        if len(found) == len(pair):
            name = run.summary.run
            points[name] = np.array([estimate.value for estimate in found], dtype=np.float64)
            low, high = (
                np.array([_bound(getattr(estimate, side), estimate.value) for estimate in found])
                for side in ("low", "high")
            )
            bars[name] = np.stack([points[name] - low, high - points[name]], axis=1)
    if len(points) < 2:
        return None
    signs = np.array([1 if board.metric(column).higher_is_better else -1 for column in (FIDELITY, up)])
    ranked = board.comparisons[FIDELITY].ranks
    front = _front({run: signs * point for run, point in points.items() if run in ranked})

    def draw() -> Figure:
        figure, axes = _axes()
        line = np.array(sorted(points[run].tolist() for run in front)).reshape(-1, 2)
        axes.plot(line[:, 0], line[:, 1], color=_INK, linewidth=1, linestyle=":", zorder=1)
        axes.plot(
            line[:, 0], line[:, 1], "o", markersize=13, markerfacecolor="none", markeredgecolor=_INK, zorder=1
        )
        for run, (x, y) in points.items():
            look = looks[board.names[run]]
            axes.errorbar(
                x,
                y,
                xerr=bars[run][:1].T,
                yerr=bars[run][1:].T,
                color=look.colour,
                marker=look.marker,
                markersize=6,
                elinewidth=0.8,
            )
        axes.xaxis.set_inverted(bool(signs[0] < 0))
        axes.yaxis.set_inverted(bool(signs[1] < 0))
        axes.set_xlabel(board.axis(FIDELITY))
        axes.set_ylabel(board.axis(up))
        return figure

    return _svg(draw)


def _front(points: Mapping[str, np.ndarray]) -> list[str]:
    """Those of float[2], greater is better, for which no other is as good in both and better in one."""
    return [
        run
        for run, mine in points.items()
        if not any((other >= mine).all() and (other > mine).any() for other in points.values())
    ]


def _has_mean(estimate: Estimate) -> bool:
    return estimate.value is not None and bool(np.isfinite(estimate.value))


def strata(board: Board[FinishedRun], by: str, column: str, looks: Styles) -> str | None:
    """Means with intervals over the strata of `by`; None where no two strata have a finite mean."""
    found = {
        run.summary.run: {
            stratum.label: estimate
            for stratum in run.summary.strata
            if stratum.by == by
            if (estimate := _of(stratum.estimates, column)) is not None
        }
        for run in board.results
    }
    counts: dict[str, set[int]] = {}
    for mine in found.values():
        for label, estimate in mine.items():
            counts.setdefault(label, set()).add(estimate.n)
    labels = _in_order(board, by, counts)
    drawn = [label for label in labels if any(_finite(found[run].get(label)) for run in found)]
    if len(drawn) < 2:
        return None

    def draw() -> Figure:
        figure, axes = _axes()
        for place, (run, mine) in enumerate(found.items()):
            at = [x for x, label in enumerate(drawn) if _finite(mine.get(label))]
            if not at:
                continue
            estimates = [mine[drawn[x]] for x in at]
            means = np.array([estimate.value for estimate in estimates], dtype=np.float64)
            low, high = (
                np.array([_bound(getattr(e, side), e.value) for e in estimates]) for side in ("low", "high")
            )
            shift = 0.5 * (place - (len(found) - 1) / 2) / max(len(found), 2)
            axes.errorbar(
                np.array(at) + shift,
                means,
                yerr=np.stack([means - low, high - means]),
                color=looks[board.names[run]].colour,
                marker=looks[board.names[run]].marker,
                markersize=4.5,
                linewidth=1,
                elinewidth=1.2,
                # A line only where the strata have an order.
                linestyle="-" if by in ("visible_ratio", "people", "mask_share") else "none",
            )
        tilted = sum(map(len, drawn)) > 40
        space = " " if tilted else "\n"
        axes.set_xticks(
            range(len(drawn)),
            [f"{label}{space}(n {wording.span(counts[label])})" for label in drawn],
            rotation=40 if tilted else 0,
            ha="right" if tilted else "center",
            fontsize=8,
        )
        axes.set_xlabel(TITLES[by])
        axes.set_title(board.axis(column), loc="left", fontsize=9)
        return figure

    return _svg(draw)


def distribution(board: Board[FinishedRun], column: str, looks: Styles) -> str | None:
    """The share of samples at or below each score, run by run; None where no score is finite."""
    curves = {}
    for run, values in board.values[column].items():
        finite = np.sort(values[np.isfinite(values)])
        if len(finite) > 1:
            # The share is of all scored samples, so that infinite ones are not forgotten: the curve ends below 1.
            share = len(finite) / int((~np.isnan(values)).sum())
            curves[run] = np.quantile(finite, _QUANTILES), _QUANTILES * share
    if not curves:
        return None

    def draw() -> Figure:
        figure, axes = _axes()
        for place, (run, (scores, shares)) in enumerate(curves.items()):
            axes.plot(
                scores,
                shares,
                color=looks[board.names[run]].colour,
                marker=looks[board.names[run]].marker,
                markevery=(7 * place, 40),
                markersize=4.5,
                linewidth=1.5,
            )
        axes.set_ylim(0, 1)
        axes.set_xlabel(board.axis(column))
        axes.set_ylabel("share of samples at or below")
        return figure

    return _svg(draw)


def attention(run: FinishedRun) -> str | None:
    """Log-odds of who stays by layer and timestep, as `attention.png` shows them; None where nobody does."""
    gaps = attention_plot.mean_gaps(AttentionFile(run.folder.attention))
    if not gaps.samples:
        return None
    return _svg(lambda: attention_plot.figure(gaps, title=run.summary.label))


def _of(estimates: Sequence[Estimate], column: str) -> Estimate | None:
    return next((estimate for estimate in estimates if estimate.column == column), None)


def _finite(found: Estimate | None) -> bool:
    return found is not None and _has_mean(found)


def _bound(bound: float | None, value: float | None) -> float:
    """An interval's bound to draw: none and infinite ones are not drawn."""
    assert value is not None
    return bound if bound is not None and np.isfinite(bound) else value


def _in_order(board: Board[FinishedRun], by: str, present: Collection[str]) -> list[str]:
    """The strata of all runs; each run lists its own in order, and they agree."""
    assert by in STRATIFIED
    lists = [[s.label for s in run.summary.strata if s.by == by] for run in board.results]
    longest = max(lists, key=len, default=[])
    others = [label for labels in lists for label in labels if label not in longest]
    return [label for label in dict.fromkeys([*longest, *others]) if label in present]


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(draw: Callable[[], Figure]) -> str:
    """The drawing as an `<svg>` element in the colour of the text around it; the same bytes every time."""
    import matplotlib as mpl

    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    settings: dict[Any, Any] = dict.fromkeys(ink, _INK) | {
        "svg.fonttype": "none",
        "svg.hashsalt": "mildbench",
        "font.size": 9,
    }
    buffer = io.BytesIO()
    with mpl.rc_context(settings):
        # Without the date and the library's name, which change from one day, or version, to the next.
        draw().savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    text = buffer.getvalue().decode()
    head, _, drawing = text[text.index("<svg") :].partition(">")
    # A width in points would keep it from fitting a narrow page; the view box stays.
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f"{head}>{drawing}".replace(_INK, "currentColor")
