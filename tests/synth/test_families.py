"""A scenario family is one file and one entry point: the plug-in here is installed like anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from plug_ins import installed

from mildbench.dataset.reader import Dataset
from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.family import FAMILIES
from synth.planner import open_planner
from synth.recipe import Recipe
from synth.recipe_files import check, load


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with installed(FAMILIES, "queue", "queue_family:Queue", tmp_path / "site", monkeypatch) as name:
        yield name


def with_families(recipe: Recipe, **families: float) -> Recipe:
    return check(recipe.model_dump() | {"families": families}, "test")


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_family_plans_and_builds_its_scenes(recipe: Recipe, tmp_path: Path) -> None:
    queues = with_families(recipe, queue=1).model_copy(update={"crowd": {3: 1}, "count": 8})
    planner = open_planner(queues, 0)
    longest = 0
    for index in range(8):
        plan, _ = planner.plan(index)
        feet = []
        for person in plan.people:
            shadow = person.finish.shadow > 0
            figure = planner.catalogue.figure(
                person.source, person.key, person.scale, person.mirrored, shadow
            )
            feet.append(person.origin[0] + figure.foot[0])
        assert all(behind < ahead for behind, ahead in pairwise(feet))
        assert not plan.asked
        longest = max(longest, len(feet))
    assert longest == 3
    build(queues, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    samples = Dataset.open(tmp_path / "data").samples
    assert set(samples["family"]) == {"queue"}
    assert (samples["difficulty"] == (samples["people"] / 32).round(6)).all()


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_family_mixes_with_those_that_open_the_same_sources(recipe: Recipe) -> None:
    planner = open_planner(with_families(recipe, queue=1, occlusion=1), 0)
    assert {planner.plan(index)[0].family for index in range(12)} >= {"queue", "occlusion"}
    with pytest.raises(UserError, match="olrd and queue are made of different things and cannot be mixed"):
        with_families(recipe, queue=1, olrd=1)


@pytest.mark.usefixtures("plugin")
def test_an_unknown_family_is_told_from_all_that_are_installed(recipe: Recipe) -> None:
    with pytest.raises(UserError, match="unknown scenario family 'quue': did you mean 'queue'"):
        with_families(recipe, quue=1)


@pytest.mark.parametrize("name", FAMILIES.names())
def test_a_family_is_registered_under_its_own_name(name: str) -> None:
    assert FAMILIES.load(name).name == name


def test_people_are_needed_where_people_are_pasted() -> None:
    with pytest.raises(UserError, match="recipe mine: people: no source given: name at least one"):
        check(load("demo").model_dump() | {"people": []}, "mine")
