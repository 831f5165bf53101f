"""Reflections: upside down from the soles on, only where the ground shines, exact to recompose, and on disk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import MANNEQUIN_PLACES, MANNEQUINS

from mildbench.geometry import Box
from mildbench.scene import Layer, Person, Provenance, Scene
from synth.fit import SizedFigure
from synth.ground import panoptic_sheen
from synth.material import Segment
from synth.planner import open_planner
from synth.recipe_files import load, load_with
from synth.reflection import KEPT, reflect
from synth.render import render

SIZE = 200
ORIGIN = (60, 20)


def figure() -> SizedFigure:
    """Red above, blue below, with the feet in row 89."""
    rgba = np.zeros((100, 60, 4), np.uint8)
    rgba[10:50, 20:40] = (220, 20, 20, 255)
    rgba[50:90, 20:40] = (20, 20, 220, 255)
    return SizedFigure(
        rgba, (rgba[..., 3] > 0).astype(np.uint8), np.zeros((17, 3), np.float32), None, (29, 89)
    )


def everywhere(level: int = 255) -> np.ndarray:
    return np.full((SIZE, SIZE), level, np.uint8)


def mirrored(shown: SizedFigure) -> np.ndarray:
    assert shown.reflection is not None
    return shown.reflection


def test_what_is_low_is_mirrored_near_the_soles() -> None:
    found = mirrored(reflect(figure(), everywhere(), ORIGIN, 1.0))
    red, blue = found[90:, 30, 0].astype(int), found[90:, 30, 2].astype(int)
    assert (blue[2:30] > 180).all()
    assert (red[55:75] > 180).all()
    assert not found[:80, :, 3].any()


def test_it_fades_away_from_the_soles() -> None:
    alpha = mirrored(reflect(figure(), everywhere(), ORIGIN, 1.0))[95:160, 30, 3].astype(int)
    assert alpha[0] > 240
    assert (np.diff(alpha) <= 0).all()
    assert alpha[-1] == pytest.approx(255 * (1 - (1 - KEPT) * 69 / 80), abs=8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 255), st.floats(0, 1), st.integers(-30, 30))
def test_more_sheen_or_strength_mirrors_more_and_the_figure_stays(
    level: int, strength: float, aside: int
) -> None:
    before, origin = figure(), (ORIGIN[0] + 5 * aside, ORIGIN[1])
    after = reflect(before, everywhere(level), origin, strength)
    assert np.array_equal(after.rgba[:100], before.rgba)
    assert np.array_equal(after.parsing[:100], before.parsing)
    assert after.foot == before.foot
    assert np.count_nonzero(after.parsing) == np.count_nonzero(before.parsing)
    if after.reflection is not None:
        full = mirrored(reflect(before, everywhere(), origin, 1.0))
        assert (after.reflection[..., 3] <= full[..., 3]).all()


def test_there_is_none_where_the_ground_is_dull() -> None:
    sheen = everywhere()
    sheen[:, 90:] = 0
    found = mirrored(reflect(figure(), sheen, ORIGIN, 1.0))[..., 3]
    assert found[:, : 90 - ORIGIN[0]].any()
    assert not found[:, 90 - ORIGIN[0] :].any()
    assert reflect(figure(), everywhere(0), ORIGIN, 1.0).reflection is None
    assert reflect(figure(), everywhere(), ORIGIN, 0.0).reflection is None


def test_both_feet_touch_their_own_mirror_images() -> None:
    """A foot that is farther away stands higher in the picture."""
    rgba = np.zeros((100, 60, 4), np.uint8)
    rgba[10:50, 15:45] = rgba[50:90, 15:22] = rgba[50:86, 38:45] = (200, 200, 200, 255)
    stepping = SizedFigure(
        rgba, (rgba[..., 3] > 0).astype(np.uint8), np.zeros((17, 3), np.float32), None, (18, 89)
    )
    found = mirrored(reflect(stepping, everywhere(), ORIGIN, 1.0))[..., 3]
    for column, below in ((18, 90), (41, 86)):
        assert found[below + 2, column] > 200
        assert not found[: below - 4, column].any()


def test_a_strength_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        reflect(figure(), everywhere(), ORIGIN, 1.2)


def test_a_scene_with_reflections_recomposes_and_its_footprint_holds_them() -> None:
    shown = reflect(figure(), everywhere(90), ORIGIN, 1.0)
    person = Person(1, shown.keypoints, shown.parsing, Provenance("test", "1", "0" * 64, "CC0-1.0"))
    layer = Layer(shown.rgba, ORIGIN, person, None, shown.reflection)
    background = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    scene = Scene("0", background, (layer,))
    changed = (scene.composite() != background).any(axis=-1)
    footprint = scene.footprint([1])
    assert not (changed & ~footprint).any()
    below = footprint.copy()
    below[: ORIGIN[1] + Box.around(shown.mask).bottom] = False
    assert below.any()
    assert np.array_equal(scene.composite(without=[1]), background)


def test_floors_shine_and_rugs_do_not() -> None:
    left, right = np.zeros((2, 10, 20), bool)
    left[:, :10] = right[:, 10:] = True
    floor, rug = Segment(1, "floor-wood", False, False, left), Segment(2, "rug-merged", False, False, right)
    found = panoptic_sheen([floor, rug], (10, 20))
    assert found is not None
    assert found[left].all()
    assert not found[right].any()
    assert panoptic_sheen([rug], (10, 20)) is None


@pytest.mark.slow
def test_the_recipe_effects_mirrors_and_shades_people_exactly() -> None:
    changes = {
        "size": 128,
        "people": [MANNEQUINS],
        "backgrounds": [MANNEQUIN_PLACES],
        "splits": {"test": 1.0},
    }
    planner = open_planner(load_with("effects", changes), 0)
    mirrors = shadows = 0
    for index in range(6):
        plan, _ = planner.plan(index)
        scene, composite, _ = render(plan, planner.catalogue)
        assert np.array_equal(scene.composite(), composite)
        ids = [layer.person.id for layer in scene.layers]
        footprint, bodies = scene.footprint(ids), np.zeros((128, 128), bool)
        for layer in scene.layers:
            there, here = layer.window(128, 128)
            bodies[there] |= layer.rgba[here][..., 3] > 0
        share = np.count_nonzero(footprint & ~bodies) / max(np.count_nonzero(footprint), 1)
        assert plan.difficulty == pytest.approx(share, abs=1e-6)
        mirrors += sum(layer.reflection is not None for layer in scene.layers)
        shadows += sum(person.finish.cast is not None for person in plan.people)
    assert mirrors
    assert shadows


def test_no_other_recipe_mirrors_anybody() -> None:
    for name in ("demo", "multi-ip", "multi-ip@1", "train"):
        assert load(name).reflection == (0, 0)
