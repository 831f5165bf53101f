"""`attention.png`: how well a method keeps people apart, layer by layer, from noise to picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mildbench import extras
from mildbench.files import write_bytes
from mildbench.metrics.attention import kept_log_odds
from mildbench.results.attention import AttentionFile
from mildbench.results.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = 11
"""Timesteps that are labelled at most."""
_MOST = 6
"""Nats at the upper end of the colours: odds of 400 to 1 against chance."""


def draw(run: RunFolder, title: str) -> None:
    """Draw the run's `attention.parquet`, if there is one, somebody stays in it, and it is newer than the plot.

    Raises `UserError` where matplotlib is not installed.
    """
    source, target = run.attention, run.attention_plot
    if not source.exists():
        return
    if target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns:
        return
    found = mean_gaps(AttentionFile(source))
    if found.samples:
        write_bytes(target, render(found, title=title))


@dataclass(frozen=True, eq=False)
class Gaps:
    """Log-odds of the people who stay (`kept-logodds`) by layer and time, averaged over samples and pathways."""

    layers: list[str]
    """L, as the network has them."""
    timesteps: np.ndarray
    """float32[T], falling."""
    values: np.ndarray
    """float64[L, T], NaN where nothing was recorded or nothing is defined."""
    samples: int
    """Samples that they are of: those where somebody stays."""


def mean_gaps(attention: AttentionFile) -> Gaps:
    """The means over a run's records."""
    sums: dict[tuple[str, float], tuple[float, int]] = {}
    samples = 0
    for sample_id in attention:
        recorded = attention.read(sample_id)
        record = recorded.record
        gaps = kept_log_odds(record, recorded.targets)
        samples += not np.isnan(gaps).all()
        for layer, timestep, gap in zip(record.layers, record.timesteps.tolist(), gaps.tolist(), strict=True):
            total, count = sums.get((layer, timestep), (0.0, 0))
            defined = not np.isnan(gap)
            sums[layer, timestep] = (total + gap, count + 1) if defined else (total, count)
    layers = list(dict.fromkeys(layer for layer, _ in sums))
    timesteps = sorted({timestep for _, timestep in sums}, reverse=True)
    values = np.full((len(layers), len(timesteps)), np.nan)
    for (layer, timestep), (total, count) in sums.items():
        if count:
            values[layers.index(layer), timesteps.index(timestep)] = total / count
    return Gaps(layers, np.array(timesteps, dtype=np.float32), values, samples)


def render(gaps: Gaps, *, title: str) -> bytes:
    """`figure` as PNG."""
    buffer = io.BytesIO()
    figure(gaps, title=title).savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def figure(gaps: Gaps, *, title: str) -> Figure:
    """A row a layer, a column a timestep; grey where there is no value. Always the same colour scale.

    Raises `UserError` where matplotlib is not installed.
    """
    extras.require("matplotlib", "attention.png")
    layers, timesteps = gaps.layers, gaps.timesteps
    from matplotlib.figure import Figure  # a figure of its own: no window, no state that threads would share

    # At least as high as the colour bar's label is long.
    width, height = 4 + min(0.25 * len(timesteps), 8), max(3.4, 1.6 + 0.22 * len(layers))
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.add_subplot(facecolor="0.8")
    # Viridis rises evenly in brightness, for the colour-blind too, and grey is none of its colours.
    image = axes.imshow(
        gaps.values, aspect="auto", cmap="viridis", vmin=0, vmax=_MOST, interpolation="nearest"
    )
    axes.set_yticks(range(len(layers)), layers, fontsize=7)
    shown = range(0, len(timesteps), -(-len(timesteps) // _TICKS))
    axes.set_xticks(shown, [f"{timesteps[column]:.2f}" for column in shown], fontsize=7)
    axes.set_xlabel("timestep (1: noise, 0: picture)")
    axes.set_ylabel("self-attention layer")
    axes.set_title(f"{title} (n {gaps.samples})")
    label = "kept-logodds (nats)\n0 (and below): as by chance"
    drawn.colorbar(image, label=label, extend="both")
    return drawn
