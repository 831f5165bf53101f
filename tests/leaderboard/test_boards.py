"""Ranks are those of the evaluation; what cannot be ranked is shown, and says why."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from finished_runs import evaluated
from leaderboards import add, forge, reviewed

from leaderboard import site, store
from leaderboard.ranking import Placed, boards
from mildbench.records import read_model
from mildbench.results import finished
from mildbench.results.board import Board
from mildbench.results.compare import Comparison
from mildbench.results.headline import FIDELITY


def labelled(board: Board[Placed]) -> dict[str, str]:
    """Run -> label."""
    return {place.summary.run: place.summary.label for place in board.results}


def test_ranks_are_those_of_the_comparison(data: Path, tmp_path: Path) -> None:
    folders = evaluated(data, tmp_path / "runs", "copy", "telea", "noise", "oracle")
    for folder in folders.values():
        add(folder, tmp_path / "entries")
    (board,) = boards(reviewed(tmp_path / "entries"))
    labels = labelled(board)
    said = read_model(Comparison, next(iter(folders.values())).parent / "comparison.json", "comparison")
    for column in said.columns:
        ranks = {labels[name]: rank for name, rank in board.comparisons[column.column].ranks.items()}
        assert ranks == {said.runs[run]: rank for run, rank in column.ranks.items()}


def test_what_is_not_complete_has_no_rank(shipped: Path) -> None:
    (board,) = boards(reviewed(shipped))
    reasons = {place.entry.summary.label: place.unranked for place in board.results}
    assert reasons["copy"] == reasons["telea"] == reasons["noise"] == ""
    assert "random weights" in reasons["attentive"]
    assert "samples have no score" in reasons["noise:strength=90"]
    assert reasons["oracle"] == "is shown the answer"
    ranked = {labelled(board)[name] for name in board.ranks}
    assert ranked == {"copy", "telea", "noise"}
    for column in board.comparisons.values():
        assert {labelled(board)[name] for name in column.ranks} <= ranked


@pytest.mark.parametrize(
    ("metrics", "limit", "reason"),
    [(("psnr",), None, "not scored: ssim"), (("psnr", "ssim"), 3, "3 samples only")],
)
def test_missing_metrics_and_samples_cost_the_rank(
    data: Path, tmp_path: Path, metrics: tuple[str, ...], limit: int | None, reason: str
) -> None:
    folder = tmp_path / "entries"
    full = evaluated(data, tmp_path / "full", "copy", "telea")
    part = evaluated(data, tmp_path / "part", "noise", metrics=metrics, limit=limit)
    for path in (*full.values(), *part.values()):
        add(path, folder)
    (board,) = boards(reviewed(folder))
    assert board.results[-1].entry.summary.label == "noise"
    assert reason in board.results[-1].unranked
    assert len(board.ranks) == 2


def test_a_newer_revision_supersedes_the_older(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "entries"
    run = finished.read(evaluated(data, tmp_path / "runs", "noise")["noise"])
    old = add(run, folder, today=datetime.date(2024, 1, 1))

    def revise(content: dict[str, Any]) -> None:
        content["summary"]["config"]["versions"] = {"noise": "revision 2"}
        content["added"] = datetime.date(2024, 2, 1)

    new = forge(old, entry=revise)
    (board,) = boards(reviewed(folder))
    assert [place.superseded_by for place in board.results] == [None, new.entry.name]
    assert list(board.ranks) == [new.entry.summary.run]
    assert old.entry.name != new.entry.name


def test_tasks_are_boards_of_their_own(data: Path, tmp_path: Path) -> None:
    for task in ("erase-all", "erase-one"):
        for path in evaluated(data, tmp_path / "runs", "copy", task=task).values():
            add(path, tmp_path / "entries")
    found = boards(reviewed(tmp_path / "entries"))
    assert [board.title.split()[0] for board in found] == ["erase-all", "erase-one"]


def test_the_page_shows_entries_and_keeps_reported_numbers_apart(shipped: Path, tmp_path: Path) -> None:
    stored = reviewed(shipped)
    site.build(tmp_path / "site.html", stored, [], store.read_reported())
    text = (tmp_path / "site.html").read_text()
    measured, _, rest = text.partition('id="reported"')
    for item in stored:
        estimate = item.entry.summary.estimate(FIDELITY)
        assert item.entry.name in measured
        assert item.entry.scores.sha256 in measured
        assert estimate is not None
        assert f"{estimate.value:.2f}" in measured
    for paper in store.read_reported():
        assert paper.arxiv in rest
        assert paper.paper not in measured
        assert str(paper.results[0].psnr) in rest
    loaded = re.findall(r'\b(?:src|xlink:href)="([^"]*)"|url\(([^)]*)\)', text)
    assert loaded == []
