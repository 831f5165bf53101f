"""Whatever stops a run, the same command completes it, and nothing is made twice."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evaluation_fakes import Calls, FakeDataset, Noise, folder_of, scores

from mildbench import files
from mildbench.errors import UserError
from mildbench.evaluation import predict, rows, score
from mildbench.method import EraseBatch, EraseResult
from mildbench.records import read_model
from mildbench.results import folder
from mildbench.results.record import RunRecord
from mildbench.results.summary import RunSummary
from mildbench.weights import WeightsMissing

Run = Callable[..., list[RunSummary]]


def test_interrupted_prediction_resumes_with_the_rest(run: Run, tmp_path: Path) -> None:
    Calls.interrupt_at = "s004"
    with pytest.raises(KeyboardInterrupt):
        run("noise", batch_size=1)
    made = sorted(path.stem for path in (folder_of(tmp_path, "noise") / "predictions").iterdir())
    assert made == ["s000", "s001", "s002", "s003"]

    Calls.clear()
    (summary,) = run("noise", batch_size=1)
    assert Calls.erased == ["s004", "s005"]
    assert (summary.scored, summary.failures) == (6, [])
    record = read_model(RunRecord, folder_of(tmp_path, "noise") / "run.json", "run")
    assert [session.images for session in record.sessions] == [4, 2]
    assert [session.timed_images for session in record.sessions] == [3, 1]


def test_second_time_nothing_is_loaded_run_or_scored(run: Run) -> None:
    first = run("noise", metrics=["difference", "shift"])
    Calls.clear()
    assert run("noise", metrics=["difference", "shift"]) == first
    assert "noise" not in Calls.loaded
    assert (Calls.erased, Calls.scored, Calls.extracted) == ([], 0, 0)


def test_other_metrics_only_score(run: Run) -> None:
    run("noise", metrics=["psnr"])
    Calls.clear()
    (summary,) = run("noise", metrics=["psnr", "difference"])
    assert Calls.erased == []
    assert Calls.scored == 12  # six samples, raw and pasted
    assert {estimate.metric for estimate in summary.estimates} == {"psnr", "difference"}


def test_other_paste_dilation_scores_again(run: Run) -> None:
    (narrow,) = run("noise")
    Calls.clear()
    (wide,) = run("noise", paste_dilation=4)
    assert Calls.erased == []
    assert Calls.scored == 12
    pasted = "difference.outside.pasted"
    assert narrow.estimate(pasted).value == 0
    assert wide.estimate(pasted).value > 0


def test_set_metric_added_later_only_extracts(run: Run) -> None:
    run("noise", "copy", metrics=["difference"])
    Calls.clear()
    run("noise", "copy", metrics=["difference", "shift"])
    assert Calls.scored == 0
    # noise: raw and pasted; copy: one picture, as its pasted output is its raw one; six truths for both.
    assert Calls.extracted == 12 + 6 + 6


def test_changed_prediction_is_scored_again_alone(run: Run, tmp_path: Path) -> None:
    run("noise")
    predictions = folder_of(tmp_path, "noise") / "predictions"
    (predictions / "s002.png").write_bytes((predictions / "s001.png").read_bytes())
    before = scores(tmp_path, "noise")
    Calls.clear()
    run("noise")
    assert Calls.scored == 2
    changed = (scores(tmp_path, "noise")["difference.full.raw"] != before["difference.full.raw"]).tolist()
    assert changed == [False, False, True, False, False, False]


def test_killed_scoring_resumes_from_its_parts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "_SHARD", 2)
    with monkeypatch.context() as patch:
        patch.setattr(rows.Rows, "merge", lambda self, *ids: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("noise")
    assert len(list((folder_of(tmp_path, "noise") / "parts").iterdir())) == 3
    Calls.clear()
    (summary,) = run("noise")
    assert Calls.scored == 0
    assert summary.scored == 6
    assert not (folder_of(tmp_path, "noise") / "parts").exists()


def test_limit_first_then_all_equals_all_at_once(run: Run, tmp_path: Path) -> None:
    (limited,) = run("noise", out=tmp_path / "two", limit=2)
    assert (limited.samples, limited.limit, limited.scored) == (2, 2, 2)
    Calls.clear()
    (two,) = run("noise", out=tmp_path / "two")
    assert Calls.erased == ["s002", "s003", "s004", "s005"]
    assert Calls.scored == 8
    (one,) = run("noise", out=tmp_path / "one")
    assert one.estimates == two.estimates
    assert one.strata == two.strata
    pd.testing.assert_frame_equal(scores(tmp_path / "one", "noise"), scores(tmp_path / "two", "noise"))
    for path in (folder_of(tmp_path / "one", "noise") / "predictions").iterdir():
        twin = folder_of(tmp_path / "two", "noise") / "predictions" / path.name
        assert path.read_bytes() == twin.read_bytes()


def test_smaller_limit_forgets_no_score(run: Run, tmp_path: Path) -> None:
    run("noise")
    Calls.clear()
    (few,) = run("noise", limit=2)
    assert (few.samples, few.limit) == (2, 2)
    assert len(scores(tmp_path, "noise")) == 6
    run("noise")
    assert Calls.scored == 0
    assert len(scores(tmp_path, "noise")) == 6


def test_a_limit_does_not_replace_the_summary_of_more_samples(run: Run, tmp_path: Path) -> None:
    for few in (2, 4):
        run("noise", limit=few)
        assert summary_of(tmp_path).samples == few
    (full,) = run("noise")
    assert run("noise", limit=2)[0].estimate("psnr.mask.raw").n == 2
    assert run("noise", limit=2, metrics=["difference"])[0].samples == 2
    assert summary_of(tmp_path) == full
    assert run("noise", metrics=["difference"])[0] == summary_of(tmp_path) != full
    (folder_of(tmp_path, "noise") / "summary.json").write_text("{")
    assert run("noise", limit=2)[0] == summary_of(tmp_path)  # a broken one is of nothing


def summary_of(root: Path) -> RunSummary:
    return read_model(RunSummary, folder_of(root, "noise") / "summary.json", "summary")


def test_other_metrics_with_a_limit_forget_no_score(run: Run, tmp_path: Path) -> None:
    (full,) = run("noise", metrics=["difference"])
    before = scores(tmp_path, "noise")
    Calls.clear()
    run("noise", metrics=["psnr", "difference"], limit=2)
    assert Calls.scored == 4  # two samples, raw and pasted
    pd.testing.assert_frame_equal(scores(tmp_path, "noise"), before)

    Calls.clear()
    run("noise", metrics=["psnr", "difference"])
    assert Calls.scored == 8  # the other four
    assert "psnr.mask.raw" in scores(tmp_path, "noise")
    run("noise", metrics=["psnr"], limit=2)

    Calls.clear()
    assert run("noise", metrics=["difference"])[0] == full
    assert Calls.scored == 0
    pd.testing.assert_frame_equal(scores(tmp_path, "noise"), before)


def test_full_disk_while_predicting_loses_nothing_and_leaves_no_partial_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    write = Path.write_bytes

    def filling_up(path: Path, data: bytes) -> int:
        nonlocal written
        if path.suffix != ".png":
            return write(path, data)
        written += 1
        if written > 3:
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", filling_up)
        with pytest.raises(OSError, match="No space left"):
            run("noise", batch_size=1)
    predictions = folder_of(tmp_path, "noise") / "predictions"
    assert sorted(path.name for path in predictions.iterdir()) == ["s000.png", "s001.png", "s002.png"]
    Calls.clear()
    (summary,) = run("noise", batch_size=1)
    assert Calls.erased == ["s003", "s004", "s005"]
    assert summary.scored == 6


def test_full_disk_while_scoring_leaves_no_partial_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> str:
        with files.replacing(path) as temporary:
            temporary.write_bytes(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            run("noise")
    folder = folder_of(tmp_path, "noise")
    assert not list(folder.rglob("*.parquet"))
    assert not list(folder.rglob("*.tmp*"))
    assert run("noise")[0].scored == 6


def test_options_given_as_their_defaults_are_the_same_run(run: Run, tmp_path: Path) -> None:
    run("noise")
    Calls.clear()
    run("noise:strength=16")
    assert Calls.erased == []
    run("noise:strength=17")
    assert len(Calls.erased) == 6
    run("noise", seed=1)
    assert len(Calls.erased) == 12
    assert len(list(tmp_path.glob("*/*/noise@*"))) == 3


def test_a_checkpoint_trained_on_is_another_run(run: Run, tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine.pth"
    for content in (b"first", b"second", b"first"):
        checkpoint.write_bytes(content)
        run(f"noise:checkpoint={checkpoint}", out=tmp_path / "runs")
    assert len(Calls.erased) == 12
    folder = tmp_path / "folder"
    for content in (b"first", b"another"):
        folder.mkdir(exist_ok=True)
        (folder / "unet.pth").write_bytes(content)
        run(f"noise:checkpoint={folder}", out=tmp_path / "runs")
    assert len(Calls.erased) == 24


def test_missing_weights_of_the_last_method_are_told_before_the_first_runs(run: Run) -> None:
    with pytest.raises(WeightsMissing, match="mildbench weights fetch lama-big"):
        run("noise", "unweighted")
    assert Calls.erased == []


def test_same_method_twice_is_one_run(run: Run) -> None:
    assert len(run("noise", "noise")) == 1


def test_another_dataset_is_another_folder(run: Run, tmp_path: Path) -> None:
    run("noise")
    run("noise", source=FakeDataset(3))
    assert len(list(tmp_path.iterdir())) == 2


def record_of(root: Path) -> RunRecord:
    return read_model(RunRecord, folder_of(root, "noise") / "run.json", "run")


def test_a_session_is_in_the_record_from_its_start(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = []

    def erase(self: Noise, batch: EraseBatch) -> EraseResult:
        (session,) = record_of(tmp_path).sessions  # what a kill at this moment would leave
        noted.append((session.ended, session.images, session.timed_images))
        return EraseResult(batch.images)

    monkeypatch.setattr(Noise, "erase", erase)
    monkeypatch.setattr(predict, "_NOTE_EVERY", 0)
    run("noise", batch_size=2)
    assert noted == [(False, 0, 0), (False, 0, 2), (False, 2, 2)]
    (session,) = record_of(tmp_path).sessions
    assert (session.ended, session.images, session.timed_images) == (True, 6, 4)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_two_at_once_do_the_work_once_and_lose_nothing(run: Run, tmp_path: Path, batch_size: int) -> None:
    arguments = {"metrics": ["psnr", "difference", "shift"], "batch_size": batch_size}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run("noise", "copy", **arguments), range(2))
    assert first == second
    assert sorted(Calls.erased) == ["s000", "s001", "s002", "s003", "s004", "s005"]
    assert len(scores(tmp_path, "noise")) == 6
    assert [session.images for session in record_of(tmp_path).sessions] == [6]
    assert not list(tmp_path.rglob("*.tmp*"))
    assert not list(tmp_path.rglob("parts"))


def test_two_at_once_with_other_samples_metrics_and_attention_lose_nothing(run: Run, tmp_path: Path) -> None:
    asked = [
        {"metrics": ["psnr"], "limit": 4},
        {"metrics": ["psnr", "difference", "cag"]},
        {"metrics": ["difference"], "limit": 2},
    ]
    with ThreadPoolExecutor(3) as pool:
        summaries = list(pool.map(lambda changes: run("attentive", task="erase-one", **changes), asked))
    assert [summary.scored for (summary,) in summaries] == [4, 12, 2]
    assert len(Calls.erased) == len(set(Calls.erased)) == 12
    alone = run("attentive", task="erase-one", out=tmp_path / "alone", **asked[1])
    assert run("attentive", task="erase-one", **asked[1])[0].estimates == alone[0].estimates


@pytest.mark.slow
def test_two_commands_on_one_run_share_it(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mildbench", "evaluate", "--dataset", str(data), "--method", "telea"]
    command += ["--metric", "psnr", "--metric", "ssim", "--out", str(tmp_path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    told = [process.communicate()[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    folder = folder_of(tmp_path, "telea")
    record = RunRecord.model_validate_json((folder / "run.json").read_bytes())
    assert sum(session.images for session in record.sessions) == len(list((folder / "predictions").iterdir()))
    assert len(scores(tmp_path, "telea")) == record.samples
    assert not (folder / "parts").exists()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = f"""
import pathlib, time
from mildbench.files import locked
with locked(pathlib.Path({str(lock)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = []

        def waiting() -> None:
            told.append("waiting")
            os.kill(holder.pid, signal.SIGKILL)

        with files.locked(lock, waiting=waiting):
            assert told == ["waiting"]


@pytest.mark.parametrize("column", ["psnr.mask.raw", "id"])
def test_scores_of_another_type_are_told(run: Run, tmp_path: Path, column: str) -> None:
    run("noise", metrics=["psnr"])
    path = folder_of(tmp_path, "noise") / "scores.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(column)
    values = pa.array(["many"] * 6) if column != "id" else pa.array(range(6))
    pq.write_table(table.set_column(place, column, values), path)
    with pytest.raises(UserError, match=r"scores .* are broken .*: delete the file to score again"):
        run("noise", metrics=["psnr"])


def test_a_large_run_has_no_large_folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"task": "erase-one", "metrics": ["psnr", "cag"]}
    monkeypatch.setattr(folder, "FLAT", 11)  # of twelve samples
    run("attentive", out=tmp_path / "large", **asked)
    large = folder_of(tmp_path / "large", "attentive")
    for place, count in (("predictions", 12), ("layers", 12)):
        names = [path.name for path in (large / place).iterdir()]
        assert all(len(name) == 2 for name in names)
        assert len(list((large / place).rglob("*.png"))) == count
    monkeypatch.setattr(folder, "FLAT", 12)
    run("attentive", out=tmp_path / "small", **asked)
    pd.testing.assert_frame_equal(
        scores(tmp_path / "large", "attentive"), scores(tmp_path / "small", "attentive")
    )

    # Runs that are there are gone on with as they are.
    Calls.clear()
    run("attentive", out=tmp_path / "large", **asked)
    monkeypatch.setattr(folder, "FLAT", 11)
    run("attentive", out=tmp_path / "small", **asked)
    assert Calls.erased == []
    (folder_of(tmp_path / "small", "attentive") / "predictions" / "s003-p1.png").unlink()
    run("attentive", out=tmp_path / "small", **asked)
    assert Calls.erased == ["s003-p1"]

    # And a folder of pictures may be one of theirs.
    spec = f"precomputed:directory={large / 'predictions'}"
    (summary,) = run(spec, out=tmp_path / "again", task="erase-one", metrics=["psnr"])
    assert summary.scored == 12


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder: give a file to write"):
        files.write_bytes(tmp_path, b"")
