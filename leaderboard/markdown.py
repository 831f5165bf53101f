"""The ranked entries of one data set as a Markdown table, kept true inside a README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from leaderboard.ranking import Placed, boards, lineage
from leaderboard.review import Reviewed
from leaderboard.schema import Entry
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.marking import FOOTPRINT
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.tasks import TASKS, task_of

BEGIN, END = "<!-- leaderboard -->", "<!-- /leaderboard -->"


def table(reviewed: Sequence[Reviewed], dataset: str, headline: str | None = None) -> str:
    """One row a method with each task's headlines and `overview`, sorted as the first task's board is.

    The best of a column, and what ties with it, is bold.

    Entries without a rank are left out, but for those that are told the answer. `checked` is the least that holds
    for all entries of a row. Of several boards on one task (another build of a data set of that name, a grown
    mask) the one is shown whose entries were checked furthest, then the fullest.

    Args:
        reviewed: entries.
        dataset: name of the data set whose boards are shown.
        headline: what to rank by, see `boards`.

    Raises:
        UserError: no entries of this data set on these tasks, or none with this headline.
    """
    found = boards(reviewed, headline)
    shown = {
        task: max(mine, key=_weight)
        for task in TASKS.names()
        if task_of(task).overview and (mine := [board for board in found if _about(board) == (dataset, task)])
    }
    if not shown:
        raise UserError(
            f"no entries on the data set {dataset!r}: add some with mildbench leaderboard add RUN"
        )
    columns = [
        (board, column)
        for task, board in shown.items()
        for column in dict.fromkeys([*board.headlines, *task_of(task).overview])
        if column in board.columns
    ]
    heads = ["method", "provenance", "checked"]
    for board, column in columns:
        metric, task = board.metric(column), board.results[0].summary.task
        # What everybody expects there needs no more than its name.
        name = metric.name.upper() if column in task_of(task).overview else wording.column_text(column)
        heads.append(f"{task} {name} {wording.arrow(metric)}")
    first = next(iter(shown.values()))
    rows = [
        [
            f"`{place.entry.summary.label}`",
            place.entry.summary.method.provenance,
            _checked(shown.values(), place.entry),
        ]
        + [_cell(board, column, place.entry) for board, column in columns]
        + [wording.seconds_text(place.entry.summary.seconds_per_image)]
        for place in first.results
        if _stands(place)
    ]
    lines = [[*heads, "s/image"], ["---"] * (len(heads) + 1), *rows]
    extents = ", ".join(
        f"{task}: {wording.extent(board.samples, board.scenes)}" for task, board in shown.items()
    )
    below = [f"{extents}.", *_order(first)]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *below])


def _order(board: Board[Placed]) -> list[str]:
    """By what the rows are sorted, and what that rewards."""
    if board.headline is None:
        return []
    told = f"Sorted by {board.results[0].summary.task}'s {wording.column_text(board.headline)}"
    return [f"{'. '.join([told, *wording.rewards([board.headline])])}."]


def update(path: Path, text: str) -> bool:
    """Put the table between the marks `BEGIN` and `END` of a file; whether that changed it.

    Raises `UserError` for a file without the marks.
    """
    if not path.is_file():
        raise UserError(f"file not found: {path}")
    old = path.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{path} has no lines {BEGIN} and {END}: put them where the table is to be")
    new = f"{before}{BEGIN}\n{text}\n{END}{after}"
    if new != old:
        write_bytes(path, new.encode())
    return new != old


def _about(board: Board[Placed]) -> tuple[str, str]:
    summary = board.results[0].summary
    config = summary.config
    usual = config.mask == FOOTPRINT and not config.corruption
    return (summary.dataset if usual else ""), summary.task


def _stands(place: Placed) -> bool:
    """A table without footnotes has no place for what is incomplete."""
    return not place.unranked or place.reference


def _weight(board: Board[Placed]) -> tuple[int, int]:
    return max(place.reviewed.trust for place in board.results), len(board.results)


def _checked(shown: Iterable[Board[Placed]], entry: Entry) -> str:
    """The lowest level among the entries that make the row."""
    places = [place for board in shown if (place := _of(board, entry)) is not None]
    return min(places, key=lambda place: place.reviewed.trust).reviewed.level


def _cell(board: Board[Placed], column: str, entry: Entry) -> str:
    """What the entry, or on another board its like, has in a column."""
    place = _of(board, entry)
    if place is None:
        return wording.UNDEFINED
    unit = board.metric(column).unit
    number = wording.estimate_text(place.entry.summary.estimate(column), unit)
    text = f"{number.value} {number.spread}".replace("±", "± ").strip()
    return f"**{text}**" if place.summary.run in board.best(column) else text


def _of(board: Board[Placed], entry: Entry) -> Placed | None:
    """The entry itself, or the one of the same method with the same options on another task."""
    found = [place for place in board.results if lineage(place.entry) == lineage(entry) and _stands(place)]
    return next((place for place in found if place.entry is entry), found[0] if found else None)
