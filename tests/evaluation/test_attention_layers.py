"""Layers and attention: stored with the predictions, scored by capability, never made or lost twice."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from evaluation_fakes import Attentive, Calls, FakeDataset, folder_of, made_up_record, scores

from mildbench.errors import UserError
from mildbench.evaluation import predict, score
from mildbench.evaluation.painted import pooled
from mildbench.images import read_rgba, write_png
from mildbench.method import AttentionRecord, EraseBatch, EraseResult, Painting, sample_seed
from mildbench.metrics.attention import CagKappa, CompletionKappa, Foreign, Leak, kept_log_odds
from mildbench.records import read_model
from mildbench.regions import contents
from mildbench.results import attention, attention_plot, wording
from mildbench.results.attention import AttentionFile
from mildbench.results.compare import Comparison
from mildbench.results.summary import RunSummary

Run = Callable[..., list[RunSummary]]

EVERYTHING = ["psnr", "amodal-iou", "cag", "cag-kappa", "leak"]
OTHERS = ["amodal-iou.whole.raw", "amodal-iou.hidden.raw"]
GAPS = ["cag.attention.raw", "cag-kappa.attention.raw", "leak.attention.raw"]


def same(first: AttentionRecord, second: AttentionRecord) -> bool:
    return (first.layers, first.pathways) == (second.layers, second.pathways) and all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
        for name in ("timesteps", "masses", "tokens")
    )


def test_layers_and_records_come_back_as_they_were_returned(
    run: Run, tmp_path: Path, dataset: FakeDataset
) -> None:
    run("attentive", task="deocclude", batch_size=2)
    folder = folder_of(tmp_path, "attentive")
    stored = AttentionFile(folder / "attention.parquet")
    assert list(stored) == dataset.task_ids("deocclude", "test")
    for name in stored:
        found = stored.read(name)
        assert same(found.record, made_up_record(sample_seed(0, name), 2))
        assert found.targets == (1,)
        (layer,) = (folder / "layers" / name).iterdir()
        assert layer.name == "0.png"
        seen = dataset.triplet("deocclude", name).people.visible[0]
        assert np.array_equal(read_rgba(layer)[..., 3] == 255, np.roll(seen, 1, axis=1))


def test_the_file_is_rows_that_anybody_can_read(run: Run, tmp_path: Path) -> None:
    run("attentive", limit=2)
    path = folder_of(tmp_path, "attentive") / "attention.parquet"
    table = pd.read_parquet(path)
    assert len(table) == 24
    assert table["id"].unique().tolist() == ["s000", "s001"]
    row = table.iloc[0]
    assert (row["people"], row["targets"].tolist(), row["layer"], row["pathway"]) == (
        2,
        [0, 1],
        "down.0",
        "picture",
    )
    assert row["masses"].shape == (9,)
    assert row["tokens"].shape == (3,)
    assert row["known"] is None
    meta = pq.ParquetFile(path).metadata
    assert {meta.row_group(0).column(i).compression for i in range(meta.num_columns)} == {"ZSTD"}


def test_interrupted_at_any_time_the_record_ends_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("attentive", out=tmp_path / "once")
    whole = (folder_of(tmp_path / "once", "attentive") / "attention.parquet").read_bytes()
    out = tmp_path / "often"
    run("attentive", out=out, limit=1)
    Calls.interrupt_at = "s003"
    with pytest.raises(KeyboardInterrupt):
        run("attentive", out=out, batch_size=1)
    folder = folder_of(out, "attentive")
    assert {path.stem for path in (folder / "attention-parts").iterdir()} == {"s001", "s002"}
    Calls.clear()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for place, name in (
        (predict, "write_png"),
        (attention, "write_bytes"),
        (pq.ParquetWriter, "write_table"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            with pytest.raises(OSError, match="No space left"):
                run("attentive", out=out, batch_size=1)
    run("attentive", out=out)
    assert (folder / "attention.parquet").read_bytes() == whole
    assert not (folder / "attention-parts").exists()
    assert not list(folder.rglob("*.tmp*"))


def test_a_later_record_replaces_the_earlier_one_and_is_scored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("attentive", metrics=EVERYTHING)
    before = scores(tmp_path, "attentive").set_index("id")
    (folder_of(tmp_path, "attentive") / "predictions" / "s002.png").unlink()
    other = made_up_record(99, 2)
    erase = Attentive.erase

    def changed(self: Attentive, batch: EraseBatch) -> EraseResult:
        result = erase(self, batch)
        return EraseResult(result.images, result.layers, (other,) * len(batch))

    monkeypatch.setattr(Attentive, "erase", changed)
    Calls.clear()
    run("attentive", metrics=EVERYTHING)
    assert Calls.erased == ["s002"]
    stored = AttentionFile(folder_of(tmp_path, "attentive") / "attention.parquet")
    assert list(stored) == before.index.tolist()
    assert same(stored.read("s002").record, other)
    after = scores(tmp_path, "attentive").set_index("id")
    differs = after["cag-kappa.attention.raw"] != before["cag-kappa.attention.raw"]
    assert differs[differs].index.tolist() == ["s002"]  # the picture is the same, its record is not


def test_a_changed_layer_is_scored_again(run: Run, tmp_path: Path, dataset: FakeDataset) -> None:
    run("attentive", task="deocclude", metrics=["amodal-iou"])
    layers = folder_of(tmp_path, "attentive") / "layers"
    whole = dataset.triplet("deocclude", "s001-d1").people.amodal[0]
    write_png(
        layers / "s001-d1" / "0.png",
        np.dstack([np.zeros((*whole.shape, 3), np.uint8), whole * np.uint8(128)]),
    )
    (layers / "s002-d1" / "0.png").unlink()
    (layers / "s003-d1" / "0.png").write_bytes(b"broken")
    write_png(layers / "s004-d1" / "0.png", np.zeros((9, 9, 4), np.uint8))
    (summary,) = run("attentive", task="deocclude", metrics=["amodal-iou"])
    row = scores(tmp_path, "attentive").set_index("id")
    assert row.loc["s001-d1", OTHERS].tolist() == [1, 1]
    seen = dataset.triplet("deocclude", "s002-d1").people.visible[0]
    assert row.loc["s002-d1", OTHERS].tolist() == [seen.sum() / whole.sum(), 0]
    reasons = {failure.sample_id: failure.reason for failure in summary.failures}
    assert "0.png" in reasons["s003-d1"]
    assert "s004-d1/0.png is 9x9, its input is 64x48" in reasons["s004-d1"]


def test_scores_are_what_the_metrics_say_and_undefined_is_counted(run: Run, tmp_path: Path) -> None:
    (summary,) = run("attentive", metrics=EVERYTHING, task="erase-one")
    row = scores(tmp_path, "attentive").iloc[3]
    record = made_up_record(sample_seed(0, row["id"]), 2)
    assert row["id"] == "s001-p2"
    assert row["cag-kappa.attention.raw"] == CagKappa().score(record, (1,))
    assert row["leak.attention.raw"] == Leak().score(record, (1,))
    assert "amodal-iou.whole.raw" not in row  # nobody in particular is to be completed
    assert summary.estimate("leak.attention.raw").n == 12
    (everybody,) = run("attentive", metrics=EVERYTHING)
    leak = everybody.estimate("leak.attention.raw")
    assert (leak.value, leak.n, leak.undefined) == (None, 0, 6)
    assert everybody.estimate("cag.attention.raw").n == 6


def test_who_cannot_has_no_column_and_is_not_scored_again(run: Run, tmp_path: Path) -> None:
    run("copy", task="deocclude", metrics=["psnr"])
    (alone,) = run("copy", task="deocclude", metrics=EVERYTHING)
    assert [item.name for item in alone.metrics] == ["psnr"]
    assert alone.unavailable == []
    copy, attentive = run("copy", "attentive", task="deocclude", metrics=EVERYTHING)
    assert not set(GAPS + OTHERS) & set(scores(tmp_path, "copy"))
    assert set(GAPS + OTHERS) <= set(scores(tmp_path, "attentive"))
    path = next(tmp_path.glob("*/deocclude/comparison.json"))
    comparison = read_model(Comparison, path, "comparison")
    assert {column.column for column in comparison.columns} >= set(GAPS + OTHERS)
    # The fake says that it is not trained: it has no rank, not even where it is alone.
    assert comparison.column("cag-kappa.attention.raw").ranks == {}
    assert comparison.column("psnr.mask.pasted").ranks == {copy.run: (1, 1)}
    strata = [stratum for stratum in attentive.strata if stratum.by == "visible_ratio"]
    assert {item.column for item in strata[0].estimates} >= set(GAPS + OTHERS)


def test_unlimited_and_limited_scoring_of_records_agree(run: Run, tmp_path: Path) -> None:
    run("attentive", metrics=EVERYTHING, limit=3)
    (first,) = run("attentive", metrics=EVERYTHING)
    (second,) = run("attentive", metrics=EVERYTHING, out=tmp_path / "other")
    assert first.estimates == second.estimates
    Calls.clear()
    run("attentive", metrics=EVERYTHING)
    assert Calls.erased == []


def test_a_broken_file_is_named(run: Run, tmp_path: Path) -> None:
    run("attentive", metrics=["cag"])
    path = folder_of(tmp_path, "attentive") / "attention.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"attention.parquet is broken"):
        run("attentive", metrics=["cag"])


def test_untrained_is_recorded_and_unranked(run: Run) -> None:
    (summary,) = run("attentive")
    assert summary.method.untrained == "made up"
    assert not summary.ranked


def test_the_plot_is_the_mean_over_samples_and_pathways(run: Run, tmp_path: Path) -> None:
    run("attentive", limit=2, task="erase-one")
    folder = folder_of(tmp_path, "attentive")
    stored = AttentionFile(folder / "attention.parquet")
    gaps = attention_plot.mean_gaps(stored)
    assert gaps.layers == ["down.0", "up.0"]
    assert gaps.timesteps.tolist() == [1, 0.5, 0]
    assert gaps.samples == 2
    # Entry 2 is the picture in the first layer in the middle of the time; the background's pathway makes nobody.
    halves = [kept_log_odds(stored.read(name).record, stored.read(name).targets)[2] for name in stored]
    assert gaps.values[0, 1] == pytest.approx(np.mean(halves))
    picture = folder / "attention.png"
    assert matplotlib.image.imread(picture).std() > 0.05
    made = picture.stat().st_mtime_ns
    run("attentive", limit=2, task="erase-one")
    assert picture.stat().st_mtime_ns == made
    run("attentive", task="erase-one")
    assert picture.stat().st_mtime_ns > made


def test_where_nobody_stays_there_is_nothing_to_plot(run: Run, tmp_path: Path) -> None:
    run("attentive", task="erase-all")
    folder = folder_of(tmp_path, "attentive")
    assert (folder / "attention.parquet").exists()
    assert not (folder / "attention.png").exists()


def painting(seed: int) -> Painting:
    """Two entries of 8-pixel tokens, the same all over the picture of 48 x 64."""
    rng = np.random.default_rng(seed)
    top, left = (part.ravel() * 8 for part in np.mgrid[:6, :8])
    boxes = np.stack([left, top, left + 8, top + 8], axis=1).astype(np.float32)
    masses = tuple(rng.random((len(boxes), 3), np.float32) / 3 for _ in range(2))
    known = np.array([[30, 5, 0]] * 2, np.int32)
    return Painting(("down.0",) * 2, ("picture", "person 0"), (boxes, boxes), masses, known)


def with_painting(monkeypatch: pytest.MonkeyPatch) -> None:
    """`attentive` tells what it painted from."""
    erase = Attentive.erase

    def telling(self: Attentive, batch: EraseBatch) -> EraseResult:
        result = erase(self, batch)
        assert result.attention is not None
        records = tuple(
            None if record is None else replace(record, painting=painting(seed))
            for record, seed in zip(result.attention, batch.seeds, strict=True)
        )
        return EraseResult(result.images, result.layers, records)

    monkeypatch.setattr(Attentive, "erase", telling)


def test_paintings_are_kept_by_what_the_answer_has(
    run: Run, tmp_path: Path, dataset: FakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_painting(monkeypatch)
    metrics = ["psnr", "comp-kappa", "foreign", "cag"]
    (summary,) = run("attentive", task="erase-one", metrics=metrics)
    stored = AttentionFile(folder_of(tmp_path, "attentive") / "attention.parquet")
    for name, row in scores(tmp_path, "attentive").set_index("id").iterrows():
        found = stored.read(name)
        triplet = dataset.triplet("erase-one", name)
        assert triplet.people is not None
        expected = pooled(painting(sample_seed(0, name)), contents(triplet.people, triplet.targets))
        assert found.record.painting is None
        assert found.record.painted is not None
        for field in ("masses", "tokens", "known"):
            np.testing.assert_array_equal(getattr(found.record.painted, field), getattr(expected, field))
        assert same(found.record, made_up_record(sample_seed(0, name), 2))
        assert row["comp-kappa.attention.raw"] == CompletionKappa().score(found.record, found.targets)
        assert row["foreign.attention.raw"] == Foreign().score(found.record, found.targets)
    assert summary.estimate("comp-kappa.attention.raw").undefined == 0


def test_records_from_before_paintings_stay_valid_and_say_nothing_of_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("attentive", task="erase-one", metrics=["cag"], limit=3)
    path = folder_of(tmp_path, "attentive") / "attention.parquet"
    before = pq.ParquetFile(path)
    old = before.schema_arrow.remove(before.schema_arrow.get_field_index("known"))
    groups = [before.read_row_group(group).drop_columns("known") for group in range(before.num_row_groups)]
    with pq.ParquetWriter(path, old) as writer:
        for group in groups:
            writer.write_table(group)
    Calls.clear()
    (summary,) = run("attentive", task="erase-one", metrics=["cag", "comp-kappa"], limit=3)
    assert Calls.erased == []
    assert summary.estimate("cag.attention.raw").undefined == 0
    assert summary.estimate("comp-kappa.attention.raw").undefined == 3
    with_painting(monkeypatch)
    (summary,) = run("attentive", task="erase-one", metrics=["cag", "comp-kappa"], limit=5)
    assert len(Calls.erased) == 2
    assert summary.estimate("comp-kappa.attention.raw").n == 2
    assert summary.estimate("cag.attention.raw").n == 5
    text = wording.estimate_text(summary.estimate("comp-kappa.attention.raw"), "")
    assert text.spread.endswith("(n 2)")


def test_without_matplotlib_the_plot_is_a_note(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    (summary,) = run("attentive", task="erase-one")
    assert summary.notes == [
        "attention.png needs the package 'matplotlib', which is not installed: pip install \"mildbench[metrics]\""
    ]
    assert not (folder_of(tmp_path, "attentive") / "attention.png").exists()


def test_a_wrong_record_or_layer_fails_its_sample_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    erase = Attentive.erase
    wrong = {
        "s001": ({}, made_up_record(0, 3), "recorded attention of 4 regions, expected 3"),
        "s002": ({2: np.zeros((48, 64, 4), np.uint8)}, None, "returned a layer of person 2 of 2"),
        "s003": ({0: np.zeros((48, 64, 3), np.uint8)}, None, "returned a layer as"),
    }

    def mistaken(self: Attentive, batch: EraseBatch) -> EraseResult:
        result = erase(self, batch)
        layers, record, _ = wrong.get(batch.sample_ids[0], ({}, None, ""))
        rest = len(batch) - 1
        return EraseResult(result.images, (layers, *({},) * rest), (record, *(None,) * rest))

    monkeypatch.setattr(Attentive, "erase", mistaken)
    (summary,) = run("attentive", batch_size=1, metrics=["cag"])
    assert [failure.sample_id for failure in summary.failures] == list(wrong)
    for failure in summary.failures:
        assert wrong[failure.sample_id][2] in failure.reason
    assert summary.estimate("cag.attention.raw").undefined == 3  # nothing was recorded


def test_parts_of_rows_survive_with_attention(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "_SHARD", 2)
    (summary,) = run("attentive", metrics=["cag"])
    assert not math.isnan(summary.estimate("cag.attention.raw").value)
    assert len(scores(tmp_path, "attentive")) == 6
