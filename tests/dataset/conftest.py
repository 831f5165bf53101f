"""The same small data set in both formats, built once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small import draw_sources, small_recipe

from mildbench.dataset.writers import SCENES, Format
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.recipe import Recipe


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return small_recipe(*draw_sources(tmp_path_factory.mktemp("drawn")))


@pytest.fixture(scope="session")
def datasets(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """Format -> folder; not to be changed."""
    root = tmp_path_factory.mktemp("built")
    for name in SCENES:
        build(recipe, 0, root / name, SerialExecutor(1), lambda count: None, format=name)
    return {name: root / name for name in SCENES}


@pytest.fixture(params=SCENES)
def built(request: pytest.FixtureRequest, datasets: dict[Format, Path]) -> Path:
    """One format after the other; not to be changed."""
    return datasets[request.param]


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a data set, to break."""

    def copy(built: Path) -> Path:
        return Path(shutil.copytree(built, tmp_path / built.name))

    return copy
