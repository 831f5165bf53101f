"""What `build-dataset` tells its user about what it made, and why it could not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mildbench.cli.build_dataset import _account
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.planner import open_planner
from synth.recipe import Recipe


def test_histograms_have_their_bins_above_them(recipe: Recipe, tmp_path: Path) -> None:
    info = build(recipe, 0, tmp_path / "out", SerialExecutor(1), lambda count: None)
    lines = list(_account(info, tmp_path / "out"))
    head = next(i for i, line in enumerate(lines) if line.startswith("  from ratio"))
    names, asked, achieved = lines[head : head + 3]
    ratio = info.report["visible_ratio"]
    for low in range(10):
        column = slice(12 + 5 * low, 17 + 5 * low)
        assert float(names[column]) == low / 10
        assert int(asked[column]) == ratio["asked_histogram"][low]
        assert int(achieved[column]) == ratio["achieved_histogram"][low]


def test_too_few_people_come_with_the_reasons(recipe: Recipe, cutouts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for path in sorted(cutouts.iterdir())[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    for index in range(2):
        (folder / f"bad{index}.png").write_bytes(b"no picture")
    few = recipe.model_copy(update={"people": [f"folder:{folder}"], "max_rejected_share": 0.9})
    with pytest.raises(
        UserError, match=r"3 usable in all sources; 2 rejected: image unreadable or without alpha"
    ):
        open_planner(few, 0)
