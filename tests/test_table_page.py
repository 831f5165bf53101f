"""The page on reading the table: it knows every metric, its ranks are the entries', its Python runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaderboard import ranking, review
from mildbench.metrics.base import EFFECT, METRICS, REGIONS
from mildbench.results import controls
from mildbench.statistics import mean

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "table.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_metric_and_region_is_on_the_page_once() -> None:
    rows = re.findall(r"^\| (`.+?) \|", section("What each metric rewards"), re.MULTILINE)
    assert sorted(re.findall(r"`([\w-]+)`", " ".join(rows))) == METRICS.names()
    regions = re.findall(r"^\| `(\w+)` \|", section("What a column is"), re.MULTILINE)
    assert regions == [*REGIONS, EFFECT, "raw", "pasted"]


def test_metrics_that_do_not_see_the_truth_are_told_so() -> None:
    rows = re.findall(r"^\| (`.+?) \|.*\| the truth \|$", section("What each metric rewards"), re.MULTILINE)
    told = set(re.findall(r"`([\w-]+)`", " ".join(rows)))
    assert told == {name for name in METRICS.names() if METRICS.load(name).info.blind}


def test_the_ranks_of_the_controls_are_those_of_the_entries() -> None:
    header, _, *lines = re.findall(r"^\| (.+) \|$", section("How the metrics rank the controls here"), re.M)
    _, _, *names, _ = header.split(" | ")
    written = [line.replace("`", "").split(" | ") for line in lines]
    found = []
    for board in ranking.boards(review.review_all()[0]):
        rows = controls.rewarded(board)
        runs = {name: run for run, name in controls.names_of(rows, board)}
        assert set(runs) == set(names)
        for row in rows:
            ranks = controls.texts(row, [runs[name] for name in names])
            assert row.where == "mask, pasted"
            found.append([board.summaries[0].task, row.metric, *ranks, row.prefers or "neither"])
    assert written == sorted(found)


def test_the_attention_on_the_page_is_that_of_the_entries() -> None:
    header, _, *lines = re.findall(r"^\| (.+) \|$", section("Whose attention goes where"), re.M)
    metric, samples, scenes, *names = header.split(" | ")
    assert (metric, samples, scenes) == ("metric", "samples", "scenes")
    written = [line.replace("`", "").split(" | ") for line in lines]
    assert [line[0] for line in written] == ["comp-kappa", "foreign", "kept-logodds"]
    (board,) = (
        found for found in ranking.boards(review.review_all()[0]) if found.title.startswith("erase-one")
    )
    rows = board.results[0].reviewed.scores
    scene_of = dict(zip(rows.ids, rows.scenes, strict=True))
    where = np.array([scene_of[name] for name in board.ids])
    for name, *told in written:
        values = board.values[f"{name}.attention.raw"]
        mine = [values[run] for label in names for run, shown in board.names.items() if shown == label]
        common = ~np.isnan(mine).any(axis=0)
        clusters = np.unique(where[common], return_inverse=True)[1]
        found = [mean(scores[common], None, clusters) for scores in mine]
        texts = [f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in found]
        assert told == [str(found[0].n), str(found[0].scenes), *texts]


def test_the_python_on_the_page_runs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/demo").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    table = names["found"].table["psnr.mask.pasted"]
    assert set(table.index) == {"copy", "blur", "telea", "oracle"}
    assert table["oracle"] == float("inf")
    assert table["copy"] == table.min()
    assert len(names["worst"]) == 3
    assert "ssim.mask.pasted" in capsys.readouterr().out
