"""Entries hold what the runs hold, and verifying finds every kind of tampering."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import invoke
from finished_runs import evaluated

from leaderboard import store, verify
from leaderboard.schema import SCHEMA
from leaderboard.store import Stored
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation import finished
from mildbench.files import file_sha256
from mildbench.images import read_rgb, write_png


def entry_of(folder: Path, method: str) -> Stored:
    """The entry of a method, told by its label."""
    (found,) = [stored for stored in store.read_all(folder) if stored.entry.summary.label == method]
    return found


def change(stored: Stored, place: list[Any], value: Any) -> Stored:
    """Write `value` at a place in the entry's JSON, and read it again."""
    content = json.loads(stored.path.read_text())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    stored.path.write_text(json.dumps(content))
    return store.read(stored.path)


def change_scores(stored: Stored, column: str, row: int, value: float) -> Stored:
    """Change a score and everything that follows from it in the entry: only the pictures can tell."""
    table = pq.read_table(stored.attachment)
    values = table.column(column).to_numpy().copy()
    assert values[row] != value
    values[row] = value
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    pq.write_table(table, stored.attachment)
    stored = change(stored, ["scores", "sha256"], file_sha256(stored.attachment))
    scores = stored.scores()
    panel = finished.panel_of(stored.entry.summary.metrics, "test")
    for place, estimate in enumerate(stored.entry.summary.estimates):
        if estimate.column == column:
            again = verify.estimate(panel, scores, column, scores.scored)
            stored = change(stored, ["summary", "estimates", place], again.model_dump())
    return stored


def command(*arguments: object) -> int:
    """`command("verify", ...)`: the exit code."""
    return invoke("leaderboard", *arguments)


def test_entries_that_come_with_mildbench_are_what_they_say() -> None:
    every = store.read_all()
    found = {(stored.entry.summary.label, stored.entry.summary.task) for stored in every}
    controls = ("copy", "oracle", "telea", "navier-stokes")
    assert found >= {(name, task) for name in controls for task in ("erase-all", "erase-one", "deocclude")}
    assert {stored.entry.summary.dataset for stored in every} == {"demo"}
    for stored in every:
        assert verify.aggregates(stored).differences == []
    attached = {stored.attachment.name for stored in every}
    assert {path.name for path in store.ENTRIES.glob("*.parquet")} == attached


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
        assert stored.rows().to_pandas().equals(run.rows.to_pandas())
        assert verify.aggregates(stored).differences == []


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
        (["scores", "sha256"], "0" * 64),
        (["scores", "rows"], 1),
    ],
)
def test_a_tampered_entry_is_found(
    entries: Path, place: list[Any], value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = change(entry_of(entries, "telea"), place, value)
    assert verify.aggregates(stored).differences
    assert command("verify", "--entries", entries) == 1
    told = capsys.readouterr()
    assert f"{stored.entry.name}: DIFFERENT" in told.err
    assert "1 of 6 entries are not what they say" in told.err


def test_tampered_scores_are_found(entries: Path) -> None:
    stored = entry_of(entries, "telea")
    data = bytearray(stored.attachment.read_bytes())
    data[len(data) // 2] ^= 1
    stored.attachment.write_bytes(bytes(data))
    assert "is not the file that was added" in verify.aggregates(stored).differences[0]
    stored.attachment.unlink()
    assert "are missing" in verify.aggregates(stored).differences[0]


def test_a_configuration_cannot_be_changed(entries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = entry_of(entries, "telea").path
    path.write_text(path.read_text().replace('"radius": "3.0"', '"radius": "4.0"'))
    assert command("verify", "--entries", entries) == 1
    assert "rename it, or restore it" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["copy", "telea", "oracle", "noise", "attentive"])
def test_running_again_gives_the_entry(entries: Path, data: Path, method: str) -> None:
    report = verify.rerun(entry_of(entries, method), Dataset.open(data))
    assert report.differences == []
    assert report.checked


def test_running_again_finds_a_method_that_failed_then(entries: Path, data: Path) -> None:
    differences = verify.rerun(entry_of(entries, "noise:strength=90"), Dataset.open(data)).differences
    assert any("error is None" in text for text in differences)


def test_running_again_finds_what_the_aggregates_cannot(
    entries: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = change_scores(entry_of(entries, "telea"), "psnr.mask.pasted", 2, 40.0)
    assert verify.aggregates(stored).differences == []
    found = verify.rerun(stored, Dataset.open(data)).differences
    assert [text for text in found if "psnr.mask.pasted" in text and "the entry says 40" in text]
    arguments = ("verify", stored.entry.name, "--entries", entries, "--device", "cpu", "--dataset", data)
    assert command(*arguments, "--rerun") == 1
    assert "DIFFERENT" in capsys.readouterr().err


def test_stored_predictions_give_the_entry(
    entries: Path, data: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    stored = entry_of(entries, "telea")
    for folder in (runs["telea"], runs["telea"] / "predictions"):
        assert verify.predictions(stored, folder, Dataset.open(data)).differences == []
    changed = Path(shutil.copytree(runs["telea"] / "predictions", tmp_path / "changed"))
    path = sorted(changed.glob("*.png"))[1]
    image = read_rgb(path)
    image[0, 0] ^= 1
    write_png(path, image)
    differences = verify.predictions(stored, changed, Dataset.open(data)).differences
    assert any(text.startswith(f"{path.stem}: raw_sha256") for text in differences)
    path.unlink()
    assert any(
        text.startswith(f"{path.stem}: error")
        for text in verify.predictions(stored, changed, Dataset.open(data)).differences
    )


def test_what_pictures_cannot_show_is_said(entries: Path, data: Path, runs: dict[str, Path]) -> None:
    report = verify.predictions(entry_of(entries, "attentive"), runs["attentive"], Dataset.open(data))
    assert report.differences == []
    assert [note for note in report.notes if note.startswith(("amodal-iou:", "leak:"))]


def test_another_data_set_is_found(entries: Path, tmp_path: Path, data: Path) -> None:
    other = Path(shutil.copytree(data, tmp_path / "other"))
    pictures = [path for path in other.rglob("*.png") if "background" in str(path)]
    assert pictures
    for path in pictures:
        write_png(path, np.maximum(read_rgb(path), 3))
    report = verify.rerun(entry_of(entries, "oracle"), Dataset.open(other))
    assert any("truth_sha256" in text for text in report.differences)


def test_an_entry_is_not_replaced_unasked(entries: Path, runs: dict[str, Path]) -> None:
    before = {path.name: path.read_bytes() for path in entries.iterdir()}
    with pytest.raises(UserError, match="is there already"):
        store.add(finished.read(runs["copy"]), entries, today=datetime.date(2025, 1, 1))
    assert before == {path.name: path.read_bytes() for path in entries.iterdir()}
    assert command("add", runs["copy"], "--entries", entries) == 2
    assert command("add", runs["copy"], "--entries", entries, "--replace") == 0
    assert command("verify", "--entries", entries) == 0


def test_a_run_that_does_not_add_up_is_no_entry(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = evaluated(data, tmp_path / "runs", "copy")["copy"]
    summary = json.loads((folder / "summary.json").read_text())
    summary["estimates"][0]["value"] += 1
    (folder / "summary.json").write_text(json.dumps(summary))
    assert command("add", folder, "--entries", tmp_path / "entries") == 2
    assert "does not add up" in capsys.readouterr().err
    assert list((tmp_path / "entries").iterdir()) == []


@pytest.mark.parametrize("name", ["../x.parquet", "/etc/x.parquet", "x.json"])
def test_an_attachment_stays_in_its_folder(entries: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"scores\.file"):
        change(entry_of(entries, "telea"), ["scores", "file"], name)


def test_mistakes_are_one_line(entries: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.joinpath("empty").mkdir()
    mistakes: dict[str, list[object]] = {
        "no entry 'tela'": ["verify", "tela", "--entries", entries],
        "no entries in": ["verify", "--entries", tmp_path / "empty"],
        "data set not found": ["verify", "--entries", entries, "--rerun", "--dataset", tmp_path / "nowhere"],
        "--predictions are of one entry": ["verify", "--entries", entries, "--predictions", tmp_path],
        "run not found": ["add", tmp_path / "nowhere", "--entries", entries],
        "entries not found": ["build", "--entries", tmp_path / "nowhere"],
    }
    for told, arguments in mistakes.items():
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1
