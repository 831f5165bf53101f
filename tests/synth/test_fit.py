"""A figure at scene size: colours go on beyond its edge, a mirrored one swaps its sides."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mildbench.labels import PARSING
from mildbench.scene import Provenance
from synth.catalogue import PeopleCatalogue
from synth.fit import fit
from synth.material import Cutout
from synth.recipe import Recipe


@pytest.mark.parametrize("scale", [0.3, 0.77, 1.0, 1.3])
@pytest.mark.parametrize("shadow", [False, True])
def test_what_lies_under_alpha_0_is_the_persons_own_colour(
    recipe: Recipe, tmp_path: Path, scale: float, shadow: bool
) -> None:
    """Blur, noise and JPEG read it, and would otherwise bring the black outside into the edge."""
    rgba = np.zeros((200, 120, 4), np.uint8)
    cv2.ellipse(rgba, (60, 100), (40, 90), 0, 0, 360, (30, 60, 200, 255), -1, cv2.LINE_AA)
    rgba[..., :3][rgba[..., 3] > 0] = (30, 60, 200)
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rgba)
    catalogue = PeopleCatalogue(recipe.model_copy(update={"people": [f"folder:{tmp_path}"]}), 0)
    figure = catalogue.figure(0, "0.png", scale, True, shadow)
    x, y, w, h = cv2.boundingRect((figure.rgba[..., 3] > 0).astype(np.uint8))
    colours = figure.rgba[y : y + h, x : x + w, :3].reshape(-1, 3)
    assert np.abs(colours.astype(int) - (200, 60, 30)).max() <= 1


def test_mirroring_swaps_left_and_right() -> None:
    left, right = PARSING.index("left-arm"), PARSING.index("right-arm")
    parsing = np.full((60, 40), PARSING.index("coat"), np.uint8)
    parsing[:, :10] = left
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[9] = 4, 30, 2  # the left wrist
    rgba = np.full((60, 40, 4), 255, np.uint8)
    cutout = Cutout(rgba, parsing, keypoints, Provenance("test", "x", "0" * 64, "CC0-1.0"))
    figure = fit(cutout, 1.0, True, room_for_shadow=False)
    assert (figure.parsing[:, -10:] == right).all()
    assert not (figure.parsing == left).any()
    assert figure.keypoints[10].tolist() == [35, 30, 2]
    assert not figure.keypoints[9].any()
