"""The table says what one has to know to read it, at any width."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluation_fakes import Calls, FakeDataset
from rich.console import Console

from mildbench import progress
from mildbench.progress import tracking
from mildbench.results import finished, table, wording
from mildbench.results.board import board_of
from mildbench.results.summary import Estimate, RunSummary

Run = Callable[..., list[RunSummary]]


def printed(root: Path, summaries: list[RunSummary], width: int, *, wide: bool = True) -> str:
    runs = [finished.read(next(root.glob(f"*/*/{summary.run}"))) for summary in summaries]
    stream = io.StringIO()
    Console(file=stream, width=width).print(table.build(board_of(runs), width, wide=wide))
    return stream.getvalue()


def test_table_orders_marks_and_explains(run: Run, tmp_path: Path) -> None:
    Calls.failing = {"s001"}
    metrics = ["psnr", "ssim", "lacking", "shift", "spread"]
    text = printed(tmp_path, run("copy", "noise", "oracle", "telea", metrics=metrics), 200)
    rows = [line.split()[1] for line in text.splitlines() if line[:4].strip() in {"–", "1", "2"}]
    assert rows == ["oracle", "telea", "copy", "noise"]
    assert "incomplete: 1 failed" in text
    assert "lacking: n/a (weights missing: mildbench weights fetch lpips-alex)" in text
    assert "spread: too few" in text
    assert "s001: RuntimeError" in text
    assert "inf" in text
    assert "control" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_number_is_cut_in_a_narrow_terminal(run: Run, tmp_path: Path, width: int) -> None:
    summaries = run("copy", "noise", metrics=["psnr", "ssim", "difference", "shift"])
    text = printed(tmp_path, summaries, width)
    assert "…" not in text
    assert f"{summaries[1].estimate('ssim.mask.pasted').value:.4f}" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_has_the_headline_and_the_columns_that_fit_and_counts_the_others(
    run: Run, tmp_path: Path, width: int
) -> None:
    metrics = ["psnr", "ssim", "difference", "shift"]
    summaries = run("copy", "noise", metrics=metrics)
    text = printed(tmp_path, summaries, width, wide=False)
    rows, notes = text.split("s/image")[1].split(" --wide")
    assert text.count("noise") == text.count("copy") == 1
    assert all(len(line) <= width for line in rows.splitlines())
    assert summaries[1].estimate("psnr.mask.pasted").value is not None
    assert f"{summaries[1].estimate('psnr.mask.pasted').value:.2f}" in rows
    everything = printed(tmp_path, summaries, 1000).partition("s/image")[0]
    shown = text.partition("s/image")[0]
    left_out = int(rows.splitlines()[-1].split()[0])
    assert everything.count("↑") + everything.count("↓") == shown.count("↑") + shown.count("↓") + left_out
    assert notes


def test_runs_of_one_label_are_told_apart(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "mine").mkdir(parents=True)
    methods = [f"precomputed:directory={tmp_path / name / 'mine'}" for name in ("a", "b")]
    summaries = run(*methods, out=tmp_path / "runs")
    text = printed(tmp_path / "runs", summaries, 120)
    for summary in summaries:
        assert f"mine@{summary.run[-8:]}" in text


@pytest.mark.parametrize(
    ("rate", "shown"), [(25.04, "25.0/s"), (1.0, "1.0/s"), (0.5, "2.0 s each"), (0.0, "0.0/s")]
)
def test_a_rate_is_told_where_one_takes_seconds(rate: float, shown: str) -> None:
    assert progress._pace(rate) == shown


def test_progress_in_a_log_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with tracking("predict x", 4, show=True) as advance:
        advance(3)
        advance(1)
    with tracking("quiet", 4, show=False) as advance:
        advance(4)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("predict x: 4/4, ")
    assert "quiet" not in told.err
    assert "\x1b" not in told.err


def test_what_only_some_methods_have_is_not_possible_for_the_others(run: Run, tmp_path: Path) -> None:
    metrics = ["psnr", "cag-kappa", "amodal-iou"]
    text = printed(tmp_path, run("copy", "telea", metrics=metrics, task="deocclude"), 200)
    assert "CAG-KAPPA" not in text
    assert "AMODAL-IOU" not in text
    text = printed(tmp_path, run("attentive", "copy", metrics=metrics, task="deocclude"), 200)
    first, second = (line for line in text.splitlines() if line.lstrip().startswith(("1", "–")))
    assert second.split()[1] == "attentive"  # without training last, whatever its numbers
    assert first.count("n/a") == 3
    assert "n/a" not in second
    assert "random weights" in text
    assert "attentive: random weights (made up): its numbers mean nothing" in text
    assert "CAG-KAPPA: mildbench's own definition" in text
    assert "n/a: the method completes no layers, or has no attention to record" in text


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (30.0, 29.0, 31.0, "30.00\n±1.00"),
        (math.inf, math.inf, math.inf, "inf"),
        (30.0, 28.5, math.inf, "30.00\n28.50 to inf"),
        (math.inf, 28.5, math.inf, "inf\n28.50 to inf"),
        (30.0, math.inf, math.inf, "30.00\ninf to inf"),
        (-math.inf, -math.inf, 3.0, "-inf\n-inf to 3.00"),
        (30.0, None, None, "30.00"),
        (None, None, None, "–"),
    ],
)
def test_infinite_bounds_are_never_nan(
    value: float | None, low: float | None, high: float | None, shown: str
) -> None:
    bounds = {"value": value, "low": low, "high": high}
    estimate = Estimate(metric="psnr", region="mask", variant="raw", n=2, scenes=2, undefined=0, **bounds)
    assert table._number(wording.estimate_text(estimate, "dB")).plain == shown


@pytest.mark.parametrize(("low", "spread"), [(0.5, "±0.5000 (n 2)"), (None, "(n 2)"), (1.0, "(n 2)")])
def test_a_mean_of_fewer_samples_says_how_many(low: float | None, spread: str) -> None:
    high = None if low is None else 2 - low
    estimate = Estimate(
        metric="foreign", region="attention", variant="raw", value=1.0, low=low, high=high, n=2, undefined=4
    )
    assert wording.estimate_text(estimate, "") == ("1.0000", spread)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8e-6, "<0.001"), (0.0123, "0.012"), (1.26, "1.3"), (123.4, "123.4"), (None, "–")],
)
def test_seconds_are_plain_numbers(seconds: float | None, shown: str) -> None:
    assert wording.seconds_text(seconds) == shown


def test_a_mean_over_fewer_samples_says_so(run: Run, tmp_path: Path) -> None:
    source = FakeDataset(3, sizes=((48, 64), (32, 40)))
    tiny = FakeDataset(2, sizes=((48, 64), (10, 64)))
    text = printed(tmp_path, run("copy", "noise", metrics=["psnr", "ssim"], source=tiny), 200)
    (line,) = (line for line in text.splitlines() if "undefined" in line)
    assert "SSIM (mask, raw), SSIM (mask, pasted)" in line
    assert line.rstrip().endswith(": mean over 1 of 2 samples, undefined in the others")
    text = printed(tmp_path / "all", run("copy", metrics=["ssim"], source=source, out=tmp_path / "all"), 200)
    assert "undefined" not in text


def test_ranks_are_ranges_and_few_scenes_are_told(run: Run, tmp_path: Path) -> None:
    text = printed(tmp_path, run("noise", "noise:quiet=true", "copy"), 200)
    assert "6 samples of 6 scenes" in text
    assert "only 6 scenes" in text
    ranks = [first for line in text.splitlines() if (first := line.strip().partition(" ")[0]) in {"1–2", "3"}]
    assert ranks == ["1–2", "1–2", "3"]


def test_who_has_no_value_has_no_rank_there(run: Run, tmp_path: Path) -> None:
    summaries = run("noise", "copy", metrics=["psnr"], task="erase-all")  # nobody stays, so nothing overlaps
    board = board_of([finished.read(next(tmp_path.glob(f"*/*/{item.run}"))) for item in summaries])
    for column, values in board.values.items():
        valued = {name for name, mine in values.items() if not np.isnan(mine).all()}
        assert set(board.comparisons[column].ranks) <= valued
        assert board.best(column) <= valued
