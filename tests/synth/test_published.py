"""A benchmark by name and version: whoever builds it is told whether theirs is everybody's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mildbench.dataset.schema import DatasetInfo
from mildbench.executors import SerialExecutor
from synth import published
from synth.build import build
from synth.published import Edition, editions, verdict
from synth.recipe import Recipe
from synth.recipe_files import load, names


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

    def edit(fingerprint: str | None, people: list[str] | None = None) -> None:
        found = sources | ({} if people is None else {"people": people})
        edition = Edition(**found, seed=0, fingerprint=fingerprint)
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
