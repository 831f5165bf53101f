"""A benchmark by name and version: whoever builds it is told whether theirs is everybody's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mildbench.dataset.schema import DatasetInfo
from mildbench.executors import SerialExecutor
from synth import published
from synth.build import build
from synth.published import FIRST, Edition, editions, verdict
from synth.recipe import Recipe
from synth.recipe_files import load, load_with, names


@pytest.fixture
def built(recipe: Recipe, tmp_path: Path) -> tuple[Recipe, DatasetInfo]:
    small = recipe.model_copy(update={"name": "small@1", "count": 2})
    return small, build(small, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)


@pytest.fixture
def publish(built: tuple[Recipe, DatasetInfo], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publishes the data set built, with a fingerprint, or one of other people."""
    recipe, info = built
    sources = {role: [s.name for s in info.sources if s.role == role] for role in ("people", "backgrounds")}
    monkeypatch.setattr(published, "load", lambda name: recipe)

    def edit(fingerprint: str | None, people: list[str] | None = None, first: str | None = None) -> None:
        found = sources | ({} if people is None else {"people": people})
        edition = Edition(**found, seed=0, fingerprint=fingerprint, first=first)
        monkeypatch.setattr(published, "editions", lambda: {"small@1": [edition]})

    return edit


def test_every_edition_is_of_a_shipped_recipe() -> None:
    assert {name for name in names() if "@" in name} == set(editions())
    for name in editions():
        assert load(name).name == name


def test_the_verdict_follows_fingerprint_sources_and_settings(
    built: tuple[Recipe, DatasetInfo], publish: Callable[..., None]
) -> None:
    recipe, info = built
    publish(None)
    assert verdict(recipe.model_copy(update={"name": "other"}), info) is None
    assert "nobody has published" in str(verdict(recipe, info))
    publish(info.fingerprint)
    assert verdict(recipe, info) == "this is the published small@1"
    publish("0" * 64)
    assert str(verdict(recipe, info)).startswith("NOT the published small@1")
    publish("0" * 64, ["somebody else"])
    assert "other sources" in str(verdict(recipe, info))
    assert "other settings" in str(verdict(recipe.model_copy(update={"count": 3}), info))


def test_the_first_scenes_alone_tell(built: tuple[Recipe, DatasetInfo], publish: Callable[..., None]) -> None:
    recipe, info = built
    begun = recipe.model_copy(update={"count": FIRST})
    publish("0" * 64, first=info.fingerprint)
    assert verdict(begun, info) == f"these are the first {FIRST} scenes of the published small@1"
    publish(info.fingerprint, first="0" * 64)
    assert str(verdict(begun, info)).startswith(f"NOT the first {FIRST} scenes of the published small@1")


@pytest.mark.slow
@pytest.mark.parametrize("name", editions())
def test_the_embedded_editions_begin_as_published(name: str, tmp_path: Path) -> None:
    """A change of pixels or labels needs another version of the recipe."""
    recipe = load_with(name, {"count": FIRST})
    info = build(recipe, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    assert editions()[name][0].first is not None
    assert verdict(recipe, info) == f"these are the first {FIRST} scenes of the published {name}"
