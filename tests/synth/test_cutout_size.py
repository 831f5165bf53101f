"""No cut-out is finer than its recipe's scenes can show, and the scenes look as they would with finer ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.catalogue import PeopleCatalogue
from synth.figures import FINENESS
from synth.fit import fit
from synth.recipe import Recipe
from synth.sources.folder import FolderPeople

HEIGHTS = {"images/small.png": 200, "images/tall.png": 800}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people of known height before a wall, each a photo and a mask."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for name, height in HEIGHTS.items():
        side = height + 60
        mask = np.zeros((side, side // 2), np.uint8)
        axes = (height // 6, (height - 1) // 2)
        cv2.ellipse(mask, (side // 4, side // 2), axes, 0, 0, 360, 255, -1)
        wall = cv2.resize(rng.integers(150, 256, (9, 6, 3), dtype=np.uint8), (side // 2, side))
        clothes = cv2.resize(rng.integers(0, 110, (30, 9, 3), dtype=np.uint8), (side // 2, side))
        photo = cv2.GaussianBlur(np.where(mask[..., None] > 0, clothes, wall), (0, 0), 1)
        for kind, picture in (("images", photo), ("masks", mask)):
            path = root / kind / Path(name).name
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), picture)
    return root


@pytest.fixture
def catalogue(recipe: Recipe, photos: Path) -> PeopleCatalogue:
    changes = {"people": [f"folder:{photos}"], "splits": {"test": 1.0}, "crowd": {1: 1.0}}
    return PeopleCatalogue(recipe.model_copy(update=changes), 0)


def test_only_who_is_taller_than_scenes_need_is_reduced(catalogue: PeopleCatalogue) -> None:
    recipe = catalogue.recipe
    enough = FINENESS * min(recipe.stature[1], 1.0) * recipe.size
    assert HEIGHTS["images/small.png"] < enough < HEIGHTS["images/tall.png"]
    small, tall = (catalogue.cutout(0, key) for key in HEIGHTS)
    assert small.scale == 1
    assert abs(np.ptp(np.nonzero(small.parsing)[0]) + 1 - HEIGHTS["images/small.png"]) <= 4
    assert abs(np.ptp(np.nonzero(tall.parsing)[0]) + 1 - enough) <= 4
    assert tall.scale == pytest.approx(enough / HEIGHTS["images/tall.png"], abs=0.01)


def test_scenes_show_what_a_finer_cut_out_would_have_shown(catalogue: PeopleCatalogue, photos: Path) -> None:
    key = "images/tall.png"
    fine = FolderPeople(str(photos)).cutout(key)
    assert catalogue.cutout(0, key).area == pytest.approx(fine.area, rel=0.02)
    for scale in (0.06, 0.12, 0.16):  # up to the recipe's largest stature
        shown = catalogue.figure(0, key, scale, False, False)
        expected = fit(fine, scale, False, room_for_shadow=False)
        height, width = np.minimum(shown.mask.shape, expected.mask.shape)
        assert np.abs(np.subtract(shown.mask.shape, expected.mask.shape)).max() <= 1
        mine, theirs = (figure.mask[:height, :width] for figure in (shown, expected))
        assert np.count_nonzero(mine & theirs) > 0.95 * np.count_nonzero(mine | theirs)
        assert shown.foot == pytest.approx(expected.foot, abs=1)
