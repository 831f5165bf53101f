"""Who is to be completed and where, alike for every method that completes people; and how layers are laid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from people import crowd, reordered
from small import MANNEQUIN_PLACES, MANNEQUINS

from baselines.layers import compose
from baselines.mild.pathways import pathways
from baselines.people import hidden_by, hidden_people
from mildbench.dataset import Dataset
from mildbench.evaluation.data import as_batch
from mildbench.executors import SerialExecutor
from mildbench.method import EraseBatch
from synth.build import build
from synth.recipe_files import load_with


def _completed(people: EraseBatch) -> list[int]:
    return [person.index for person in hidden_people(people)]


def test_only_those_whom_an_erased_person_hides_are_completed() -> None:
    assert _completed(crowd(1)) == [0, 1]
    assert _completed(crowd(1, centres=(0.3, 0.9, 0.5))) == [0]
    assert not _completed(replace(crowd(1), targets=((0,),)))  # nobody stands behind them
    mask_elsewhere = np.zeros_like(crowd(1).masks)
    mask_elsewhere[0, 0] = True
    assert not _completed(replace(crowd(1), masks=mask_elsewhere))
    assert not _completed(replace(crowd(1), instances=None, targets=None))
    # Whoever stands in front of the erased person is not hidden by them.
    assert _completed(reordered(crowd(1), (0, 2, 1))) == [0]


def test_who_is_not_seen_beside_the_mask_is_not_made_up() -> None:
    people = crowd(1)
    assert people.instances is not None
    assert _completed(replace(people, masks=people.masks | people.instances[0][0])) == [1]


def test_people_are_hidden_by_those_in_front_only() -> None:
    people = crowd(1)
    assert people.instances is not None
    for person in hidden_people(people):
        assert person.observability.any()
        assert not (person.observability & ~people.instances[0][2]).any()


def test_people_are_hidden_by_those_in_front_who_touch_them_and_through_them_by_others() -> None:
    chain = np.eye(4, dtype=bool)
    for one, other in ((0, 1), (1, 3), (2, 0)):
        chain[one, other] = chain[other, one] = True
    assert [hidden_by(chain, person) for person in range(4)] == [[1, 2, 3], [3], [], []]
    # 2 touches 1 and is behind it: it says nothing of what hides 0.
    behind = np.eye(3, dtype=bool)
    behind[0, 2] = behind[2, 0] = behind[1, 2] = behind[2, 1] = True
    assert hidden_by(behind, 0) == [2]


def test_a_shadow_on_somebody_further_off_is_taken_off_them() -> None:
    apart = crowd(1, centres=(0.3, 0.9, 0.5))
    assert apart.instances is not None
    shadow = apart.instances[0][1] & (np.arange(64)[:, None] > 50)
    assert shadow.any()
    cast = replace(apart, masks=apart.masks | shadow)
    assert _completed(cast) == [0, 1]
    far = hidden_people(cast)[1]
    assert not far.observability.any()
    assert np.array_equal(far.visible & ~far.seen, shadow)


def test_mild_makes_what_is_hidden_and_what_the_mask_lies_on() -> None:
    people = crowd(1)
    instances = pathways(people)[1:]
    for pathway, person in zip(instances, hidden_people(people), strict=True):
        assert pathway.layer == person.index
        assert np.array_equal(pathway.hole, person.observability | (person.visible & people.masks[0]))
        assert np.array_equal(pathway.visible, person.seen)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eight scenes of mannequins, which have bodies that can be hidden in part, of few sources."""
    changes = {
        "count": 8,
        "size": 128,
        "people": [MANNEQUINS],
        "backgrounds": [MANNEQUIN_PLACES],
    }
    folder = tmp_path_factory.mktemp("hidden") / "data"
    build(load_with("demo", changes), 0, folder, SerialExecutor(1), lambda count: None)
    return Dataset.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize("posed", [True, False])
def test_no_hidden_pixel_is_beyond_the_reach(dataset: Dataset, posed: bool) -> None:
    hidden = reached = 0
    for name in dataset.task_ids("erase-one", "test"):
        triplet = dataset.triplet("erase-one", name)
        assert triplet.people is not None
        shown = as_batch(name, triplet, 0, with_truth=False)
        for person in hidden_people(shown if posed else replace(shown, keypoints=None)):
            truth = triplet.people.amodal[person.index] & ~person.visible
            hidden += np.count_nonzero(truth)
            reached += np.count_nonzero(truth & person.observability)
    assert hidden > 500
    assert reached >= 0.995 * hidden


def test_survivors_are_laid_over_the_background_by_depth_inside_the_mask_only() -> None:
    image, background = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 50, np.uint8)
    mask = np.zeros((4, 4), bool)
    mask[1:] = True
    layers = {}
    for place, (rows, grey) in enumerate([(slice(0, 3), 100), (slice(2, 3), 200)]):
        layers[place] = np.zeros((4, 4, 4), np.uint8)
        layers[place][rows] = (grey, grey, grey, 255)
    found = compose(image, mask, background, dict(reversed(layers.items())))
    assert found[:, 0, 0].tolist() == [0, 100, 200, 50]
