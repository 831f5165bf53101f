"""Backgrounds in which somebody is found are refused, and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_annotator import FakeAnnotator
from small import draw_sources, small_recipe

from mildbench.annotators import AnnotatorSpec
from mildbench.annotators.base import Found
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.material import Rejected
from synth.sources.folder import FolderBackgrounds
from synth.sources.unpeopled import UnpeopledBackgrounds


@pytest.fixture
def somebody_in_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    people, backgrounds = draw_sources(tmp_path)
    first = FolderBackgrounds(str(backgrounds)).background("0.png").image

    def found(self: FakeAnnotator, pictures: list) -> list[Found]:
        results = []
        for picture in pictures:
            here = picture.image.shape == first.shape and np.array_equal(picture.image, first)
            masks = np.ones((int(here), *picture.image.shape[:2]), dtype=bool)
            results.append(Found(masks, np.ones(len(masks), np.float32)))
        return results

    monkeypatch.setattr(FakeAnnotator, "people", found)
    return people, backgrounds


def test_a_background_with_a_person_is_rejected(somebody_in_the_first: tuple[Path, Path]) -> None:
    source = FolderBackgrounds(str(somebody_in_the_first[1]))
    checked = UnpeopledBackgrounds(source, "fake")
    assert (checked.name, checked.backgrounds()) == (source.name, source.backgrounds())
    with pytest.raises(Rejected, match="a person in it"):
        checked.background("0.png")
    np.testing.assert_array_equal(checked.background("1.png").image, source.background("1.png").image)


def test_a_build_leaves_them_out_and_says_so(
    somebody_in_the_first: tuple[Path, Path], tmp_path: Path
) -> None:
    recipe = small_recipe(*somebody_in_the_first).model_copy(update={"check_people": "fake:broken=/here/x"})
    info = build(recipe, 0, tmp_path / "data", SerialExecutor(1), lambda count: None)
    assert info.report["rejected_while_building"] == {"background with a person in it": 1}
    assert info.recipe["check_people"] == "fake:broken=x"


def test_a_spec_is_published_without_folders() -> None:
    assert AnnotatorSpec.parse("litert:models=weights/small").public() == "litert:models=small"
    assert AnnotatorSpec.parse("litert").public() == "litert"
