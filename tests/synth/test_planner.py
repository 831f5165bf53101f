"""Plans: each family does what its name says, and the asked-for ratios come out as they were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from mildbench.errors import UserError
from synth.catalogue import PeopleCatalogue
from synth.fit import SizedFigure
from synth.layout import Layout
from synth.looks import Surroundings, look_of_clothes
from synth.material import PersonChoice
from synth.plan import AllRejected, Plan
from synth.planner import Planner
from synth.recipe import Recipe
from synth.recipe_files import check
from synth.render import render
from synth.stage import Candidate, Stage


def with_keys(recipe: Recipe, **changes: object) -> Recipe:
    return check(recipe.model_dump() | changes, "test")


def test_asked_for_visible_ratios_are_reached(recipe: Recipe) -> None:
    planner = Planner(PeopleCatalogue(recipe, 0))
    asked = 0
    for index in range(40):
        plan, _ = planner.plan(index)
        people = render(plan, planner.catalogue)[0].people()
        achieved = dict(zip(people.ids, people.visible_ratio(), strict=True))
        for person, ratio in plan.asked.items():
            assert abs(achieved[person] - ratio) <= recipe.tolerance
        assert min(achieved.values()) >= recipe.min_visible_ratio
        assert plan.difficulty == pytest.approx(1 - min(achieved.values()), abs=0.02)
        asked += len(plan.asked)
    assert asked > 20


def test_the_distribution_of_ratios_is_the_recipes(recipe: Recipe) -> None:
    """Not only the ratios that are easy to reach: the earth mover's distance to the recipe's bands is small."""
    bands = [{"range": (0.3, 0.4), "weight": 1}, {"range": (0.8, 0.9), "weight": 1}]
    planner = Planner(PeopleCatalogue(with_keys(recipe, visible_ratio=bands, crowd={2: 1}, occlude=1), 0))
    asked = [ratio for index in range(120) for ratio in planner.plan(index)[0].asked.values()]
    wanted = np.concatenate([np.linspace(0.3, 0.4, 100), np.linspace(0.8, 0.9, 100)])
    assert len(asked) > 90
    assert wasserstein_distance(asked, wanted) < 0.06


def test_a_plan_survives_json(recipe: Recipe) -> None:
    planner = Planner(PeopleCatalogue(recipe, 0))
    for index in range(8):
        plan, _ = planner.plan(index)
        assert Plan.from_json(plan.to_json()) == plan


def test_people_stand_nearer_from_layer_to_layer(recipe: Recipe) -> None:
    planner = Planner(PeopleCatalogue(recipe, 0))
    for index in range(20):
        scales = [person.scale for person in planner.plan(index)[0].people]
        assert all(near >= 0.9 * far for far, near in pairwise(scales))


def test_camouflage_chooses_places_that_look_like_the_clothes(recipe: Recipe) -> None:
    hidden = Planner(PeopleCatalogue(with_keys(recipe, families={"camouflage": 1}, crowd={1: 1}), 0))
    plain = Planner(PeopleCatalogue(with_keys(recipe, crowd={1: 1}), 0))

    def distance(plan: Plan) -> float:
        catalogue = hidden.catalogue
        view = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
        (person,) = plan.people
        figure = catalogue.figure(
            person.source, person.key, person.scale, person.mirrored, person.finish.shadow > 0
        )
        window, part = Layout(recipe.size).clip(figure.mask, person.origin)
        return Surroundings(view.image).distance(look_of_clothes(figure), part, window)

    chosen, random = [], []
    for index in range(20):
        plan, _ = hidden.plan(index)
        assert plan.family == "camouflage"
        assert plan.difficulty == pytest.approx(1 - distance(plan), abs=1e-6)
        assert plan.distance_percentile is not None
        assert 0 <= plan.distance_percentile <= 1
        chosen.append(distance(plan))
        random.append(distance(plain.plan(index)[0]))
    assert np.mean(chosen) < np.mean(random) - 0.02


def test_distance_is_0_on_ones_own_picture_and_1_with_nothing_in_common() -> None:
    rng = np.random.default_rng(0)
    rgba = np.dstack([rng.integers(0, 90, (40, 30, 3)), np.full((40, 30), 255)]).astype(np.uint8)
    figure = SizedFigure(rgba, np.full((40, 30), 255, np.uint8), np.zeros((17, 3), np.float32), None, (0, 39))
    window = np.s_[0:40, 0:30]
    clothes = look_of_clothes(figure)
    assert Surroundings(rgba[..., :3]).distance(clothes, figure.mask, window) == pytest.approx(0, abs=1e-6)
    white = np.full((40, 30, 3), 255, np.uint8)
    assert Surroundings(white).distance(clothes, figure.mask, window) > 0.9


def test_entanglement_takes_only_people_with_objects(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    entangled = with_keys(recipe, families={"entanglement": 1})
    with pytest.raises(UserError, match="nobody who carries anything"):
        Planner(PeopleCatalogue(entangled, 0))
    catalogue = PeopleCatalogue(recipe, 0)
    catalogue.recipe = entangled
    for split, pool in catalogue.people.items():
        catalogue.people[split] = [
            PersonChoice(choice.source, type(choice.ref)(**{**vars(choice.ref), "carries": number % 2 == 0}))
            for number, choice in enumerate(pool)
        ]
    carriers = {choice.ref.key for pool in catalogue.people.values() for choice in pool if choice.ref.carries}
    for index in range(12):
        plan, _ = Planner(catalogue).plan(index)
        assert {person.key for person in plan.people} <= carriers
        assert (plan.family, plan.difficulty) == ("entanglement", 1)


def test_one_person_is_not_called_occlusion(recipe: Recipe) -> None:
    plan, _ = Planner(PeopleCatalogue(with_keys(recipe, crowd={1: 1}), 0)).plan(0)
    assert plan.family == "single"


def test_a_person_cut_by_the_source_reaches_the_frames_lower_edge(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in "abcdef":
        picture = np.random.default_rng(ord(name)).integers(0, 255, (120, 70, 3), dtype=np.uint8)
        mask = np.zeros((120, 70), np.uint8)
        mask[20:, 15:55] = 255  # down to the last row
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), picture)
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), mask)
    planner = Planner(PeopleCatalogue(with_keys(recipe, people=[f"folder:{tmp_path}"], crowd={1: 1}), 0))
    for index in range(10):
        scene, _, _ = render(planner.plan(index)[0], planner.catalogue)
        assert scene.people().visible[0][-1].any()


@pytest.mark.parametrize("family", ["occlusion", "camouflage"])
def test_a_background_on_which_nobody_fits_ends_no_build(
    family: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = with_keys(recipe, families={family: 1})
    candidates = Stage.candidates
    refused: list[dict[str, Any]] = []

    def nobody(stage: Stage, *args: Any, **kwargs: Any) -> Iterator[Candidate]:
        if not refused:
            refused.append(stage.background)
        return iter(()) if stage.background in refused else candidates(stage, *args, **kwargs)

    monkeypatch.setattr(Stage, "candidates", nobody)
    plan, notes = Planner(PeopleCatalogue(recipe, 0)).plan(0)
    assert plan.people
    assert plan.background not in refused
    assert notes.unmet["a background passed over: none of the people tried fits in"] == 1
    monkeypatch.setattr(Stage, "candidates", lambda stage, *args, **kwargs: iter(()))
    with pytest.raises(AllRejected, match=r"no person of split .* none fits: lower the recipe's size"):
        Planner(PeopleCatalogue(recipe, 0)).plan(0)


def test_too_few_people_for_the_splits_are_told_with_how_many_would_do(recipe: Recipe) -> None:
    splits = {"train": 5, "val": 1, "test": 4}
    people = len(PeopleCatalogue(with_keys(recipe, splits={"all": 1}), 0).people["all"])
    for smallest in range(1, people):
        asked = with_keys(recipe, splits=splits, crowd={smallest: 1})
        if smallest * 10 <= people:
            assert len(PeopleCatalogue(asked, 0).people["val"]) >= smallest
        else:
            with pytest.raises(UserError, match=rf"some {smallest * 10} people in all would do"):
                PeopleCatalogue(asked, 0)
            break
