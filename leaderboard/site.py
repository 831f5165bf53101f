"""The leaderboard as one static page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mildbench
from leaderboard.ranking import REQUIRED, Placed, boards
from leaderboard.review import Refused, Reviewed
from leaderboard.schema import LEVELS, Reported, Verification
from mildbench.report import html, tables
from mildbench.report.html import Cell
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.conclusions import conclusions

_TEMPLATES = Path(__file__).with_name("templates")


def build(
    path: Path,
    reviewed: Sequence[Reviewed],
    refused: Sequence[Refused],
    reported: Sequence[Reported],
    headline: str | None = None,
) -> None:
    """Write the page, atomically; raises `UserError` where jinja2 is missing, or nothing has the headline.

    Args:
        path: of the page.
        reviewed: entries to show.
        refused: entries to name, apart from the others.
        reported: numbers from papers.
        headline: what to rank by, see `boards`.
    """
    found = boards(reviewed, headline)
    values = {
        "boards": [_board(board, number) for number, board in enumerate(found, 1)],
        "filters": _filters(found),
        "history": _history(found),
        "refused": refused,
        "reported": reported,
        "levels": LEVELS,
        "required": REQUIRED,
        "version": mildbench.__version__,
    }
    html.write(path, _TEMPLATES, "site.html.j2", values)


def _board(board: Board[Placed], number: int) -> dict[str, Any]:
    first = board.results[0].summary
    return {
        "number": number,
        "title": board.title,
        "task": first.task,
        "dataset": first.dataset,
        "fingerprint": first.config.dataset,
        "extent": wording.extent(board.samples, board.scenes),
        "conclusions": conclusions(board),
        "by": ", and beside it by ".join(map(wording.column_text, board.headlines)),
        "rewards": wording.rewards(board.headlines),
        "ranks": tables.rank_columns(board),
        "dilation": first.paste_dilation,
        "columns": tables.columns(board),
        "rows": [_row(board, place) for place in board.results],
        "metrics": list(board.metrics.values()),
    }


def _row(board: Board[Placed], place: Placed) -> dict[str, Any]:
    entry, summary = place.entry, place.summary
    cells = tables.cells(board, summary)
    cells[-1] = replace(cells[-1], small=summary.device or "")
    return {
        "entry": entry,
        "summary": summary,
        "ranks": tables.ranks(board, summary),
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


def _filters(found: Sequence[Board[Placed]]) -> list[tuple[str, list[str]]]:
    """What entries can be filtered by -> its values."""
    places = [place for board in found for place in board.results]
    entries = [place.entry for place in places]
    present = {place.reviewed.level for place in places}
    return [
        ("task", sorted({entry.summary.task for entry in entries})),
        ("dataset", sorted({entry.summary.dataset for entry in entries})),
        ("provenance", sorted({entry.summary.method.provenance for entry in entries})),
        ("weights", sorted({entry.weights for entry in entries})),
        ("checked", [level for level in LEVELS if level in present]),
    ]


def _history(found: Sequence[Board[Placed]]) -> list[dict[str, Any]]:
    """Every entry there ever was, newest first."""
    rows = []
    for board in found:
        for place in board.results:
            estimate = None if board.headline is None else place.entry.summary.estimate(board.headline)
            value = None if estimate is None else estimate.value
            unit = "" if board.headline is None else board.metric(board.headline).unit
            number = wording.estimate_text(estimate, unit)
            about = "" if board.headline is None else wording.column_text(board.headline)
            about = f"{about} {wording.over(estimate)}".strip()
            rows.append(
                {
                    "added": place.entry.added,
                    "label": place.entry.summary.label,
                    "board": board.title,
                    "name": place.entry.name,
                    "score": Cell(number.value, about, order=value),
                    "level": place.reviewed.level,
                    "superseded_by": place.superseded_by or "",
                }
            )
    return sorted(rows, key=lambda row: (-row["added"].toordinal(), row["name"]))
