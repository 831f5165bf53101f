"""Quality against exact truth: known values, and agreement with pycocotools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pycocotools.cocoeval import Params
from scenes import random_scene

from mildbench.annotators import quality
from mildbench.annotators.quality import SIGMAS, _Tally, oks
from mildbench.annotators.store import Annotation
from mildbench.labels import PARSING, UNLABELLED
from mildbench.scene import People


def crowd(seed: int = 0) -> People:
    """Three people in a row; the second hides half of the first."""
    amodal = np.zeros((3, 60, 90), dtype=bool)
    amodal[0, 10:50, 10:30] = amodal[1, 5:55, 20:40] = amodal[2, 10:50, 60:80] = True
    visible = amodal.copy()
    visible[0] &= ~amodal[1]
    rng = np.random.default_rng(seed)
    keypoints = np.zeros((3, 17, 3), np.float32)
    for k, (left, right) in enumerate(((10, 30), (20, 40), (60, 80))):
        keypoints[k, :, 0] = rng.uniform(left, right, 17)
        keypoints[k, :, 1] = rng.uniform(10, 50, 17)
        keypoints[k, :, 2] = 2
    keypoints[0, keypoints[0, :, 0] > 20, 2] = 1
    parsing = np.zeros((60, 90), np.uint8)
    for k, label in ((0, 5), (1, 9), (2, 13)):
        parsing[visible[k]] = label
    return People((1, 2, 3), visible, amodal, keypoints, parsing, ("person",) * 3)


def as_found(people: People, shift: float = 0.0) -> Annotation:
    keypoints = people.keypoints.copy()
    keypoints[..., 0] += shift
    keypoints[..., 2] = 1
    boxes = np.zeros((len(people.ids), 4), np.float32)
    return Annotation(
        people.ids, boxes, np.ones(len(people.ids), np.float32), None, keypoints, people.parsing, None
    )


def test_the_sigmas_are_cocos() -> None:
    np.testing.assert_allclose(SIGMAS, Params("keypoints").kpt_oks_sigmas)


def test_truth_itself_is_perfect_and_nothing_is_nothing() -> None:
    tally = _Tally()
    for seed in range(3):
        people = crowd(seed)
        tally.pose(seed + 1, people, as_found(people))
        tally.parsing(people, people.parsing)
    scores = tally.scores(None)
    assert (scores.people, scores.found, scores.oks_ap, scores.oks, scores.pck) == (
        9,
        1,
        pytest.approx(1),
        1,
        1,
    )
    assert (scores.miou, scores.region_miou) == (1, 1)
    nothing = _Tally()
    nothing.pose(1, crowd(), None)
    nothing.parsing(crowd(), None)
    scores = nothing.scores(None)
    assert (scores.people, scores.found, scores.oks_ap, scores.oks, scores.pck) == (3, 0, 0, 0, 0)
    assert (scores.miou, scores.region_miou) == (0, 0)


def test_oks_follows_its_formula_and_falls_with_the_distance() -> None:
    people = crowd()
    truth = people.keypoints[2]
    values = [oks(as_found(people, shift).keypoints[2], truth, 800.0) for shift in (0, 1, 3, 10)]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    by_hand = np.mean(np.exp(-9 / (2 * 800 * (2 * SIGMAS) ** 2)))
    assert values[2] == pytest.approx(by_hand)


def test_strata_hold_their_own_people_alone() -> None:
    people = crowd()
    found = as_found(people)
    assert found.keypoints is not None
    found.keypoints[0, :, 0] += 100  # only the hidden one is missed
    tally = _Tally()
    tally.pose(1, people, found)
    tally.parsing(people, people.parsing)
    hidden, open_ = tally.scores(5), tally.scores(9)
    assert (hidden.people, open_.people) == (1, 2)
    assert (hidden.oks_ap, open_.oks_ap) == (0, pytest.approx(1))
    assert (hidden.pck, open_.pck) == (0, 1)
    assert tally.scores(3).oks_ap is None
    assert hidden.pck_hidden == 0
    assert open_.pck_hidden is None


def test_found_people_are_matched_by_their_masks() -> None:
    people = crowd()
    truth = as_found(people)
    order = [2, 0]  # another order, one missed
    assert truth.keypoints is not None
    masks, keypoints = people.visible[order], truth.keypoints[order]
    found = Annotation((1, 2), truth.boxes[:2], np.ones(2, np.float32), masks, keypoints, None, None)
    tally = _Tally()
    tally.pose(1, people, found)
    scores = tally.scores(None)
    assert scores.found == pytest.approx(2 / 3)
    assert scores.oks == pytest.approx(2 / 3)
    assert [person.found for person in tally.persons] == [True, False, True]


def test_unlabelled_truth_does_not_count_and_an_unlabelled_answer_is_wrong() -> None:
    people = crowd()
    people.parsing[:, 60:] = np.where(people.parsing[:, 60:] > 0, UNLABELLED, 0)
    answer = people.parsing.copy()
    answer[:, 60:] = 3  # on unlabelled truth, and on background
    answer[people.visible[1]] = UNLABELLED
    tally = _Tally()
    tally.parsing(people, answer)
    ious = quality._per_class(tally.pixels)
    assert ious["upper-clothes"] == 1
    assert ious["pants"] == 0
    assert ious["glove"] == 0
    assert ious["face"] is None
    assert tally.scores(None).miou == pytest.approx(0.5)


def test_confusion_agrees_with_counting() -> None:
    people = random_scene(3).people()
    rng = np.random.default_rng(0)
    answer = rng.choice([*range(20), UNLABELLED], people.parsing.shape).astype(np.uint8)
    where = rng.random(people.parsing.shape) < 0.7
    where &= people.parsing != UNLABELLED
    counts = quality._confusion(people.parsing, answer, where)
    for truth in range(len(PARSING)):
        for label in range(len(PARSING)):
            assert counts[truth, label] == ((people.parsing == truth) & (answer == label) & where).sum()
    assert counts.sum() == where.sum()


def test_pairs_have_no_truth_to_compare_with(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from mildbench.errors import UserError

    pairs = SimpleNamespace(info=SimpleNamespace(source="pairs"), root=tmp_path)
    with pytest.raises(UserError, match="people are unknown"):
        quality.measure(pairs, None, lambda count: None)
