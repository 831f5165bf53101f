"""What the numbers are: independent of batches, exact at infinity, honest about what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_fakes import Calls, FakeDataset, folder_of, scores

from mildbench.errors import UserError
from mildbench.images import read_rgb, write_png
from mildbench.marking import FOOTPRINT
from mildbench.records import read_model
from mildbench.results.compare import Comparison
from mildbench.results.summary import Estimate, RunSummary
from mildbench.scene import Triplet

Run = Callable[..., list[RunSummary]]


@pytest.mark.parametrize("task", ["erase-all", "erase-one"])
def test_batch_size_changes_nothing(run: Run, tmp_path: Path, task: str) -> None:
    mixed = FakeDataset(5, sizes=((48, 64), (50, 61), (48, 64)))
    metrics = ["psnr", "ssim", "difference", "shift"]
    frames, summaries = [], []
    for size in (1, 2, 5):
        out = tmp_path / str(size)
        summaries.append(run("noise", source=mixed, task=task, metrics=metrics, batch_size=size, out=out)[0])
        frames.append(scores(out, "noise"))
        for path in (folder_of(out, "noise") / "predictions").iterdir():
            twin = folder_of(tmp_path / "1", "noise") / "predictions" / path.name
            assert path.read_bytes() == twin.read_bytes()
    for frame, summary in zip(frames[1:], summaries[1:], strict=True):
        pd.testing.assert_frame_equal(frame, frames[0], check_exact=True)
        assert summary.estimates == summaries[0].estimates
        assert summary.sets == summaries[0].sets


def test_who_is_known_in_one_sample_does_not_depend_on_the_others(run: Run, tmp_path: Path) -> None:
    class PartlyKnown(FakeDataset):
        def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
            triplet = super().triplet(task, id, mask)
            return replace(triplet, people=None, targets=()) if id == "s001" else triplet

    for size in (1, 4):
        run("watcher", source=PartlyKnown(4), batch_size=size, out=tmp_path / str(size))
        known = {name: batch.instances is not None for name, batch in Calls.shown.items()}
        assert known == {"s000": True, "s001": False, "s002": True, "s003": True}


def test_many_sizes_hold_few_pictures(run: Run) -> None:
    every = FakeDataset(12, sizes=tuple((40 + i, 50 + i) for i in range(12)))
    (summary,) = run("noise", source=every, batch_size=1)
    assert summary.scored == 12


def test_raw_and_pasted_and_regions(run: Run, tmp_path: Path, dataset: FakeDataset) -> None:
    run("noise", metrics=["difference"])
    row = scores(tmp_path, "noise").iloc[0]
    triplet = dataset.triplet("erase-all", "s000")
    output = read_rgb(folder_of(tmp_path, "noise") / "predictions" / "s000.png")
    gap = np.abs(output.astype(float) - triplet.truth).mean(axis=2)
    assert row["difference.full.raw"] == pytest.approx(gap.mean())
    assert row["difference.mask.raw"] == pytest.approx(gap[triplet.mask].mean())
    assert row["difference.mask.pasted"] == row["difference.mask.raw"]
    assert row["difference.outside.pasted"] == 0
    assert math.isnan(row["difference.overlap.raw"])  # nobody is kept
    assert (row["scene"], row["family"], row["people"]) == ("s000", "crowd", 2)


def test_oracle_is_first_telea_above_copy_end_to_end(run: Run, tmp_path: Path) -> None:
    oracle, telea, copy = run("oracle", "telea", "copy", metrics=["psnr", "ssim"])
    for column in ("psnr.mask.pasted", "ssim.mask.raw"):
        values = [summary.estimate(column).value for summary in (oracle, telea, copy)]
        assert values == sorted(values, reverse=True)
    best = oracle.estimate("psnr.mask.raw")
    assert (best.value, best.low, best.high) == (math.inf, math.inf, math.inf)
    assert np.isinf(scores(tmp_path, "oracle")["psnr.full.raw"]).all()
    # Outside the mask a copy is exact, too.
    assert copy.estimate("psnr.outside.raw").value == math.inf
    comparison = read_model(Comparison, next(tmp_path.glob("*/*/comparison.json")), "comparison")
    headline = comparison.column("psnr.mask.pasted")
    assert headline.ranks == {telea.run: (1, 1), copy.run: (2, 2)}  # the oracle has seen the answers
    pair = next(pair for pair in headline.pairs if pair.first == oracle.run)
    assert (pair.value, pair.tied) == (math.inf, False)


def test_comparison_ties_equal_methods(run: Run, tmp_path: Path) -> None:
    first, second, other = run("noise", "noise:quiet=true", "copy")
    comparison = read_model(Comparison, next(tmp_path.glob("*/*/comparison.json")), "comparison")
    ranks = comparison.column("psnr.mask.pasted").ranks
    assert ranks == {first.run: (1, 2), second.run: (1, 2), other.run: (3, 3)}


def test_failing_sample_is_recorded_and_the_others_survive(run: Run, tmp_path: Path) -> None:
    Calls.failing = {"s001"}
    noise, copy = run("noise", "copy", batch_size=4)
    assert (noise.scored, noise.samples) == (5, 6)
    assert [failure.sample_id for failure in noise.failures] == ["s001"]
    assert "RuntimeError: cannot do ['s001']" in noise.failures[0].reason
    assert not noise.ranked
    assert copy.ranked
    assert noise.estimate("psnr.mask.raw").n == 5
    assert noise.estimate("psnr.mask.raw").undefined == 0
    assert list(json.loads((folder_of(tmp_path, "noise") / "failures.json").read_text())) == ["s001"]
    row = scores(tmp_path, "noise").set_index("id").loc["s001"]
    assert row["family"] == "queue"
    assert math.isnan(row["psnr.full.raw"])

    Calls.clear()
    (healed,) = run("noise")
    assert Calls.erased == ["s001"]  # tried again
    assert (healed.scored, healed.failures) == (6, [])


def test_all_samples_failing_is_still_a_summary(run: Run) -> None:
    Calls.failing = {f"s{i:03d}" for i in range(6)}
    (summary,) = run("noise", metrics=["psnr", "shift"])
    assert (summary.scored, len(summary.failures)) == (0, 6)
    assert summary.estimate("psnr.mask.raw").value is None
    assert [item.value for item in summary.sets] == [None, None]


def test_broken_prediction_is_named(run: Run, tmp_path: Path) -> None:
    run("noise")
    predictions = folder_of(tmp_path, "noise") / "predictions"
    whole = (predictions / "s003.png").read_bytes()
    (predictions / "s003.png").write_bytes(whole[: len(whole) // 2])
    write_png(predictions / "s004.png", np.zeros((9, 9, 3), np.uint8))
    (summary,) = run("noise")
    reasons = {failure.sample_id: failure.reason for failure in summary.failures}
    assert "predictions/s003.png is broken" in reasons["s003"]
    assert "predictions/s004.png is 9x9, its input is 64x48" in reasons["s004"]
    (predictions / "s003.png").unlink()
    (predictions / "s004.png").unlink()
    assert run("noise")[0].failures == []


def test_metric_without_weights_is_not_available_and_the_rest_is_scored(run: Run) -> None:
    (summary,) = run("copy", metrics=["psnr", "lacking"])
    (lacking,) = summary.unavailable
    assert (lacking.name, lacking.id) == ("lacking", "lacking@1")
    assert lacking.reason == "weights missing: mildbench weights fetch lpips-alex"
    assert summary.estimate("psnr.mask.raw").n == 6


def test_set_metrics_share_one_pass_and_the_truths(run: Run, tmp_path: Path) -> None:
    oracle, noise = run("oracle", "noise", metrics=["shift", "spread"])
    # Truths 6, the oracle's outputs 6 (raw and pasted are one picture), noise 12.
    assert Calls.extracted == 24
    values = {(item.metric, item.variant): item.value for item in oracle.sets}
    assert values == {
        ("shift", "raw"): 0,
        ("shift", "pasted"): 0,
        ("spread", "raw"): None,
        ("spread", "pasted"): None,
    }
    assert noise.sets[0].value > 0
    assert noise.sets[0].n == 6
    assert {item.note for item in noise.sets if item.metric == "spread"} == {"too few"}
    assert list(tmp_path.glob("*/erase-all/truth-features/mean-colour-1/*.npz"))


def test_strata_add_up(run: Run) -> None:
    (summary,) = run("noise")
    for by in ("family", "people", "mask_share", "visible_ratio"):
        mine = [stratum for stratum in summary.strata if stratum.by == by]
        assert sum(stratum.samples for stratum in mine) == 6
        assert [item.column for item in mine[0].estimates] == [
            "psnr.mask.raw",
            "psnr.mask.pasted",
            "psnr.outside.raw",
            "difference.mask.raw",
            "difference.mask.pasted",
        ]
    assert [s.label for s in summary.strata if s.by == "family"] == ["crowd", "queue"]


def test_overlap_is_a_headline_of_erase_one(run: Run) -> None:
    (summary,) = run("noise", task="erase-one")
    assert summary.samples == 12
    assert summary.estimate("psnr.overlap.pasted").n > 0
    assert "psnr.overlap.pasted" in [item.column for item in summary.strata[0].estimates]


def test_summary_round_trip_is_typed_and_valid_json(run: Run, tmp_path: Path) -> None:
    (summary,) = run("oracle", metrics=["psnr", "lacking", "spread"])
    path = folder_of(tmp_path, "oracle") / "summary.json"

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert read_model(RunSummary, path, "summary") == summary
    (full, *_) = content["estimates"]
    assert full["value"] is None
    assert full["infinite"] == {"value": 1, "low": 1, "high": 1}
    assert "infinite" not in content["sets"][0]


@pytest.mark.parametrize("value", [1.5, 0.0, math.inf, -math.inf, None])
def test_numbers_survive_json(value: float | None) -> None:
    estimate = Estimate(
        metric="m",
        region="mask",
        variant="raw",
        value=value,
        low=None,
        high=value,
        n=1,
        scenes=1,
        undefined=0,
    )
    assert Estimate.model_validate_json(estimate.model_dump_json()) == estimate


def test_precomputed_predictions_with_some_missing_and_changing(
    run: Run, tmp_path: Path, dataset: FakeDataset
) -> None:
    mine = tmp_path / "my-model"
    for name in ("s000", "s001", "s002"):
        write_png(mine / f"{name}.png", dataset.triplet("erase-all", name).truth)
    write_png(mine / "s003.png", np.zeros((9, 9, 3), np.uint8))
    out, method = tmp_path / "runs", f"precomputed:directory={mine}"
    (summary,) = run(method, out=out)
    assert summary.label == "my-model"
    assert summary.run.startswith("my-model@")
    assert (summary.scored, summary.seconds_per_image) == (3, None)
    assert [failure.sample_id for failure in summary.failures] == ["s003", "s004", "s005"]
    assert "9x9" in summary.failures[0].reason
    assert summary.estimate("psnr.mask.raw").value == math.inf

    Calls.clear()
    write_png(mine / "s003.png", dataset.triplet("erase-all", "s003").truth)
    (mine / "s000.png").unlink()
    (summary,) = run(method, out=out)
    assert [failure.sample_id for failure in summary.failures] == ["s000", "s004", "s005"]
    assert Calls.scored == 1  # s003 alone: raw and pasted are one picture


def test_mistakes_are_told_before_any_work(run: Run, tmp_path: Path) -> None:
    mistakes = [
        ({"methods": ["nois"]}, "unknown method 'nois': did you mean 'noise'"),
        ({"methods": ["noise", "noise:strenght=3"]}, "no option 'strenght'"),
        ({"methods": []}, "no method"),
        ({"metrics": ["psrn"]}, "unknown metric 'psrn': did you mean 'psnr'"),
        ({"split": "nope"}, "no split 'nope'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"paste_dilation": -1}, "paste dilation is -1"),
        ({"source": FakeDataset(0)}, "no samples"),
    ]
    for changes, message in mistakes:
        methods = changes.pop("methods", ["noise"])
        with pytest.raises(UserError, match=message):
            run(*methods, **changes)
    assert Calls.erased == []
    assert not list(tmp_path.iterdir())


def test_cuda_without_a_gpu_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA GPU") as error:
        run("noise", device="cuda")
    assert "\n" not in str(error.value)
    assert run("noise", device="auto")[0].device == "cpu"


def test_a_limit_spreads_over_the_scenes(run: Run, tmp_path: Path, dataset: FakeDataset) -> None:
    every = dataset.task_ids("erase-one", "test")
    firsts = [name for name in every if name.endswith(every[0].rpartition("-")[2])]
    assert len(firsts) < len(every)
    run("copy", task="erase-one", limit=len(firsts) - 1)
    assert scores(tmp_path, "copy")["id"].tolist() == firsts[:-1]
    run("copy", task="erase-one", limit=len(firsts) + 1)
    assert scores(tmp_path, "copy")["id"].tolist() == sorted([*firsts, every[1]], key=every.index)
