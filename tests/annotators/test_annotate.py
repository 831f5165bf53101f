"""Annotating a data set: beside its truth, resumable, whatever fails."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_annotator import FakeAnnotator

from mildbench.annotators import AnnotatorSpec, run, store
from mildbench.annotators.batches import Team
from mildbench.annotators.overlay import AnnotatedDataset, posed
from mildbench.annotators.run import Job, annotate
from mildbench.annotators.store import Annotations, folder_of
from mildbench.dataset import Dataset
from mildbench.dataset.validate import validate
from mildbench.errors import UserError
from mildbench.labels import UNLABELLED
from mildbench.training.scenes import DatasetScenes


def do(
    root: Path, spec: str = "fake", *, people: str | None = None, batch_size: int = 3, split: str = "test"
) -> Annotations:
    dataset = Dataset.open(root)
    parsed = AnnotatorSpec.parse(spec)
    finder = AnnotatorSpec.parse(people) if people else None
    team = Team.create(people=finder, pose=parsed, parsing=parsed)
    job = Job("mine", finder, parsed, parsed, split)
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


def test_training_takes_poses_where_the_truth_knows_none(dataset_folder: Path) -> None:
    with pytest.raises(UserError, match="mildbench annotate"):
        DatasetScenes(dataset_folder, 0, "mine").check("test")
    found = do(dataset_folder)
    plain, guided = DatasetScenes(dataset_folder, 0), DatasetScenes(dataset_folder, 0, "mine")
    guided.check("test")
    assert guided.describe() == plain.describe() | {"annotations": "mine"}
    for position in range(6):
        before, after = (
            plain.scene("test", position),
            pickle.loads(pickle.dumps(guided)).scene("test", position),
        )
        annotation = found.of(after.id)
        assert annotation is not None
        assert annotation.keypoints is not None
        np.testing.assert_array_equal(after.composite(), before.composite())
        told = dict(zip(annotation.ids, annotation.keypoints, strict=True))
        for old, new in zip(before.layers, after.layers, strict=True):
            assert not old.person.keypoints.any()
            if old.person.id in told:
                on_canvas = new.person.keypoints[:, :2] + np.array(new.origin, np.float32)
                np.testing.assert_allclose(on_canvas, told[old.person.id][:, :2], atol=1e-3)
        # Whoever has a pose keeps it.
        shifted = replace(annotation, keypoints=annotation.keypoints + np.float32([5, 5, 0]))
        again = posed(after, shifted)
        for kept, new in zip(again.layers, after.layers, strict=True):
            if new.person.keypoints.any():
                np.testing.assert_array_equal(kept.person.keypoints, new.person.keypoints)


def test_neither_batch_nor_interruption_changes_a_byte(
    dataset_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "PART", 4)
    do(dataset_folder, batch_size=1)
    whole = contents(dataset_folder / "annotations" / "mine")
    (dataset_folder / "annotations" / "mine").rename(tmp_path / "whole")

    calls = len(FakeAnnotator.asked)
    original = FakeAnnotator.parsing

    def interrupted(self: FakeAnnotator, pictures: list) -> list:
        if len(FakeAnnotator.asked) - calls > 2:
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


def test_an_unreadable_picture_is_recorded(small_sets: dict, tmp_path: Path) -> None:
    import shutil

    root = Path(shutil.copytree(small_sets["folder"], tmp_path / "data"))
    name = Dataset.open(root).task_ids("erase-all", "test")[0]
    (root / Dataset.open(root).row(name)["composite"]).write_bytes(b"<html>")
    assert "cannot be read" in do(root).failures()[name]


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
