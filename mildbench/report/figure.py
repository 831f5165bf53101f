"""A figure for a paper: some samples, a row each, and beside them what every run made of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mildbench import extras
from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.regions import paste
from mildbench.report.cases import output, tinted
from mildbench.results.board import Board, boards
from mildbench.results.finished import FinishedRun, reopen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = 1.3
"""Side of a picture."""
_DPI = 200


def write(
    path: Path,
    runs: Sequence[FinishedRun],
    *,
    samples: Sequence[str] = (),
    count: int = 4,
    dataset: Path | None = None,
) -> None:
    """Draw input, what is to be erased, truth, and each run's output pasted into the input, best run first.

    Args:
        path: `.png`, `.pdf` or `.svg`.
        runs: of one task on one data set.
        samples: ids, in the order of the rows. Without them `count` are taken at equal distances from the samples
            that all runs have, in the data set's order: nobody can say that they were picked.
        count: how many.
        dataset: where the data set lies, if not where the runs found it.

    Raises:
        UserError: runs that are not comparable, an unknown sample, a prediction that was cleared away, a data set
            that is not there, another suffix, or matplotlib is missing.
    """
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UserError(f"--out {path}: a figure is .png, .pdf or .svg")
    found = boards(runs)
    if len(found) != 1:
        several = "; ".join(board.title for board in found)
        raise UserError(f"a figure is of one task on one data set, these runs are of several ({several})")
    board = found[0]
    _, source = reopen(board.results[0].record, dataset)
    rows = [pictures(board, source, sample_id) for sample_id in samples or spread(board, count)]
    titles = ["input", "to erase", "truth", *(board.names[run.summary.run] for run in board.results)]
    write_bytes(path, _draw(titles, rows, path.suffix.removeprefix(".")))


def pictures(board: Board[FinishedRun], source: TripletSource, sample_id: str) -> list[np.ndarray]:
    """A row: input, what is to be erased, truth, and the runs' pasted outputs, uint8[H, W, 3] each.

    Raises `UserError` for a sample that no run has, or a picture that was cleared away.
    """
    if sample_id not in board.ids:
        raise UserError(f"no run has the sample {sample_id!r}")
    summary = board.results[0].summary
    triplet = source.triplet(summary.task, sample_id, mask=summary.config.mask)
    outputs = []
    for run in board.results:
        made = output(run, sample_id, triplet)
        if made is None:
            raise UserError(f"run {run.folder} has no picture of the sample {sample_id}: evaluate it again")
        outputs.append(paste(made, triplet.image, triplet.mask_shown, run.summary.paste_dilation))
    return [triplet.image, tinted(triplet), triplet.truth, *outputs]


def spread(board: Board[FinishedRun], count: int) -> list[str]:
    """Samples at equal distances among those that every run has a score of."""
    if count < 1:
        raise UserError(f"--count {count}: give 1 or more")
    scored = board.values.get(board.headline or "", {})
    common = (
        ~np.isnan(list(scored.values())).any(axis=0) if len(scored) == len(board.results) else np.zeros(0)
    )
    places = np.flatnonzero(common)
    if not len(places):
        raise UserError("these runs have no scored sample in common: name some with --sample")
    rows = min(count, len(places))
    return [board.ids[places[int((row + 0.5) * len(places) / rows)]] for row in range(rows)]


def _draw(titles: Sequence[str], rows: Sequence[Sequence[np.ndarray]], kind: str) -> bytes:
    extras.require("matplotlib", "a figure")
    from matplotlib.figure import Figure

    tall = [INCHES * row[0].shape[0] / row[0].shape[1] for row in rows]
    figure = Figure(figsize=(INCHES * len(titles), sum(tall) + 0.3))
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid: np.ndarray = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=tall)
    for across, title in enumerate(titles):
        grid[0, across].set_title(title.replace(":", ":\n", 1).replace(",", ",\n"), fontsize=7, pad=3)
    for axes, picture in zip(grid.flat, (picture for row in rows for picture in row), strict=True):
        _show(axes, picture)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=_DPI)
    return buffer.getvalue()


def _show(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture)
    axes.set_axis_off()
