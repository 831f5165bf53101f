"""People stand as large as the depth of the ground makes them, where an annotator of depth is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from fake_annotator import FakeAnnotator
from small import MANNEQUIN_PLACES, draw_sources, small_recipe

from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.material import ADULT_METRES
from synth.perspective import Perspective
from synth.planner import open_planner
from synth.recipe import Recipe
from synth.sources import mannequin
from synth.sources.base import BACKGROUNDS, open_source
from synth.sources.folder import FolderBackgrounds
from synth.sources.sounded import SoundedBackgrounds


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Of meadows, of which nothing else tells the camera."""
    return small_recipe(*draw_sources(tmp_path), ("test",)).model_copy(update={"count": 6})


def stood(recipe: Recipe) -> list[tuple[float, float, Perspective]]:
    """Of everybody whose feet show: the height in pixels that all of them has, the row of the feet, the camera."""
    catalogue, found = (planner := open_planner(recipe, 0)).catalogue, []
    statures = {(choice.source, choice.ref.key): choice.ref.stature for choice in catalogue.people["test"]}
    for index in range(recipe.count):
        plan, _ = planner.plan(index)
        view = catalogue.view(*(plan.background[key] for key in ("source", "key", "view")))
        for person in plan.people:
            shadow = person.finish.shadow > 0
            figure = catalogue.figure(person.source, person.key, person.scale, person.mirrored, shadow)
            row = person.origin[1] + figure.foot[1]
            if row < recipe.size:
                tall = statures[person.source, person.key] * person.scale
                found.append((tall, row, view.perspective))
    return found


@pytest.mark.parametrize("camera", [(0.4, 1.3), (0.3, 2.6)])
def test_people_stand_as_the_camera_of_the_depth_sees_them(
    recipe: Recipe, camera: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAnnotator, "camera", camera)
    everybody = stood(recipe.model_copy(update={"depth": "fake"}))
    assert len(everybody) > 3
    for tall, row, seen in everybody:
        assert (seen.known, seen.camera_height) == ("depth", camera[1])
        assert tall == pytest.approx(seen.pixels(ADULT_METRES, row), abs=3)
    assert all(seen.known == "edge" for _, _, seen in stood(recipe))


def test_a_source_that_knows_its_camera_is_not_asked_about() -> None:
    source = open_source(MANNEQUIN_PLACES, BACKGROUNDS)
    assert SoundedBackgrounds(source, "fake").background("0").depth is None


def test_backgrounds_stay_and_are_known_by_who_looked(recipe: Recipe) -> None:
    source = FolderBackgrounds(recipe.backgrounds[0].removeprefix("folder:"))
    sounded = SoundedBackgrounds(source, "fake")
    assert (sounded.name, sounded.backgrounds()) == (source.name, source.backgrounds())
    before, after = source.background("1.png"), sounded.background("1.png")
    np.testing.assert_array_equal(after.image, before.image)
    assert after.depth is not None
    assert after.depth.shape == before.image.shape[:2]
    assert sounded.place("1.png").depth is None
    assert sounded.annotation("1.png") != SoundedBackgrounds(source, "fake:seed=1").annotation("1.png")


def test_a_data_set_names_who_looked_and_says_nothing_of_depth_without(
    recipe: Recipe, tmp_path: Path
) -> None:
    def made(name: str, recipe: Recipe) -> dict[str, object]:
        return build(recipe, 0, tmp_path / name, SerialExecutor(1), lambda count: None).recipe

    few = recipe.model_copy(update={"count": 2})
    assert "depth" not in made("without", few)
    sounded = few.model_copy(update={"depth": "fake:broken=/here/x", "check_people": None})
    assert made("with", sounded)["depth"] == "fake:broken=x"


@pytest.mark.parametrize(
    ("annotator", "message"),
    [
        ("fakee", "unknown annotator 'fakee': did you mean 'fake'"),
        ("litert", "annotator 'litert' gives no depth: use one of fake, transformers"),
        ("transformers:depth=nobody/nothing", "nobody/nothing is not in the local cache"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_drawn(
    annotator: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError("somebody drew")

    monkeypatch.setattr(mannequin.embedded, "person", drawn)
    monkeypatch.setattr(mannequin.embedded, "place", drawn)
    out = tmp_path / "data"
    command = ("build-dataset", "--depth", annotator, "--count", 1, "--executor", "serial")
    assert invoke(*command, "--out", out) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert not out.exists()


def test_whoever_gives_no_depth_is_refused_at_once(recipe: Recipe) -> None:
    source = FolderBackgrounds(recipe.backgrounds[0].removeprefix("folder:"))
    with pytest.raises(UserError, match="gives no depth"):
        SoundedBackgrounds(source, "litert")
