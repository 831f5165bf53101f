"""`attention.png`: how well a method keeps people apart, layer by layer, from noise to picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from mildbench import extras
from mildbench.files import write_bytes
from mildbench.metrics.attention import corrected_gaps
from mildbench.results.attention import AttentionFile
from mildbench.results.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TICKS = 11
"""Timesteps that are labelled at most."""


def draw(run: RunFolder, title: str) -> None:
    """Draw the run's `attention.parquet`, if there is one and it is newer than the plot.

    Raises `UserError` where matplotlib is not installed.
    """
    source, target = run.attention, run.attention_plot
    if not source.exists():
        return
    if target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns:
        return
    write_bytes(target, render(*mean_gaps(AttentionFile(source)), title=title))


def mean_gaps(attention: AttentionFile) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The corrected gap by layer and time, averaged over samples and pathways.

    Returns:
        L layers as the network has them; float32[T] timesteps, falling; float64[L, T], NaN where nothing was
        recorded or nothing is defined.
    """
    sums: dict[tuple[str, float], tuple[float, int]] = {}
    for sample_id in attention:
        record = attention.read(sample_id).record
        gaps = corrected_gaps(record.masses, record.tokens)
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
    return layers, np.array(timesteps, dtype=np.float32), values


def render(layers: list[str], timesteps: np.ndarray, values: np.ndarray, *, title: str) -> bytes:
    """`figure` as PNG."""
    buffer = io.BytesIO()
    figure(layers, timesteps, values, title=title).savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def figure(layers: list[str], timesteps: np.ndarray, values: np.ndarray, *, title: str) -> Figure:
    """A row a layer, a column a timestep; grey where there is no value. Always the same colour scale.

    The arguments are what `mean_gaps` returns. Raises `UserError` where matplotlib is not installed.
    """
    extras.require("matplotlib", "attention.png")
    from matplotlib.figure import Figure  # a figure of its own: no window, no state that threads would share

    # At least as high as the colour bar's label is long.
    width, height = 4 + min(0.25 * len(timesteps), 8), max(3.4, 1.6 + 0.22 * len(layers))
    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.add_subplot(facecolor="0.8")
    # Viridis rises evenly in brightness, for the colour-blind too, and grey is none of its colours.
    image = axes.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes.set_yticks(range(len(layers)), layers, fontsize=7)
    shown = range(0, len(timesteps), -(-len(timesteps) // _TICKS))
    axes.set_xticks(shown, [f"{timesteps[column]:.2f}" for column in shown], fontsize=7)
    axes.set_xlabel("timestep (1: noise, 0: picture)")
    axes.set_ylabel("self-attention layer")
    axes.set_title(title)
    label = "CAG-kappa\n0 (and below): as by chance, 1: apart"
    drawn.colorbar(image, label=label, extend="min")
    return drawn
