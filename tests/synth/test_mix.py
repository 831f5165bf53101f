"""Who is in a scene: children are as small as they are in life, groups stand together, far crowds are far."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small import MANNEQUIN_PLACES, MANNEQUINS

from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS
from mildbench.posture import TALLEST_CHILD, childs_metres
from synth.material import ADULT_METRES
from synth.planner import Planner, open_planner
from synth.recipe import Recipe
from synth.recipe_files import check, load_with
from synth.stage import FAR


def standing(metres: float, pixels: float = 300.0, ears: float = 0.16) -> np.ndarray:
    """float64[17, 3]: somebody who faces the camera, with the head of an adult."""
    unit = pixels / metres
    head = 0.23 * unit * 0.6  # from the top to the ears
    body = pixels - 0.23 * unit
    rows = {
        "nose": head,
        "eye": head,
        "ear": head,
        "shoulder": 0.25 * unit,
        "elbow": 0.25 * unit + 0.2 * body,
    }
    rows |= {"wrist": 0.25 * unit + 0.4 * body, "hip": pixels - 0.55 * body, "knee": pixels - 0.28 * body}
    rows["ankle"] = pixels * 0.96
    half = {"nose": 0.0, "eye": 0.03, "ear": ears / 2, "shoulder": 0.13, "hip": 0.09}
    points = np.zeros((17, 3))
    for place, name in enumerate(KEYPOINTS):
        side, _, part = name.rpartition("_")
        aside = half.get(part, 0.1) * unit * {"left": 1, "right": -1}.get(side, 0)
        points[place] = 200 + aside, rows[part], 2
    return points


@pytest.mark.parametrize("metres", [0.9, 1.05, 1.2])
def test_children_are_told_by_head_and_body(metres: float) -> None:
    found = childs_metres(standing(metres))
    assert found is not None
    assert found == pytest.approx(metres, rel=0.1)
    assert childs_metres(standing(metres) * (3, 3, 1)) == pytest.approx(found)


@pytest.mark.parametrize("metres", [1.5, 1.7, 1.95])
def test_adults_are_no_children(metres: float) -> None:
    assert childs_metres(standing(metres)) is None


def test_a_folded_or_turned_body_tells_nothing() -> None:
    turned, hidden, riding = standing(1.0), standing(1.0), standing(1.7)
    turned[4, 2] = 0
    hidden[3, 2] = 1
    riding[[13, 14], 0] += 90  # knees forward
    riding[[11, 12, 13, 14, 15, 16], 1] -= 120
    for points in (turned, hidden, riding, np.zeros((17, 3))):
        assert childs_metres(points) is None


def embedded(**changes: object) -> Recipe:
    small = {
        "size": 128,
        "people": [MANNEQUINS],
        "backgrounds": [MANNEQUIN_PLACES],
        "splits": {"test": 1},
    }
    return load_with("multi-ip", small | changes)


def test_a_child_is_smaller_than_an_adult_who_would_stand_there(recipe: Recipe) -> None:
    planner = Planner(open_planner(recipe, 0).catalogue)
    catalogue = planner.catalogue
    for choices in catalogue.people.values():
        for choice in choices[::2]:
            object.__setattr__(choice.ref, "metres", 1.0)
    children = 0
    for index in range(12):
        plan, notes = planner.plan(index)
        for person, (wanted, achieved) in zip(plan.people, notes.framings, strict=True):
            (ref,) = (c.ref for cs in catalogue.people.values() for c in cs if c.ref.key == person.key)
            assert achieved.height == pytest.approx(wanted.height * ref.metres / ADULT_METRES)
            assert achieved.foot == pytest.approx(planner_row(planner, plan, wanted.height), abs=1e-6)
            children += ref.is_child
    assert children


def planner_row(planner: Planner, plan: object, height: float) -> float:
    """Where an adult stands who is so tall, as a share of the frame."""
    background = plan.background  # type: ignore[attr-defined]
    view = planner.catalogue.view(background["source"], background["key"], background["view"])
    return float(view.row(height * planner.recipe.size) / planner.recipe.size)


def test_a_mix_of_children_has_one_in_every_scene_and_says_where_there_are_none(recipe: Recipe) -> None:
    asked = check(recipe.model_dump() | {"mix": {"children": 1}}, "test")
    with pytest.raises(UserError, match="has no child, which its mix asks for"):
        open_planner(asked, 0)
    planner = open_planner(recipe, 0)
    planner.catalogue.recipe = asked
    keys = set()
    for choices in planner.catalogue.people.values():
        for choice in choices[:2]:
            object.__setattr__(choice.ref, "metres", TALLEST_CHILD)
            keys.add(choice.ref.key)
    for index in range(8):
        plan, _ = Planner(planner.catalogue).plan(index)
        assert keys & {person.key for person in plan.people}


@pytest.mark.slow
def test_far_crowds_are_far_and_groups_stand_together() -> None:
    def planned(mix: str) -> tuple[list[float], list[float]]:
        planner = open_planner(embedded(mix={mix: 1}, crowd={4: 1}, occlude=0), 0)
        heights, spreads = [], []
        for index in range(12):
            _, notes = planner.plan(index)
            framings = [achieved for _, achieved in notes.framings]
            heights += [framing.height for framing in framings]
            spreads.append(float(np.std([framing.centre for framing in framings])))
        return heights, spreads

    far, _ = planned("far")
    anyone, scattered = planned("anyone")
    _, close = planned("group")
    assert max(far) <= FAR + 0.01
    assert np.median(far) < np.median(anyone)
    assert np.mean(close) < np.mean(scattered)


def test_coco_says_how_tall_a_child_is(coco: Path) -> None:
    from synth.sources.coco import CocoPeople

    file = coco / "annotations" / "person_keypoints_train2017.json"
    content = json.loads(file.read_text())
    person = content["annotations"][0]
    points = standing(1.0, 155)
    points[:, 0] += 120 - 200
    points[:, 1] += 52
    person["keypoints"] = [float(value) for value in points.ravel()]
    file.write_text(json.dumps(content))
    (ref,) = CocoPeople(str(coco)).people()
    assert ref.is_child
    assert ref.metres == pytest.approx(1.0, rel=0.1)
