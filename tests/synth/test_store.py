"""What workers share: the same bytes whoever made them, made once, and made anew where a file is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small import MANNEQUIN_PLACES

from mildbench.dataset import Dataset
from mildbench.executors import ProcessExecutor, SerialExecutor
from synth.build import build
from synth.catalogue import PeopleCatalogue
from synth.material import Background, Cutout, Known, Rejected, SeenObject, Sunlight
from synth.recipe import Recipe
from synth.recipe_files import check, load_with
from synth.sources import mannequin
from synth.sources.mannequin import MannequinBackgrounds, MannequinPeople
from synth.store import Store
from synth.survey import Survey

SMALL = {
    "size": 128,
    "count": 3,
    "people": ["mannequin:?count=4&carrying=0.5"],
    "backgrounds": [MANNEQUIN_PLACES],
    "splits": {"test": 1.0},
}


def same(one: Any, other: Any) -> bool:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or not np.array_equal(a, b):
                return False
        elif a != b:
            return False
    return True


def never() -> Any:
    raise AssertionError("made twice")


def background() -> Background:
    found = MannequinBackgrounds("", count=1, seed=23, side=128).background("0")
    return Background(
        found.image, found.provenance, 0.5, None, 0.9, found.ground, Known.EXACT, True, Sunlight(0.1, 1.5, 0.3),
        (SeenObject("car", (1.0, 2.0, 3.0, 4.5)),), found.image[..., 0],
    )  # fmt: skip


@pytest.mark.parametrize("make", [lambda: MannequinPeople("", 2, carrying=1).cutout("1"), background])
def test_what_is_kept_comes_back_as_it_was(make: Callable[[], Cutout | Background], tmp_path: Path) -> None:
    store, value = Store(tmp_path / "shared"), make()
    kind: Any = type(value)
    assert store.get(kind, "source", "key", lambda: value) is value
    assert same(store.get(kind, "source", "key", never), value)
    with pytest.raises(AssertionError, match="made twice"):
        store.get(kind, "source", "other key", never)
    (file,) = (tmp_path / "shared").iterdir()
    for damaged in (b"", file.read_bytes()[:-40], b"no archive"):
        file.write_bytes(damaged)
        assert same(store.get(kind, "source", "key", lambda: value), value)
    assert same(store.get(kind, "source", "key", never), value)


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Cutout:
        raise Rejected("broken", "it")

    for _ in range(2):
        with pytest.raises(Rejected):
            Store(tmp_path / "shared").get(Cutout, "source", "key", broken)
    assert not (tmp_path / "shared").exists()


def test_nobody_draws_what_another_worker_has_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, store = load_with("multi-ip", SMALL), Store(tmp_path / "shared")

    def pixels() -> list[np.ndarray]:
        catalogue = PeopleCatalogue(recipe, 0, Survey(), store)
        people = [catalogue.cutout(0, str(key)).rgba for key in range(2)]
        return people + [catalogue.view(0, str(key), 0).image for key in range(1)]

    first = pixels()
    monkeypatch.setattr(mannequin, "embedded", SimpleNamespace(person=never, place=never))
    assert all(np.array_equal(a, b) for a, b in zip(first, pixels(), strict=True))


def test_people_are_checked_once_for_all_workers(
    recipe: Recipe, coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth.sources.coco import CocoPeople

    asked = check(
        recipe.model_dump()
        | {"people": [f"coco:{coco}"], "splits": {"test": 1}, "crowd": {1: 1}, "allow_ungrounded": True},
        "test",
    )
    store = Store(tmp_path / "shared")
    first = PeopleCatalogue(asked, 0)
    first.share(store)
    monkeypatch.setattr(CocoPeople, "people", never)
    again = PeopleCatalogue(asked, 0, first.survey, store)
    assert again.people == first.people
    (choice,) = again.people["test"]
    assert np.array_equal(again.cutout(0, choice.ref.key).rgba, first.cutout(0, choice.ref.key).rgba)


@pytest.mark.slow
def test_workers_that_share_make_the_data_set_of_one_alone(tmp_path: Path) -> None:
    few = {
        "people": ["mannequin:?count=3&carrying=0.5"],
        "backgrounds": ["mannequin:?count=1&seed=23&side=128"],
    }
    recipe = load_with("multi-ip", SMALL | few | {"count": 16, "crowd": {2: 1}})  # a shard for each worker
    for name, engine in (("one", SerialExecutor(1)), ("two", ProcessExecutor(2))):
        build(recipe, 0, tmp_path / name, engine, lambda count: None)
    one, two = (Dataset.open(tmp_path / name) for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    assert not list((tmp_path / "two").glob(".*"))
    assert json.loads((tmp_path / "two" / "dataset.json").read_text())["fingerprint"] == one.fingerprint
