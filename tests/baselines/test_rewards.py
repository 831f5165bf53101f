"""On embedded scenes every metric that runs here puts the answer first and the input last, or says why not."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from leaderboard import ranking, review
from mildbench.dataset import Dataset
from mildbench.evaluation.runner import Evaluation, evaluate
from mildbench.method import MethodSpec
from mildbench.metrics.base import METRICS, NO_TRUTH
from mildbench.report import page
from mildbench.results import controls, headline
from mildbench.results.board import Board
from mildbench.results.finished import FinishedRun

CONTROLS = ("copy", "blur", "telea", "oracle", "visible", "amodal-oracle")
TRUE, UNTOUCHED = {"oracle", "amodal-oracle"}, {"copy", "visible"}


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Controls, by all metrics that are scored unasked, on the partly hidden people of drawn scenes."""
    specs = [MethodSpec.parse(name) for name in CONTROLS]
    out = tmp_path_factory.mktemp("controls")
    return evaluate(Dataset.open(data), "deocclude", "test", specs, out=out, device="cpu")


def check_ends(board: Board[Any]) -> set[str]:
    """Of every metric with a value for controls the answer is first and the input last; the metrics."""
    checked = set()
    for column in headline.one_a_metric(board.columns):
        metric = board.metric(column)
        found = {
            summary.label: estimate.value if metric.higher_is_better else -estimate.value
            for summary in board.summaries
            if summary.control
            if (estimate := summary.estimate(column)) is not None and estimate.value is not None
        }
        if not found or METRICS.load(metric.name).info.blind is not None:
            continue
        checked.add(metric.name)
        first, last = ({name for name in found if found[name] == end(found.values())} for end in (max, min))
        assert first == TRUE & set(found), column
        assert last == UNTOUCHED & set(found), column
    return checked


def test_every_metric_puts_the_answer_first_and_the_input_last_or_says_why_not(made: Evaluation) -> None:
    assert check_ends(made.board) >= {"psnr", "ssim", "amodal-iou"}
    shown, _ = review.review_all()
    tasks = set()
    for board in ranking.boards(shown):
        assert check_ends(board) >= {"psnr", "ssim"}
        tasks.add(board.summaries[0].task)
    assert tasks >= {"erase-all", "erase-one", "deocclude"}


def test_who_never_sees_the_truth_says_so() -> None:
    blind = {name for name in METRICS.names() if METRICS.load(name).info.blind == NO_TRUTH}
    assert blind == {"rc-s", "remove", "cfd-official", "cfd-fixed"}


def test_completed_people_have_their_own_two_ends(made: Evaluation) -> None:
    found = {run.summary.label: run.summary for run in made.runs}
    values = {
        name: [found[name].estimate(f"amodal-iou.{part}.raw").value for part in ("whole", "hidden")]  # type: ignore[union-attr]
        for name in ("visible", "amodal-oracle")
    }
    assert values["amodal-oracle"] == [1.0, 1.0]
    assert values["visible"][1] == 0.0
    assert 0 < values["visible"][0] < 1  # type: ignore[operator]
    assert all(found[name].estimate("amodal-iou.whole.raw") is None for name in ("copy", "oracle"))


def test_the_table_ranks_controls_among_themselves_and_names_the_bias(
    made: Evaluation, tmp_path: Path
) -> None:
    rows = {row.metric: row for row in controls.rewarded(made.board)}
    assert set(rows) == {"psnr", "ssim", "amodal-iou"}
    assert all(row.remark == "" for row in rows.values())
    named = dict(controls.names_of(list(rows.values()), made.board))
    psnr = {named[run]: rank for run, rank in rows["psnr"].ranks.items()}
    assert psnr["oracle"][0] == psnr["amodal-oracle"][0] == 1
    assert psnr["copy"][1] == psnr["visible"][1] == len(CONTROLS)
    assert len(rows["amodal-iou"].ranks) == 2
    page.write(tmp_path / "report.html", made.runs)
    text = unescape((tmp_path / "report.html").read_text())
    (table,) = re.findall(r"<h3>What each metric rewards</h3>.*?</table>", text, re.DOTALL)
    for row in rows.values():
        assert row.metric.upper() in table
        assert all(f"<td>{shown}</td>" in table for shown in controls.texts(row, list(row.ranks)))


def test_a_metric_that_prefers_the_untouched_input_is_called_broken(made: Evaluation) -> None:
    board: Board[FinishedRun] = made.board
    turned = {
        column: compared.model_copy(update={"higher_is_better": not compared.higher_is_better})
        for column, compared in board.comparisons.items()
    }
    upside_down = Board(**{**vars(board), "comparisons": turned})
    (row,) = (row for row in controls.rewarded(upside_down) if row.metric == "psnr")
    assert "oracle is not first" in row.remark
    assert "copy is not last" in row.remark
    assert row.remark.endswith("this metric is broken, or these samples are")
