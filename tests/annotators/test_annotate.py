"""Annotating a data set: beside its truth, resumable, whatever fails."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_annotator import FakeAnnotator
from packages import needs
from plug_ins import installed_everywhere

from mildbench.annotators import ANNOTATORS, AnnotatorSpec, parts, store
from mildbench.annotators.base import Picture
from mildbench.annotators.batches import Team
from mildbench.annotators.overlay import AnnotatedDataset, annotated, described
from mildbench.annotators.panoptic import background_tag
from mildbench.annotators.run import Job, annotate
from mildbench.annotators.store import Annotations, folder_of
from mildbench.dataset import Dataset
from mildbench.dataset.pairfiles import Folder, find_pairs
from mildbench.dataset.pairs import About, import_pairs
from mildbench.dataset.validate import validate
from mildbench.dataset.writers import Format
from mildbench.errors import UserError
from mildbench.evaluation.data import as_batch
from mildbench.evaluation.runner import evaluate
from mildbench.executors import HERE, Executor, ProcessExecutor
from mildbench.executors.slurm import VARIABLE, SlurmExecutor
from mildbench.images import encode_png, read_rgb, write_png
from mildbench.labels import UNLABELLED
from mildbench.method import MethodSpec
from mildbench.results import finished
from mildbench.training.scenes import DatasetScenes


def do(
    root: Path, spec: str = "fake", *, people: str | None = None, batch_size: int = 3, split: str = "test"
) -> Annotations:
    dataset = Dataset.open(root)
    parsed = AnnotatorSpec.parse(spec)
    finder = AnnotatorSpec.parse(people) if people else None
    team = Team.create(people=finder, pose=parsed, parsing=parsed, segments=parsed)
    job = Job("mine", finder, parsed, parsed, parsed, split)
    annotate(dataset, job, team, batch_size=batch_size, advance=lambda count: None)
    return Annotations.open(folder_of(root, "mine"), split, dataset.fingerprint)


def contents(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_annotations_lie_beside_an_untouched_truth(dataset_folder: Path) -> None:
    before = contents(dataset_folder)
    found = do(dataset_folder)
    after = contents(dataset_folder)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("annotations/mine/") for name in after.keys() - before.keys())
    assert not any(map(any, validate(Dataset.open(dataset_folder))))
    record = found.record
    assert record.pose is not None
    assert (record.pose.annotator, record.people, record.failed) == ("fake", "truth", 0)
    assert record.pose.versions["numpy"] == np.__version__
    assert record.pose.weights == {"fake.bin": "0" * 64}
    assert not (found.folder / ".parts" / "test").exists()


def test_everybody_seen_is_annotated(dataset_folder: Path) -> None:
    found = do(dataset_folder)
    dataset = Dataset.open(dataset_folder)
    for name in dataset.task_ids("erase-all", "test"):
        people, annotation = dataset.scene(name).people(), found.of(name)
        assert annotation is not None
        assert annotation.keypoints is not None
        visible = [person for k, person in enumerate(people.ids) if people.visible[k].any()]
        assert list(annotation.ids) == visible
        for person, box, points in zip(annotation.ids, annotation.boxes, annotation.keypoints, strict=True):
            rows, columns = np.nonzero(people.visible[people.ids.index(person)])
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(points[:, :2], np.broadcast_to((box[:2] + box[2:]) / 2, (17, 2)))
        np.testing.assert_array_equal(annotation.parsing == 5, people.visible.any(axis=0))
        (seen,) = FakeAnnotator().segments([Picture(name, dataset.scene(name).composite())])
        assert annotation.segments is not None
        np.testing.assert_array_equal(annotation.segments.labels, seen.labels)
        assert (annotation.segments.names, annotation.segments.things) == (seen.names, seen.things)


def test_training_takes_poses_where_the_truth_knows_none_and_the_backgrounds_tag(
    dataset_folder: Path,
) -> None:
    with pytest.raises(UserError, match="mildbench annotate"):
        DatasetScenes(dataset_folder, 0, "mine").check("test")
    found = do(dataset_folder)
    plain, guided = DatasetScenes(dataset_folder, 0), DatasetScenes(dataset_folder, 0, "mine")
    guided.check("test")
    pose, segments = found.record.pose, found.record.segments
    assert pose is not None
    assert segments is not None
    assert guided.describe() == plain.describe() | {
        "poses": [pose.model_dump(mode="json")],
        "segments": [segments.model_dump(mode="json")],
    }
    for position in range(6):
        before, after = (
            plain.scene("test", position),
            pickle.loads(pickle.dumps(guided)).scene("test", position),
        )
        annotation = found.of(after.id)
        assert annotation is not None
        assert annotation.keypoints is not None
        assert annotation.segments is not None
        everybody = after.footprint(layer.person.id for layer in after.layers)
        assert after.background_tag == background_tag(annotation.segments, everybody)
        assert after.background_tag in {"sky-other-merged", "grass-merged"}
        assert before.background_tag is None
        np.testing.assert_array_equal(after.composite(), before.composite())
        told = dict(zip(annotation.ids, annotation.keypoints, strict=True))
        for old, new in zip(before.layers, after.layers, strict=True):
            assert not old.person.keypoints.any()
            if old.person.id in told:
                on_canvas = new.person.keypoints[:, :2] + np.array(new.origin, np.float32)
                np.testing.assert_allclose(on_canvas, told[old.person.id][:, :2], atol=1e-3)
        # Whoever has a pose keeps it.
        shifted = replace(annotation, keypoints=annotation.keypoints + np.float32([5, 5, 0]))
        again = described(after, shifted)
        for kept, new in zip(again.layers, after.layers, strict=True):
            if new.person.keypoints.any():
                np.testing.assert_array_equal(kept.person.keypoints, new.person.keypoints)


def test_runs_that_annotations_guided_find_their_data_set_again(dataset_folder: Path, tmp_path: Path) -> None:
    do(dataset_folder)
    seen = annotated(Dataset.open(dataset_folder), "mine", "test", replace=True)
    (run,) = evaluate(
        seen,
        "erase-all",
        "test",
        [MethodSpec("telea")],
        out=tmp_path,
        metrics=("psnr",),
        device="cpu",
        limit=1,
    ).runs
    record, _, _ = finished.contents(run.folder)
    dataset, again = finished.reopen(record)
    assert dataset.root == dataset_folder
    assert again.fingerprint == seen.fingerprint != dataset.fingerprint
    (dataset_folder / "annotations/mine/annotator_test.json").unlink()
    with pytest.raises(UserError, match="mildbench annotate makes them"):
        finished.reopen(record)


def test_neither_batch_nor_interruption_changes_a_byte(
    dataset_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parts, "PART", 4)
    do(dataset_folder, batch_size=1)
    whole = contents(dataset_folder / "annotations" / "mine")
    (dataset_folder / "annotations" / "mine").rename(tmp_path / "whole")

    calls = len(FakeAnnotator.asked)
    original = FakeAnnotator.parsing

    def interrupted(self: FakeAnnotator, pictures: list) -> list:
        if len(FakeAnnotator.asked) - calls > 4:  # poses and segments are asked for
            raise KeyboardInterrupt
        return original(self, pictures)

    monkeypatch.setattr(FakeAnnotator, "parsing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        do(dataset_folder, batch_size=2)
    with pytest.raises(UserError, match="no finished annotations"):
        Annotations.open(folder_of(dataset_folder, "mine"), "test", Dataset.open(dataset_folder).fingerprint)
    monkeypatch.setattr(FakeAnnotator, "parsing", original)
    done = {name for asked in FakeAnnotator.asked[calls:] for name in asked[:4]}
    FakeAnnotator.asked.clear()
    do(dataset_folder, batch_size=2)
    again = {name for asked in FakeAnnotator.asked for name in asked}
    assert len(done - again) >= 4  # the first part was not done twice
    assert contents(dataset_folder / "annotations" / "mine") == whole


def test_a_failed_picture_is_recorded_and_the_others_go_on(dataset_folder: Path) -> None:
    name = Dataset.open(dataset_folder).task_ids("erase-all", "test")[1]
    found = do(dataset_folder, f"fake:broken={name}")
    assert found.failures() == {name: "RuntimeError: out of memory"}
    assert found.record.failed == 1
    assert found.of(name) is None
    others = [other for other in Dataset.open(dataset_folder).task_ids("erase-all", "test") if other != name]
    assert all(found.of(other) is not None for other in others)


def test_a_data_set_that_was_changed_is_not_annotated(small_sets: dict, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_sets["folder"], tmp_path / "data"))
    do(root)
    name = Dataset.open(root).task_ids("erase-all", "test")[0]
    path = root / Dataset.open(root).row(name)["composite"]
    for data, told in (
        (encode_png(255 - read_rgb(path)), "was changed after"),
        (b"<html>", "cannot be read"),
    ):
        path.write_bytes(data)
        with pytest.raises(UserError, match=told):
            do(root)


def test_other_weights_do_not_mix_in(dataset_folder: Path) -> None:
    do(dataset_folder)
    with pytest.raises(UserError, match="another annotator, version, weights or options"):
        do(dataset_folder, "fake:seed=1")
    calls = len(FakeAnnotator.asked)
    do(dataset_folder)
    assert len(FakeAnnotator.asked) == calls  # finished: nothing runs


def test_annotations_of_another_data_set_are_refused(dataset_folder: Path) -> None:
    found = do(dataset_folder)
    with pytest.raises(UserError, match="another data set"):
        Annotations.open(found.folder, "test", "0" * 64)


def test_a_damaged_record_or_table_is_named(dataset_folder: Path) -> None:
    found = do(dataset_folder)
    fingerprint = Dataset.open(dataset_folder).fingerprint
    store.samples_of(found.folder, "test").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"samples_test.parquet cannot be read"):
        Annotations.open(found.folder, "test", fingerprint)
    store.record_of(found.folder, "test").write_text('{"schema_version": 1}')
    with pytest.raises(UserError, match=r"annotator_test.json: mildbench_version"):
        Annotations.open(found.folder, "test", fingerprint)


def test_found_people_are_kept_with_their_masks(dataset_folder: Path) -> None:
    found = do(dataset_folder, people="fake")
    for name in Dataset.open(dataset_folder).task_ids("erase-all", "test"):
        annotation = found.of(name)
        assert annotation is not None
        assert annotation.masks is not None
        assert annotation.masks.sum(axis=(1, 2)).tolist() == [300, 800]
        assert annotation.ids == (1, 2)
        np.testing.assert_allclose(annotation.scores, [0.9, 0.6])


def test_annotations_fill_only_what_the_truth_does_not_know(dataset_folder: Path) -> None:
    dataset = Dataset.open(dataset_folder)
    found = do(dataset_folder)
    filled = AnnotatedDataset(dataset, [found])
    assert filled.fingerprint not in (
        dataset.fingerprint,
        AnnotatedDataset(dataset, [found], replace=True).fingerprint,
    )
    for name in filled.task_ids("erase-all", "test"):
        before, after = dataset.triplet("erase-all", name), filled.triplet("erase-all", name)
        assert before.people is not None
        assert after.people is not None
        for same in ("image", "mask", "truth"):
            np.testing.assert_array_equal(getattr(before, same), getattr(after, same))
        np.testing.assert_array_equal(before.people.amodal, after.people.amodal)
        seen = before.people.visible.any(axis=(1, 2))
        assert (after.people.keypoints[seen][..., 2] == 2).all()  # drawn cut-outs know no pose
        unknown = before.people.parsing == UNLABELLED
        assert (after.people.parsing[unknown] == 5).all()
        np.testing.assert_array_equal(after.people.parsing[~unknown], before.people.parsing[~unknown])


@pytest.mark.parametrize("part", ["pose", "parsing", "segments"])
def test_annotations_that_were_mended_by_hand_are_others(dataset_folder: Path, part: str) -> None:
    dataset = Dataset.open(dataset_folder)
    found = do(dataset_folder)
    before = AnnotatedDataset(dataset, [found]).fingerprint
    if part == "pose":
        path = store.samples_of(found.folder, "test")
        rows = pq.read_table(path).to_pylist()
        rows[-1]["persons"][0]["keypoints"][0] += 1.0
        pq.write_table(pa.Table.from_pylist(rows, schema=store.schema_of(found.record)), path)
    else:
        maps = sorted(found.folder.rglob("*.png")) or sorted(found.folder.rglob("*.tar"))
        path = next(path for path in maps if path.suffix == ".tar" or path.parent.name == part)
        data = bytearray(path.read_bytes())
        data[data.index(b"IDAT") + 8] ^= 1
        path.write_bytes(data)
    again = Annotations.open(found.folder, "test", dataset.fingerprint)
    assert AnnotatedDataset(dataset, [again]).fingerprint != before


def test_methods_are_told_what_the_background_around_the_mask_is(dataset_folder: Path) -> None:
    dataset = Dataset.open(dataset_folder)
    name = dataset.task_ids("erase-all", "test")[1]
    filled = AnnotatedDataset(dataset, [do(dataset_folder, f"fake:broken={name}")])
    told = {
        id: as_batch(id, filled.triplet("erase-all", id), 0, with_truth=False).background_tags
        for id in filled.task_ids("erase-all", "test")
    }
    assert told.pop(name) == (None,)  # the annotator failed
    assert set(told.values()) <= {("sky-other-merged",), ("grass-merged",)}
    assert as_batch(name, dataset.triplet("erase-all", name), 0, with_truth=False).background_tags == (None,)


def test_pairs_need_nobody_for_segments(tmp_path: Path) -> None:
    """Pose and parsing are of people, who must be found in them; segments are of the picture."""
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    mask = np.zeros_like(picture)
    mask[28:36, 20:30] = 255
    roles = {"input": picture, "mask": mask, "truth": picture}
    for role, pixels in roles.items():
        write_png(tmp_path / role / "a.png", pixels)
    root = tmp_path / "pairs"
    pairs = find_pairs(*(Folder(role, tmp_path / role) for role in roles))
    import_pairs(pairs, root, About("p", "none", "Pairs."), advance=lambda count: None)
    dataset, spec = Dataset.open(root), AnnotatorSpec("fake")
    team = Team.create(segments=spec)
    annotate(
        dataset,
        Job("s", None, None, None, spec, "test"),
        team,
        batch_size=1,
        advance=lambda count: None,
    )
    found = Annotations.open(folder_of(root, "s"), "test", dataset.fingerprint)
    (name,) = dataset.task_ids("erase-all", "test")
    triplet = AnnotatedDataset(dataset, [found]).triplet("erase-all", name)
    assert triplet.background_tag == "grass-merged"
    assert triplet.people is None
    with pytest.raises(UserError, match="--people NAME"):
        do(root)


def test_what_is_without_segments_reads_and_counts_as_before_there_were_any(dataset_folder: Path) -> None:
    """Runs are found again by their data's fingerprint: annotations of people alone keep theirs."""
    dataset, spec = Dataset.open(dataset_folder), AnnotatorSpec("fake")
    job = Job("mine", None, spec, None, None, "test")
    annotate(dataset, job, Team.create(pose=spec), batch_size=3, advance=lambda count: None)
    folder = folder_of(dataset_folder, "mine")
    found = Annotations.open(folder, "test", dataset.fingerprint)
    on_disk = json.loads(store.record_of(folder, "test").read_text())
    assert found.record.facts() == on_disk
    assert "segments" not in on_disk
    assert "segments" not in pq.read_schema(store.samples_of(folder, "test")).names
    annotation = found.of(dataset.task_ids("erase-all", "test")[0])
    assert annotation is not None
    assert annotation.segments is None


@pytest.mark.slow
@needs("submitit")
def test_workers_annotate_as_this_process_does(
    small_sets: dict[Format, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"cluster=local,folder={tmp_path / 'slurm'}")
    monkeypatch.setattr(parts, "PART", 4)
    monkeypatch.delitem(ANNOTATORS._targets, "fake")
    spec = AnnotatorSpec("fake")
    with installed_everywhere(
        {ANNOTATORS: {"fake": "fake_annotator:FakeAnnotator"}}, tmp_path / "site", monkeypatch
    ):
        runs: list[tuple[Format, Executor]] = [("folder", HERE)]
        runs += [("folder", ProcessExecutor(2)), ("webdataset", SlurmExecutor(2))]
        for format, executor in runs:
            root = Path(shutil.copytree(small_sets[format], tmp_path / f"{format}-{executor.workers}"))
            team = Team.create(pose=spec, parsing=spec, segments=spec)
            told: list[int] = []
            annotate(
                Dataset.open(root),
                Job("mine", None, spec, spec, spec, "test"),
                team,
                batch_size=3,
                advance=told.append,
                executor=executor,
            )
            assert sum(told) == Dataset.open(root).info.samples["test"]
    alone, shared = (contents(tmp_path / f"folder-{workers}" / "annotations") for workers in (1, 2))
    assert shared == alone
    found = {
        format: Annotations.open(
            folder_of(tmp_path / f"{format}-2", "mine"),
            "test",
            Dataset.open(tmp_path / f"{format}-2").fingerprint,
        )
        for format in ("folder", "webdataset")
    }
    for name in Dataset.open(tmp_path / "folder-2").task_ids("erase-all", "test"):
        first, second = (annotations.of(name) for annotations in found.values())
        assert first is not None
        assert second is not None
        np.testing.assert_array_equal(first.keypoints, second.keypoints)
        np.testing.assert_array_equal(first.parsing, second.parsing)
