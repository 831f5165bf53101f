"""Pose after completion: known values, agreement with pycocotools, and the controls in their order."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation_fakes import scores
from fake_annotator import FakeAnnotator
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mildbench.annotators.base import ANNOTATORS, AnnotatorInfo, Picture
from mildbench.annotators.overlay import AnnotatedDataset
from mildbench.annotators.quality import SIGMAS
from mildbench.annotators.store import Annotation
from mildbench.evaluation.runner import evaluate
from mildbench.files import fingerprint
from mildbench.labels import KEYPOINTS
from mildbench.marking import FOOTPRINT
from mildbench.method import MethodSpec
from mildbench.metrics.base import Pairs, Subject
from mildbench.metrics.pose import PoseOks
from mildbench.results.summary import RunSummary
from mildbench.scene import Layer, Person, Provenance, Scene, Triplet

HEIGHT, WIDTH = 60, 90


class Given(FakeAnnotator):
    """Finds the poses that it was given, one a picture in the order of the metric's subjects."""

    def __init__(self, poses: np.ndarray) -> None:
        super().__init__()
        self.poses = poses
        self.boxes: list[np.ndarray] = []

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        self.boxes += [picture.boxes for picture in pictures]
        return [self.poses[int(picture.id)][None] for picture in pictures]


def subject(seed: int) -> Subject:
    """A ragged person with keypoints inside their box, some of them unknown."""
    rng = np.random.default_rng(seed)
    amodal = np.zeros((HEIGHT, WIDTH), bool)
    amodal[5:55, 20:60] = rng.random((50, 40)) < 0.8
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:, 0], keypoints[:, 1] = rng.uniform(20, 59, 17), rng.uniform(5, 54, 17)
    keypoints[:, 2] = rng.integers(0, 3, 17)
    keypoints[0, 2] = 2
    keypoints[keypoints[:, 2] == 0] = 0
    return Subject(keypoints, amodal)


def scored(people: Sequence[Subject], poses: np.ndarray) -> dict[str, np.ndarray]:
    """What the metric says when the annotator finds these poses; the right half was hidden."""
    images = torch.zeros((len(people), HEIGHT, WIDTH, 3), dtype=torch.uint8)
    everything = torch.ones((len(people), HEIGHT, WIDTH), dtype=torch.bool)
    hidden = everything.clone()
    hidden[:, :, :40] = False
    metric = PoseOks()
    metric._annotator = Given(poses)
    return metric.score(
        Pairs(images, images, {"full": everything, "mask": hidden, "overlap": hidden}, tuple(people))
    )


def reference(pose: np.ndarray, truth: np.ndarray, area: int) -> float:
    """COCOeval's OKS of one person."""
    common = {"image_id": 1, "category_id": 1}
    box = {"bbox": [0, 0, WIDTH, HEIGHT], "area": area, "iscrowd": 0, "id": 1}
    labelled = {"keypoints": truth.ravel().tolist(), "num_keypoints": int((truth[:, 2] > 0).sum())}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": 1}],
            "annotations": [common | box | labelled],
            "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
        }
        coco.createIndex()
        results = coco.loadRes([common | {"keypoints": pose.ravel().tolist(), "score": 1.0}])
        evaluation = COCOeval(coco, results, "keypoints")
        evaluation._prepare()
    return float(evaluation.computeOks(1, 1)[0, 0])


def test_the_truth_scores_one() -> None:
    people = [subject(seed) for seed in range(4)]
    found = scored(people, np.stack([one.keypoints for one in people]))
    assert found.keys() == {"full", "overlap"}
    np.testing.assert_array_equal(found["full"], 1)
    np.testing.assert_array_equal(found["overlap"], 1)


def test_a_shift_costs_what_the_formula_says() -> None:
    one = subject(3)
    found = scored([one], (one.keypoints + np.float32([3, 4, 0]))[None])
    known = one.keypoints[:, 2] > 0
    hidden = known & (np.rint(one.keypoints[:, 0]) >= 40)
    each = np.exp(-25 / (2 * one.amodal.sum() * (2 * SIGMAS) ** 2))
    assert found["full"][0] == pytest.approx(each[known].mean(), abs=1e-6)
    assert found["overlap"][0] == pytest.approx(each[hidden].mean(), abs=1e-6)
    assert 0 < hidden.sum() < known.sum()


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_pycocotools(seed: int) -> None:
    one = subject(seed)
    rng = np.random.default_rng(seed + 100)
    pose = one.keypoints.copy()
    pose[:, :2] += rng.normal(0, 6, (17, 2)).astype(np.float32)
    pose[:, 2] = rng.random(17)
    found = scored([one], pose[None])
    area = int(one.amodal.sum())
    assert found["full"][0] == pytest.approx(reference(pose, one.keypoints, area), abs=1e-12)
    hidden = np.where(np.rint(one.keypoints[:, :1]) >= 40, one.keypoints, 0)
    assert found["overlap"][0] == pytest.approx(reference(pose, hidden, area), abs=1e-12)


def test_the_annotator_is_shown_the_whole_persons_box_and_nobody_without_keypoints() -> None:
    known, unknown = subject(1), replace(subject(2), keypoints=np.zeros((17, 3), np.float32))
    seen_only = subject(5)
    seen_only.keypoints[np.rint(seen_only.keypoints[:, 0]) >= 40] = 0
    annotator = Given(np.zeros((3, 17, 3), np.float32))
    metric = PoseOks()
    metric._annotator = annotator
    images = torch.zeros((3, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    hidden = torch.zeros((3, HEIGHT, WIDTH), dtype=torch.bool)
    hidden[:, :, 40:] = True
    regions = {"full": torch.ones_like(hidden), "overlap": hidden}
    found = metric.score(Pairs(images, images, regions, (unknown, known, seen_only)))
    assert np.isnan(found["full"]).tolist() == [True, False, False]
    assert np.isnan(found["overlap"]).tolist() == [True, False, True]
    assert [boxes.tolist() for boxes in annotator.boxes] == [[[20, 5, 60, 55]]] * 2


def test_subjects_that_do_not_fit_are_refused() -> None:
    images = torch.zeros((2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    with pytest.raises(ValueError, match="1 subjects for 2 outputs"):
        Pairs(images, images, {}, (subject(0),))


class Seer(FakeAnnotator):
    """Finds the joints whose colour it sees in a box, and guesses the box's centre for all others."""

    info = AnnotatorInfo("seer", "for tests", frozenset(("pose",)), ("numpy",))

    def pose(self, pictures: Sequence[Picture]) -> list[np.ndarray]:
        poses = super().pose(pictures)
        for picture, (pose,) in zip(pictures, poses, strict=True):
            for joint in range(17):
                rows, columns = np.nonzero((picture.image == (100 + joint, 0, 0)).all(axis=2))
                if len(rows):
                    pose[joint, :2] = columns[0], rows[0]
        return poses


class Painted:
    """Scenes of a person whose joints have colours of their own, behind another; the last has no keypoints."""

    name = "painted"

    def __init__(self, count: int) -> None:
        self.fingerprint = fingerprint(["painted", count])
        self.scenes = {f"s{k}": _painted(f"s{k}", k, known=k < count - 1) for k in range(count)}

    def task_ids(self, task: str, split: str) -> list[str]:
        return list(self.scenes)

    def check_unchanged(self, task: str, ids: Collection[str], /) -> None:
        """It is in memory."""

    def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
        triplet = self.scenes[id].erase([2], completing=1 if task == "deocclude" else None)
        return replace(triplet, meta={"scene": id, "split": "test", "people": 2})


def _painted(name: str, seed: int, *, known: bool) -> Scene:
    rng = np.random.default_rng(seed)
    rgba = np.full((40, 30, 4), 255, np.uint8)
    rgba[..., :3] = 50
    keypoints = np.zeros((17, 3), np.float32)
    for joint, place in enumerate(rng.choice(40 * 30, 17, replace=False)):
        row, column = divmod(int(place), 30)
        rgba[row, column, :3] = 100 + joint, 0, 0
        keypoints[joint] = column, row, 2
    if not known:
        keypoints[:] = 0
    provenance = Provenance("painted", name, "0" * 64, "CC0-1.0")
    whole, front = np.full((40, 30), 255, np.uint8), np.full((50, 20, 4), 200, np.uint8)
    front[..., 3] = 255
    hiding = Person(2, np.zeros((17, 3), np.float32), np.full((50, 20), 255, np.uint8), provenance)
    layers = (Layer(rgba, (20, 10), Person(1, keypoints, whole, provenance)), Layer(front, (35, 5), hiding))
    return Scene(name, np.zeros((HEIGHT, WIDTH, 3), np.uint8), layers)


def run(out: Path, batch_size: int, task: str = "deocclude") -> list[RunSummary]:
    return evaluate(
        Painted(5),
        task,
        "test",
        [MethodSpec("copy"), MethodSpec("oracle")],
        out=out,
        metrics=["pose-oks:annotator=seer"],
        device="cpu",
        batch_size=batch_size,
    ).summaries


@pytest.fixture
def _seer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ANNOTATORS, "load", {"seer": Seer}.__getitem__)


@pytest.mark.usefixtures("_seer")
def test_an_annotator_that_sees_what_is_visible_is_better_after_completion(tmp_path: Path) -> None:
    copy, oracle = run(tmp_path / "three", 3)
    for column in ("pose-oks.full.raw", "pose-oks.full.pasted", "pose-oks.overlap.raw"):
        before, after = copy.estimate(column), oracle.estimate(column)
        assert after.value == 1
        assert before.value < 0.8
        assert (before.n, before.undefined) == (after.n, after.undefined) == (4, 1)
    # What was seen was found before, too: all that is lost is lost behind the other.
    rows = scores(tmp_path / "three", "copy").dropna(subset="pose-oks.full.raw")
    for _, row in rows.iterrows():
        hidden = Painted(5).scenes[row["id"]].people().keypoints[0, :, 2] == 1
        share = hidden.mean()
        expected = 1 - share + share * row["pose-oks.overlap.raw"]
        assert row["pose-oks.full.raw"] == pytest.approx(expected, abs=1e-12)

    run(tmp_path / "one", 1)
    for method in ("copy", "oracle"):
        pd.testing.assert_frame_equal(scores(tmp_path / "one", method), scores(tmp_path / "three", method))


@pytest.mark.usefixtures("_seer")
def test_a_task_that_asks_for_nobody_in_particular_has_no_score(tmp_path: Path) -> None:
    for summary in run(tmp_path, 3, task="erase-one"):
        for region in PoseOks.info.regions:
            estimate = summary.estimate(f"pose-oks.{region}.raw")
            assert (estimate.value, estimate.n, estimate.undefined) == (None, 0, 5)


def test_what_annotators_tell_the_methods_never_becomes_the_truth() -> None:
    pose = np.full((2, 17, 3), 30, np.float32)
    found = Annotation((1, 2), np.zeros((2, 4), np.float32), np.ones(2, np.float32), None, pose, None, None)
    annotations = SimpleNamespace(record=SimpleNamespace(split="test"), of=lambda scene: found)
    source = Painted(2)
    told = AnnotatedDataset(source, [annotations], replace=True).triplet("deocclude", "s0")
    assert (told.people.keypoints[..., :2] == 30).all()
    np.testing.assert_array_equal(told.subject_keypoints, source.scenes["s0"].people().keypoints[0])
