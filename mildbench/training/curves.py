"""Loss curves as a picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from mildbench.files import write_bytes
from mildbench.training.record import read_log

_SMOOTH = 50
"""At most this many windows average the noisy training losses."""
_NOT_LOSSES = {"step", "lr"}


def draw(log: Path, target: Path) -> None:
    """One plot for each logged quantity, with its validation, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_log(log)
    names = [name for name in rows[0] if name not in _NOT_LOSSES and not name.startswith("val_")]
    names += [
        name.removeprefix("val_")
        for name in rows[0]
        if name.startswith("val_") and name.removeprefix("val_") not in names
    ]
    figure = Figure(figsize=(6, 2.2 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    steps = np.array([row["step"] for row in rows])
    for place, name in enumerate(names):
        axes = figure.add_subplot(len(names), 1, place + 1)
        for column, label, style in ((name, "training", "C0-"), (f"val_{name}", "validation", "C1o-")):
            if column not in rows[0]:
                continue
            values = np.array([row[column] for row in rows])
            measured = np.isfinite(values)
            if measured.any():
                points = _averaged(steps[measured], values[measured])
                axes.plot(*points, style, markersize=3, label=label)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[-1].set_xlabel("step")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100, metadata={"Software": None})
    write_bytes(target, picture.getvalue())


def _averaged(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over windows of equal length; as they are where there are few."""
    parts = min(_SMOOTH, len(steps))
    return (
        np.array([part.mean() for part in np.array_split(steps, parts)]),
        np.array([part.mean() for part in np.array_split(values, parts)]),
    )
