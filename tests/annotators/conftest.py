"""A small data set, and the fake annotator under a name."""

from __future__ import annotations

import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from fake_annotator import FakeAnnotator
from small import draw_sources, small_recipe

from mildbench.annotators import ANNOTATORS
from mildbench.dataset.writers import SCENES, Format
from mildbench.executors import SerialExecutor
from synth.build import build


@pytest.fixture(scope="session")
def small_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    root = tmp_path_factory.mktemp("to-annotate")
    recipe = small_recipe(*draw_sources(root))
    for format in SCENES:
        build(recipe, 0, root / format, SerialExecutor(1), lambda count: None, format=format)
    return {format: root / format for format in SCENES}


@pytest.fixture(params=SCENES)
def dataset_folder(request: pytest.FixtureRequest, small_sets: dict[Format, Path], tmp_path: Path) -> Path:
    """A copy, in one format after the other."""
    return Path(shutil.copytree(small_sets[request.param], tmp_path / "data"))


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeAnnotator]:
    point = EntryPoint("fake", "fake_annotator:FakeAnnotator", ANNOTATORS.group)
    monkeypatch.setitem(ANNOTATORS._targets, "fake", point)
    monkeypatch.setattr(FakeAnnotator, "asked", [])
    return FakeAnnotator
