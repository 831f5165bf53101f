"""The leaderboard as one static page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mildbench
from leaderboard.ranking import REQUIRED, Board, Placed, boards
from leaderboard.review import Refused, Reviewed
from leaderboard.schema import LEVELS, Reported, Verification
from mildbench.evaluation import wording
from mildbench.evaluation.aggregate import HEADLINE
from mildbench.evaluation.summary import Variant
from mildbench.files import write_bytes
from mildbench.report import html
from mildbench.report.html import Cell, Column

_TEMPLATES = Path(__file__).with_name("templates")


def build(
    path: Path, reviewed: Sequence[Reviewed], refused: Sequence[Refused], reported: Sequence[Reported]
) -> None:
    """Write the page, atomically; raises `UserError` where jinja2 is missing.

    Args:
        path: of the page.
        reviewed: entries to show.
        refused: entries to name, apart from the others.
        reported: numbers from papers.
    """
    found = boards(reviewed)
    values = {
        "boards": [_board(board, number) for number, board in enumerate(found, 1)],
        "filters": _filters(found),
        "history": _history(found),
        "refused": refused,
        "reported": reported,
        "levels": LEVELS,
        "required": REQUIRED,
        "headline": HEADLINE,
        "version": mildbench.__version__,
    }
    write_bytes(path, html.render(_TEMPLATES, "site.html.j2", values).encode())


def _board(board: Board, number: int) -> dict[str, Any]:
    first = board.entries[0].entry.summary
    sets = list(
        dict.fromkeys((s.metric, s.variant) for place in board.entries for s in place.entry.summary.sets)
    )
    columns = []
    for column in board.columns:
        metric = board.metrics[column.partition(".")[0]]
        _, region, variant = column.split(".")
        unit = f", {metric.unit}" if metric.unit else ""
        columns.append(Column(metric.name.upper(), f"{region}, {variant}{unit}", wording.arrow(metric)))
    for name, variant in sets:
        columns.append(Column(name.upper(), f"full, {variant}", wording.arrow(board.metrics[name])))
    return {
        "number": number,
        "title": board.title,
        "task": first.task,
        "dataset": first.dataset,
        "fingerprint": first.config.dataset,
        "samples": board.samples,
        "dilation": first.paste_dilation,
        "columns": [*columns, Column("s/image", "", "↓")],
        "rows": [_row(board, place, sets) for place in board.entries],
        "metrics": list(board.metrics.values()),
    }


def _row(board: Board, place: Placed, sets: Sequence[tuple[str, Variant]]) -> dict[str, Any]:
    entry, summary = place.entry, place.entry.summary
    cells = []
    for column, compared in board.columns.items():
        estimate = summary.estimate(column)
        number = wording.estimate_text(estimate, board.metrics[column.partition(".")[0]].unit)
        rank = f" · {wording.rank(entry.name, compared.ranks)}" if entry.name in compared.ranks else ""
        value = None if estimate is None else estimate.value
        cells.append(
            Cell(number.value, f"{number.spread}{rank}".lstrip(" ·"), value, entry.name in board.best(column))
        )
    mine = {(item.metric, item.variant): item for item in summary.sets}
    for key in sets:
        found = mine.get(key)
        number = wording.Number(wording.NOT_POSSIBLE) if found is None else wording.set_text(found)
        cells.append(Cell(*number, order=None if found is None else found.value))
    device = summary.device or ""
    cells.append(Cell(wording.seconds_text(summary.seconds_per_image), device, summary.seconds_per_image))
    return {
        "entry": entry,
        "summary": summary,
        "rank": Cell(wording.rank(entry.name, board.ranks), order=board.ranks.get(entry.name)),
        "cells": cells,
        "badges": _badges(place),
        "level": place.reviewed.level,
        "checked": _checked(place.reviewed.verification),
        "superseded": place.superseded_by is not None,
        "ranked": not place.unranked,
    }


def _badges(place: Placed) -> list[tuple[str, str]]:
    """Kind and text."""
    entry, summary = place.entry, place.entry.summary
    found: list[tuple[str, str]] = [
        (f"level {place.reviewed.level}", place.reviewed.level),
        ("provenance", summary.method.provenance),
        ("weights", entry.weights),
    ]
    if place.unranked:
        found.append(("warning", f"unranked: {place.unranked}"))
    if summary.unavailable:
        found.append(("", f"not scored: {', '.join(item.name for item in summary.unavailable)}"))
    return found


def _checked(verification: Verification | None) -> str:
    """What was done to the entry beyond arithmetic."""
    if verification is None:
        return "arithmetic only"
    left_out = f"; not recomputed: {', '.join(verification.left_out)}" if verification.left_out else ""
    return (
        f"{verification.level} on {verification.date} with mildbench {verification.mildbench} on "
        f"{verification.device}: {verification.identical} of {verification.pictures} pictures the same to the bit"
        f"{left_out}"
    )


def _filters(found: Sequence[Board]) -> list[tuple[str, list[str]]]:
    """What entries can be filtered by -> its values."""
    places = [place for board in found for place in board.entries]
    entries = [place.entry for place in places]
    present = {place.reviewed.level for place in places}
    return [
        ("task", sorted({entry.summary.task for entry in entries})),
        ("dataset", sorted({entry.summary.dataset for entry in entries})),
        ("provenance", sorted({entry.summary.method.provenance for entry in entries})),
        ("weights", sorted({entry.weights for entry in entries})),
        ("checked", [level for level in LEVELS if level in present]),
    ]


def _history(found: Sequence[Board]) -> list[dict[str, Any]]:
    """Every entry there ever was, newest first."""
    rows = []
    for board in found:
        metric = board.metrics.get(HEADLINE.partition(".")[0])
        for place in board.entries:
            estimate = place.entry.summary.estimate(HEADLINE)
            value = None if estimate is None else estimate.value
            number = wording.estimate_text(estimate, "" if metric is None else metric.unit)
            rows.append(
                {
                    "added": place.entry.added,
                    "label": place.entry.summary.label,
                    "board": board.title,
                    "name": place.entry.name,
                    "score": Cell(number.value, order=value),
                    "level": place.reviewed.level,
                    "superseded_by": place.superseded_by or "",
                }
            )
    return sorted(rows, key=lambda row: (-row["added"].toordinal(), row["name"]))
