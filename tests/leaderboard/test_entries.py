"""Entries hold what the runs hold, and verifying finds every kind of tampering."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke
from finished_runs import evaluated
from leaderboards import DAY, add, entry_of, tamper
from PIL import Image
from plug_ins import installed
from small import small_dataset

from leaderboard import consistency, review, store, verify
from leaderboard.review import Refused, Reviewed
from leaderboard.schema import SCHEMA
from leaderboard.store import StoredEntry
from leaderboard.verify import Checked
from mildbench.annotators import ANNOTATORS
from mildbench.annotators.overlay import annotated
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation.runner import evaluate
from mildbench.images import read_rgb, write_png
from mildbench.method import MethodSpec
from mildbench.results import finished


def command(*arguments: object) -> int:
    """`command("verify", ...)`: the exit code."""
    return invoke("leaderboard", *arguments)


def rerun(stored: StoredEntry, data: Path) -> Checked:
    return verify.rerun(stored, Dataset.open(data), device="cpu", today=DAY)


def rescored(stored: StoredEntry, folder: Path, data: Path) -> Checked:
    return verify.predictions(stored, folder, Dataset.open(data), device="cpu", today=DAY)


def test_entries_that_come_with_mildbench_are_what_they_say(ours: list[Reviewed]) -> None:
    assert not [note for item in ours for note in item.findings.notes if "not checked" in note]
    shown = [item.entry for item in ours]
    found = {(entry.summary.label, entry.summary.task) for entry in shown}
    controls = ("copy", "oracle", "telea", "navier-stokes")
    assert found >= {(name, task) for name in controls for task in ("erase-all", "erase-one", "deocclude")}
    assert {entry.summary.dataset for entry in shown} == {"demo"}
    files = {entry.scores_file for entry in shown}
    assert {path.name for path in store.ENTRIES.glob("*.parquet")} == files
    names = {f"{entry.name}.json" for entry in shown}
    assert {path.name for path in (store.ENTRIES / "verified").glob("*")} <= names


def test_reported_numbers_keep_their_section_and_citation() -> None:
    reported = store.read_reported()
    assert reported
    assert all(paper.arxiv and paper.provenance == "reported" for paper in reported)


def test_the_schema_file_is_that_of_the_model() -> None:
    again = "python -c 'from leaderboard import store; store.write_schema()'"
    assert SCHEMA.read_text() == store.schema_text(), again


def test_an_entry_holds_the_run(entries: Path, runs: dict[str, Path]) -> None:
    for method, folder in runs.items():
        run, stored = finished.read(folder), entry_of(entries, method)
        assert stored.entry.summary.model_copy(update={"strata": run.summary.strata}) == run.summary
        assert stored.rows.to_pandas().equals(run.rows.to_pandas())
        assert consistency.check(stored).differences == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["summary", "estimates", 1, "value"], 99.0),
        (["summary", "estimates", 1, "high"], 99.0),
        (["summary", "estimates", 1, "n"], 1),
        (["summary", "scored"], 1),
        (["summary", "samples"], 1),
        (["summary", "failures"], [{"sample_id": "x", "reason": "y"}]),
        (["summary", "metrics", 0, "id"], "psnr@0"),
        (["summary", "metrics", 0, "higher_is_better"], False),
        (["summary", "label"], "mild"),
        (["summary", "run"], "telea@00000000"),
        (["summary", "task"], "erase-one"),
        (["summary", "split"], "train"),
        (["summary", "limit"], 5),
        (["summary", "seconds_per_image"], -1.0),
        (["summary", "method", "name"], "copy"),
        (["summary", "method", "options"], {"radius": "5"}),
        (["summary", "method", "provenance"], "official"),
        (["summary", "method", "summary"], "better than all others"),
        (["summary", "method", "paper"], "A paper"),
        (["summary", "method", "licence"], "none"),
        (["summary", "method", "capabilities"], ["device"]),
        (["summary", "method", "untrained"], "all of it"),
        (
            ["summary", "sets"],
            [{"metric": "psnr", "variant": "raw", "value": 9.0, "spread": None, "n": 5, "note": None}],
        ),
        (["predictions", "sha256"], "0" * 64),
        (["predictions", "at"], "javascript://x"),
        (["scores", "sha256"], "0" * 64),
        (["scores", "rows"], 1),
    ],
)
def test_a_tampered_entry_is_found(entries: Path, place: list[Any], value: Any) -> None:
    assert isinstance(review.review(tamper(entry_of(entries, "telea"), place, value)), Refused)


def test_the_command_tells_which_entry_was_tampered_with(
    entries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tamper(entry_of(entries, "telea"), ["summary", "scored"], 1)
    assert command("verify", "--entries", entries) == 1
    told = capsys.readouterr()
    assert f"{path.stem}: DIFFERENT" in told.err
    assert "1 of 6 entries are not what they say" in told.err


def test_tampered_scores_are_found(entries: Path) -> None:
    stored = entry_of(entries, "telea")
    attached = entries / stored.entry.scores_file
    data = bytearray(attached.read_bytes())
    data[len(data) // 2] ^= 1
    attached.write_bytes(bytes(data))
    with pytest.raises(UserError, match="is not the file that was added"):
        store.read(stored.path)
    attached.unlink()
    with pytest.raises(UserError, match="are missing"):
        store.read(stored.path)


def test_a_configuration_cannot_be_changed(entries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = entry_of(entries, "telea").path
    path.write_text(path.read_text().replace('"radius": "3.0"', '"radius": "4.0"'))
    assert command("verify", "--entries", entries) == 1
    assert "rename it, or restore it" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["copy", "telea", "oracle", "noise", "attentive"])
def test_running_again_gives_the_entry(entries: Path, data: Path, method: str) -> None:
    done = rerun(entry_of(entries, method), data)
    assert done.findings.differences == []
    assert done.level == "rerun"
    assert done.verification is not None
    assert done.verification.identical == done.verification.pictures > 0


def test_a_part_of_the_samples_is_the_part_that_evaluate_takes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of each scene before a second of any, so not the first ones."""
    run = evaluated(data, tmp_path / "runs", "copy", task="erase-one", limit=3)["copy"]
    ids = finished.read(run).rows.column("id").to_pylist()
    assert ids != Dataset.open(data).task_ids("erase-one", "test")[:3]
    add(run, tmp_path / "entries")
    assert command("verify", "--entries", tmp_path / "entries", "--dataset", data) == 0
    assert "its samples are the data set's 3" in capsys.readouterr().out


def test_running_again_finds_a_method_that_failed_then(entries: Path, data: Path) -> None:
    differences = rerun(entry_of(entries, "noise:strength=90"), data).findings.differences
    assert any("error is None" in text for text in differences)


def test_stored_predictions_give_the_entry(
    entries: Path, data: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    stored = entry_of(entries, "telea")
    for folder in (runs["telea"], runs["telea"] / "predictions"):
        done = rescored(stored, folder, data)
        assert done.findings.differences == []
        assert done.level == "rescored"
    changed = Path(shutil.copytree(runs["telea"] / "predictions", tmp_path / "changed"))
    path = sorted(changed.glob("*.png"))[1]
    image = read_rgb(path)
    image[0, 0] ^= 1
    write_png(path, image)
    differences = rescored(stored, changed, data).findings.differences
    assert any("are not those that were scored" in text for text in differences)
    assert any(text.startswith(f"{path.stem}: raw_sha256") for text in differences)
    path.unlink()
    assert any(
        text.startswith(f"{path.stem}: error")
        for text in rescored(stored, changed, data).findings.differences
    )


def test_predictions_are_what_they_show(
    entries: Path, data: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "again"
    for path in (runs["telea"] / "predictions").glob("*.png"):
        again.mkdir(exist_ok=True)
        Image.open(path).save(again / path.name, compress_level=0)
        assert (again / path.name).read_bytes() != path.read_bytes()
    assert rescored(entry_of(entries, "telea"), again, data).findings.differences == []


def test_what_pictures_cannot_show_is_said(entries: Path, data: Path, runs: dict[str, Path]) -> None:
    done = rescored(entry_of(entries, "attentive"), runs["attentive"], data)
    assert done.findings.differences == []
    assert [note for note in done.findings.notes if note.startswith(("amodal-iou:", "leak:"))]
    assert done.verification is not None
    assert {"amodal-iou", "leak"} <= set(done.verification.left_out)


def test_another_data_set_is_found(
    entries: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = small_dataset(tmp_path / "other", ("test",))
    stored = entry_of(entries, "oracle")
    with pytest.raises(UserError, match="is of another data set"):
        rerun(stored, other)
    arguments = ("verify", stored.entry.name, "--entries", entries, "--dataset", other)
    assert command(*arguments, "--rerun") == 1
    assert "NOT CHECKED" in capsys.readouterr().err
    assert command(*arguments) == 0
    assert "its samples are not checked" in capsys.readouterr().out


def test_an_entry_is_not_replaced_unasked(entries: Path, runs: dict[str, Path]) -> None:
    before = {path.name: path.read_bytes() for path in entries.iterdir()}
    with pytest.raises(UserError, match="is there already"):
        add(runs["copy"], entries, today=datetime.date(2025, 1, 1))
    assert before == {path.name: path.read_bytes() for path in entries.iterdir()}
    assert command("add", runs["copy"], "--entries", entries) == 2
    assert command("add", runs["copy"], "--entries", entries, "--replace") == 0
    assert command("verify", "--entries", entries) == 0


@pytest.mark.parametrize(
    "method",
    [
        "precise:checkpoint={file},dtype=bf16,dual=false",
        "precise:dtype=fp32",
        "precise:dual=yes",
        "precise:cache=scratch/",
        "telea:radius=3",
    ],
)
def test_options_may_be_given_as_one_likes(method: str, data: Path, tmp_path: Path) -> None:
    """As files, of which the contents count; at their defaults; as another text for the same value."""
    (tmp_path / "weights").write_bytes(b"some")
    (run,) = evaluated(data, tmp_path / "runs", method.format(file=tmp_path / "weights")).values()
    assert command("add", run, "--entries", tmp_path / "entries") == 0
    (entry,) = (tmp_path / "entries").glob("*.json")
    (tmp_path / "weights").unlink()
    assert isinstance(review.review(entry), Reviewed)
    content = json.loads(entry.read_text())
    content["summary"]["method"]["options"]["precision"] = "low"  # a label that says more than was run
    content["summary"]["label"] += ",precision=low"
    entry.write_text(json.dumps(content))
    assert isinstance(review.review(entry), Refused)


def test_what_an_entry_knows_by_its_contents_may_lie_anywhere(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, moved, entries = tmp_path / "weights", tmp_path / "moved", tmp_path / "entries"
    weights.write_bytes(b"some")
    (run,) = evaluated(data, tmp_path / "runs", f"precise:checkpoint={weights}").values()
    assert command("add", run, "--entries", entries) == 0
    weights.rename(moved)
    again = ("verify", "--entries", entries, "--dataset", data, "--rerun")
    assert command(*again) == 1
    assert command(*again, "--file", f"checkpoint={moved}") == 0
    assert command(*again, "--file", f"backbone={moved}") == 1
    assert "the entry's method read no such file (checkpoint)" in capsys.readouterr().err
    moved.write_bytes(b"other")
    assert command(*again, "--file", f"checkpoint={moved}") == 1
    assert command(*again, "--metric", "pnsr:colour=true") == 2
    assert "did you mean 'psnr'" in capsys.readouterr().err


def test_the_annotations_that_guided_a_method_are_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    annotated_data = Path(shutil.copytree(data, tmp_path / "data"))
    with installed(ANNOTATORS, "fake", "fake_annotator:FakeAnnotator", tmp_path / "site", monkeypatch):
        for name in ("other", "mine"):
            seed = f"fake:seed={len(name)}"
            assert invoke("annotate", annotated_data, "--pose", seed, "--split", "test", "--name", name) == 0
    dataset = Dataset.open(annotated_data)
    made = evaluate(
        annotated(dataset, "mine", "test", replace=True),
        "erase-one",
        "test",
        [MethodSpec.parse("telea")],
        out=tmp_path / "runs",
        metrics=("psnr",),
        device="cpu",
    )
    assert command("add", made.runs[0].folder.path, "--entries", tmp_path / "entries") == 0
    check = ("verify", "--entries", tmp_path / "entries", "--dataset", annotated_data)
    assert command(*check) == 0
    assert "its samples are the data set's" in capsys.readouterr().out
    assert command(*check, "--rerun") == 0
    shutil.rmtree(annotated_data / "annotations" / "mine")
    assert command(*check, "--rerun") == 1
    assert "it is of another data set" in capsys.readouterr().err


def test_of_several_runs_all_are_added_or_none(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries, twin = tmp_path / "entries", tmp_path / "twin"
    shutil.copytree(runs["copy"], twin)
    assert command("add", runs["oracle"], runs["copy"], twin, "--entries", entries) == 2
    assert "make one entry" in capsys.readouterr().err
    assert not list(entries.glob("*"))
    assert command("add", runs["copy"], "--entries", entries) == 0
    assert command("add", runs["oracle"], runs["copy"], "--entries", entries) == 2
    assert "is there already" in capsys.readouterr().err
    assert len(list(entries.glob("*.json"))) == 1
    assert command("add", runs["oracle"], runs["copy"], "--replace", "--entries", entries) == 0
    assert len(list(entries.glob("*.json"))) == 2


def test_a_run_that_does_not_add_up_is_no_entry(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = evaluated(data, tmp_path / "runs", "copy")["copy"]
    entries = tmp_path / "entries"
    assert command("add", folder, "--entries", entries) == 0
    before = {path.name: path.read_bytes() for path in entries.iterdir()}
    summary = json.loads((folder / "summary.json").read_text())
    summary["estimates"][0]["value"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    assert command("add", folder, "--entries", entries, "--replace") == 2
    assert "does not add up" in capsys.readouterr().err
    assert before == {path.name: path.read_bytes() for path in entries.iterdir()}
    assert command("add", folder, "--entries", tmp_path / "others") == 2
    assert not (tmp_path / "others").exists()


def test_a_replaced_entry_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    entries = tmp_path / "entries"
    for limit in (3, None):
        run = evaluated(data, tmp_path / f"runs-{limit}", "copy", limit=limit)["copy"]
        assert command("add", run, "--entries", entries, "--replace") == 0
        arguments = (
            "verify",
            "--rerun",
            "--record",
            "--entries",
            entries,
            "--dataset",
            data,
            "--device",
            "cpu",
        )
        assert command(*arguments) == 0
    (stored,) = (store.read(path) for path in store.paths(entries))
    files = {path.name for path in entries.iterdir()}
    assert files == {stored.path.name, stored.entry.scores_file, "verified"}
    assert stored.record.is_file()


def test_the_address_of_predictions_is_kept(
    entries: Path, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("add", runs["copy"], "--replace", "--entries", entries, "--predictions-at")
    assert command(*arguments, "https://example.org/copy.tar") == 0
    assert entry_of(entries, "copy").entry.predictions.at == "https://example.org/copy.tar"
    capsys.readouterr()
    assert command(*arguments, "javascript:alert(1)") == 2
    assert "--predictions-at" in capsys.readouterr().err
    assert entry_of(entries, "copy").entry.predictions.at == "https://example.org/copy.tar"


def test_mistakes_are_one_line(entries: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.joinpath("empty").mkdir()
    mistakes: dict[str, list[object]] = {
        "no entry 'tela'": ["verify", "tela", "--entries", entries],
        "no entries in": ["verify", "--entries", tmp_path / "empty"],
        "data set not found": ["verify", "--entries", entries, "--rerun", "--dataset", tmp_path / "nowhere"],
        "--predictions are of one entry": ["verify", "--entries", entries, "--predictions", tmp_path],
        "--record notes what": ["verify", "--entries", entries, "--record"],
        "run not found": ["add", tmp_path / "nowhere", "--entries", entries],
        "entries not found": ["build", "--entries", tmp_path / "nowhere"],
    }
    for told, arguments in mistakes.items():
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1
