"""The ranked entries of one data set as a Markdown table, kept true inside a README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from leaderboard.ranking import Board, Placed, boards
from leaderboard.store import Stored
from mildbench.errors import UserError
from mildbench.evaluation import wording
from mildbench.files import write_bytes

BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"

COLUMNS = {
    "erase-all": ("psnr.mask.pasted", "ssim.mask.pasted"),
    "erase-one": (
        "psnr.mask.pasted",
        "ssim.mask.pasted",
        "cag-kappa.attention.raw",
        "kept-kappa.attention.raw",
    ),
}
"""Task -> score columns, in the order in which they are shown."""


def table(stored: Sequence[Stored], dataset: str) -> str:
    """One row a method, sorted as the first task's board is; the best of a column, and what ties with it, is bold.

    Args:
        stored: entries.
        dataset: name of the data set whose boards are shown.

    Raises:
        UserError: no entries of this data set on these tasks.
    """
    shown = {task: board for board in boards(stored) for task in COLUMNS if _about(board) == (dataset, task)}
    if not shown:
        raise UserError(
            f"no entries on the data set {dataset!r}: add some with mildbench leaderboard add RUN"
        )
    columns = [
        (board, column)
        for task, board in shown.items()
        for column in COLUMNS[task]
        if column in board.columns
    ]
    heads = ["method", "provenance"]
    for board, column in columns:
        metric = board.metrics[column.partition(".")[0]]
        heads.append(f"{board.entries[0].entry.summary.task} {metric.name.upper()} {wording.arrow(metric)}")
    first = next(iter(shown.values()))
    rows = [
        [f"`{place.entry.summary.label}`", place.entry.summary.method.provenance]
        + [_cell(board, column, place.entry.summary.label) for board, column in columns]
        + [wording.seconds_text(place.entry.summary.seconds_per_image)]
        for place in first.entries
        if place.superseded_by is None
    ]
    lines = [[*heads, "s/image"], ["---"] * (len(heads) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def update(path: Path, text: str) -> bool:
    """Put the table between the marks `BEGIN` and `END` of a file; whether that changed it.

    Raises `UserError` for a file without the marks.
    """
    if not path.is_file():
        raise UserError(f"file not found: {path}")
    old = path.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{path} has no lines {BEGIN} and {END}: put them where the table is to be")
    new = f"{before}{BEGIN}\n{text}\n{END}{after}"
    if new != old:
        write_bytes(path, new.encode())
    return new != old


def _about(board: Board) -> tuple[str, str]:
    summary = board.entries[0].entry.summary
    return ("" if summary.config.corruption else summary.dataset), summary.task


def _cell(board: Board, column: str, label: str) -> str:
    """What the entry of this label has in a column of a board."""
    place = _entry(board, label)
    if place is None:
        return wording.UNDEFINED
    unit = board.metrics[column.partition(".")[0]].unit
    number = wording.estimate_text(place.entry.summary.estimate(column), unit)
    text = f"{number.value} {number.spread}".replace("±", "± ").strip()
    return f"**{text}**" if place.entry.name in board.best(column) else text


def _entry(board: Board, label: str) -> Placed | None:
    found = [
        place for place in board.entries if place.entry.summary.label == label and place.superseded_by is None
    ]
    return found[0] if found else None
