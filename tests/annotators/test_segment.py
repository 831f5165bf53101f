"""A folder of photos becomes a COCO panoptic folder: what the annotator saw, resumable, whatever fails."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_annotator import FakeAnnotator
from packages import needs
from plug_ins import installed_everywhere
from typer.testing import CliRunner

from mildbench.annotators import ANNOTATORS, AnnotatorSpec, parts
from mildbench.annotators.base import Picture
from mildbench.annotators.batches import Team
from mildbench.annotators.segment import find_photos, segment
from mildbench.cli import commands
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.executors import HERE, Executor, ProcessExecutor
from mildbench.executors.slurm import VARIABLE, SlurmExecutor
from mildbench.images import encode_jpeg, read_rgb, write_png
from synth.sources.panoptic import PanopticImages


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven of different sizes, one of them further down."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(6):
        coarse = rng.integers(0, 256, (34, 32 + number, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(encode_jpeg(coarse.repeat(8, 0).repeat(8, 1), 90))
    write_png(folder / "more" / "0.png", rng.integers(0, 256, (272, 280, 3), dtype=np.uint8))
    (folder / "notes.txt").write_text("no photo")
    return folder


def do(
    photos: Path,
    out: Path,
    text: str = "fake",
    *,
    split: str = "mine",
    batch_size: int = 3,
    executor: Executor = HERE,
) -> dict[str, Any]:
    spec = AnnotatorSpec.parse(text)
    return segment(
        find_photos(photos, out),
        out,
        split,
        spec,
        Team.create(segments=spec),
        licence="CC0-1.0",
        batch_size=batch_size,
        advance=lambda count: None,
        executor=executor,
    )


def contents(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def annotations(out: Path) -> dict[str, Any]:
    return json.loads((out / "annotations" / "panoptic_mine.json").read_text())


def test_our_own_source_reads_what_the_annotator_saw(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    do(photos, out)
    source = PanopticImages(str(out))  # the only split there is
    refs = source.images()
    names = {str(record["id"]): record["file_name"] for record in annotations(out)["images"]}
    assert [names[ref.key] for ref in refs] == [*(f"{k}.jpg" for k in range(6)), "more/0.png"]
    for ref in refs:
        image = read_rgb(photos / names[ref.key])
        picture = source.image(ref.key)
        (seen,) = FakeAnnotator().segments([Picture("a photo", image)])
        np.testing.assert_array_equal(picture.image, image)
        assert {s.category: s.is_thing for s in picture.segments} == {
            "sky-other-merged": False,
            "kite": True,
            "grass-merged": False,
        }
        for found in picture.segments:
            np.testing.assert_array_equal(found.mask, seen.labels == seen.names.index(found.category))
        assert picture.provenance.licence == source.licence == "CC0-1.0"
    assert not source.rejections.counts


def test_the_file_says_who_segmented_and_is_cocos(photos: Path, tmp_path: Path) -> None:
    do(photos, tmp_path / "out")
    content = annotations(tmp_path / "out")
    assert content["info"]["segments"] == {
        "annotator": "fake",
        "options": {},
        "versions": {"numpy": np.__version__},
        "weights": {"fake.bin": "0" * 64},
    }
    assert str(tmp_path) not in json.dumps(content)
    assert [(c["id"], c["name"], c["isthing"]) for c in content["categories"]] == [
        (1, "kite", 1),
        (2, "grass-merged", 0),
        (3, "sky-other-merged", 0),
    ]
    keys = {"id", "category_id", "area", "bbox", "iscrowd"}
    assert all(info.keys() == keys for item in content["annotations"] for info in item["segments_info"])


def test_neither_batch_nor_interruption_changes_a_byte(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", 2)
    do(photos, tmp_path / "whole", batch_size=1)
    FakeAnnotator.asked.clear()
    original = FakeAnnotator.segments

    def interrupted(self: FakeAnnotator, pictures: list) -> list:
        if len(FakeAnnotator.asked) == 2:
            raise KeyboardInterrupt
        return original(self, pictures)

    monkeypatch.setattr(FakeAnnotator, "segments", interrupted)
    with pytest.raises(KeyboardInterrupt):
        do(photos, tmp_path / "out", batch_size=2)
    assert not (tmp_path / "out" / "annotations" / "panoptic_mine.json").exists()
    monkeypatch.setattr(FakeAnnotator, "segments", original)
    with pytest.raises(UserError, match="choose another --split or --out"):
        do(photos, tmp_path / "out", "fake:seed=1")
    done = {name for asked in FakeAnnotator.asked for name in asked}
    FakeAnnotator.asked.clear()
    do(photos, tmp_path / "out", batch_size=2)
    again = [name for asked in FakeAnnotator.asked for name in asked]
    assert len(done) == 4
    assert not done.intersection(again)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not (tmp_path / "out" / ".parts" / "mine").exists()
    FakeAnnotator.asked.clear()
    do(photos, tmp_path / "out")
    assert not FakeAnnotator.asked  # finished: nothing runs


def test_a_photo_that_fails_is_recorded_and_the_others_go_on(photos: Path, tmp_path: Path) -> None:
    (photos / "2.jpg").write_bytes(b"<html>")
    info = do(photos, tmp_path / "out", "fake:broken=4.jpg")
    assert info["failed"] == {
        "2.jpg": "2.jpg cannot be read: broken, too large, or not a picture",
        "4.jpg": "RuntimeError: out of memory",
    }
    assert annotations(tmp_path / "out")["info"]["failed"] == info["failed"]
    assert len(PanopticImages(str(tmp_path / "out")).images()) == 5
    assert not (tmp_path / "out" / "mine" / "2.jpg").exists()


def test_photos_in_their_place_are_not_copied(photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "mine")
    before = {path: path.stat().st_ino for path in (tmp_path / "mine").rglob("*")}
    do(tmp_path / "mine", tmp_path)
    assert {path: path.stat().st_ino for path in (tmp_path / "mine").rglob("*")} == before
    assert len(PanopticImages(str(tmp_path), "mine").images()) == 7


def test_nothing_is_mixed_and_nothing_overwritten(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    do(photos, out)
    refused = r"panoptic_mine.json is, or is to be, of other photos, another annotator"
    with pytest.raises(UserError, match=refused):
        do(photos, out, "fake:seed=1")
    (photos / "5.jpg").unlink()
    with pytest.raises(UserError, match=refused):
        do(photos, out)
    for truth in ('{"info": {"contributor": "COCO Consortium"}}', "[]"):
        (out / "annotations" / "panoptic_mine.json").write_text(truth)
        with pytest.raises(UserError, match=refused):
            do(photos, out)


def test_bad_input_is_named(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="folder of photos not found"):
        find_photos(tmp_path / "nowhere", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no photos"):
        find_photos(tmp_path / "empty", out)
    with pytest.raises(UserError, match="outside of it"):
        find_photos(photos, photos / "out")
    with pytest.raises(UserError, match="cannot be part of a file name"):
        do(photos, out, split="../x")
    write_png(photos / "0.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"0\.jpg and 0\.png would share one segmentation"):
        find_photos(photos, out)


def test_photos_become_scenes_of_moved_objects_on_the_command_line(photos: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    out, data = tmp_path / "out", tmp_path / "data"
    done = runner.invoke(commands(), ["segment", str(photos), "--with", "fake", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "7 of 7 photos segmented" in done.output
    assert "fake (numpy" in done.output
    build = ["build-dataset", "--recipe", "olrd", "--backgrounds", f"coco:{out}", "--count", "3"]
    done = runner.invoke(commands(), [*build, "--out", str(data), "--executor", "serial"])
    assert done.exit_code == 0, done.output
    dataset = Dataset.open(data)
    for row in dataset.rows(["id"]):
        (layer,) = dataset.scene(row["id"]).layers
        assert layer.person.category == "kite"
        assert layer.person.provenance.source == "coco?split=photos"


def test_when_every_photo_fails_the_command_does(photos: Path, tmp_path: Path) -> None:
    for path in photos.rglob("*.*g"):
        path.write_bytes(b"<html>")
    done = CliRunner().invoke(
        commands(), ["segment", str(photos), "--with", "fake", "--out", str(tmp_path / "out")]
    )
    assert isinstance(done.exception, UserError)
    assert "nothing could be segmented: 0.jpg cannot be read" in str(done.exception)


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(ProcessExecutor, id="process"),
        pytest.param(SlurmExecutor, id="slurm", marks=needs("submitit")),
    ],
)
def test_workers_segment_as_this_process_does(
    engine: Callable[[int], Executor], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"cluster=local,folder={tmp_path / 'slurm'}")
    monkeypatch.setattr(parts, "PART", 2)
    monkeypatch.delitem(ANNOTATORS._targets, "fake")
    with installed_everywhere(
        {ANNOTATORS: {"fake": "fake_annotator:FakeAnnotator"}}, tmp_path / "site", monkeypatch
    ):
        do(photos, tmp_path / "alone")
        do(photos, tmp_path / "shared", executor=engine(2))
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_a_worker_with_another_annotator_says_so(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAnnotator, "weights", lambda self: {"fake.bin": "of this machine"})
    monkeypatch.delitem(ANNOTATORS._targets, "fake")
    with (
        installed_everywhere(
            {ANNOTATORS: {"fake": "fake_annotator:FakeAnnotator"}}, tmp_path / "site", monkeypatch
        ),
        pytest.raises(UserError, match="a worker has other versions or weights of the annotators"),
    ):
        do(photos, tmp_path / "out", executor=ProcessExecutor(1))
