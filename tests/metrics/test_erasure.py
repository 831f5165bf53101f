"""ReMOVE, against the published procedure on square crops, behind Pillow's resizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import damaged, pairs_of, split, synthetic
from PIL import Image
from tiny_networks import SAM_SIDE

from mildbench.geometry import Box
from mildbench.metrics.erasure import Remove, square

TOLERANCE = 1e-5
GRID = SAM_SIDE // 16


def ellipse(
    centre: tuple[int, int], radii: tuple[int, int], shape: tuple[int, int] = (100, 140)
) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1


MASKS = {
    "in the middle": ellipse((70, 50), (20, 28)),
    "little room": ellipse((30, 50), (20, 26)),
    "two": ellipse((40, 50), (14, 20)) | ellipse((80, 50), (8, 8)),
    "at the edge": ellipse((138, 70), (30, 20)),
}


def features(network: Any, crop: np.ndarray) -> np.ndarray:
    """float64[C, g, g] of uint8[h, w, 3], padded at the right and below."""
    height, width = crop.shape[:2]
    scale = SAM_SIDE / max(height, width)
    size = (int(width * scale + 0.5), int(height * scale + 0.5))
    channels = [Image.fromarray(crop[..., c].astype(np.float32)) for c in range(3)]
    resized = np.stack([np.asarray(one.resize(size, Image.Resampling.BILINEAR)) for one in channels], axis=2)
    pixels = ((resized - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)).transpose(2, 0, 1)
    canvas = np.zeros((1, 3, SAM_SIDE, SAM_SIDE), np.float32)
    canvas[0, :, : size[1], : size[0]] = pixels
    with torch.no_grad():
        return network.vision_encoder(torch.from_numpy(canvas)).last_hidden_state[0].double().numpy()


def reference(network: Any, picture: np.ndarray, mask: np.ndarray, box: Box) -> float:
    found = features(network, picture[box.top : box.bottom, box.left : box.right])
    white = mask[box.top : box.bottom, box.left : box.right].astype(np.uint8) * 255
    inside = np.array(Image.fromarray(white).resize((GRID, GRID), Image.Resampling.BICUBIC)) // 255
    sums = [np.zeros(len(found)), np.zeros(len(found))]
    for row in range(GRID):
        for column in range(GRID):
            sums[int(inside[row, column])] += found[:, row, column]
    return float(sums[0] @ sums[1] / np.linalg.norm(sums[0]) / np.linalg.norm(sums[1]))


@pytest.mark.parametrize("name", MASKS)
def test_is_the_procedure_written_out(
    name: str, loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    mask, truth = MASKS[name], synthetic(0, 100, 140)
    output = damaged(truth, 2)
    box = square(mask)
    assert box is not None
    assert box.width == box.height
    assert not np.delete(mask, np.s_[box.left : box.right], axis=1).any()
    assert not np.delete(mask, np.s_[box.top : box.bottom], axis=0).any()
    score = loaded(Remove).score(pairs_of([output], [truth], [mask]))["mask"][0]
    expected = reference(tiny[1]["sam-vit-huge"], output, mask, box)
    assert expected < 1 - 100 * TOLERANCE
    np.testing.assert_allclose(score, expected, rtol=0, atol=TOLERANCE)


def test_the_margin_is_sixteen_pixels_or_the_least_room() -> None:
    assert square(MASKS["in the middle"]) == Box(34, 6, 34 + 89, 6 + 89)
    mask = np.zeros((100, 140), dtype=bool)
    mask[30:50, 5:30] = True
    assert square(mask) == Box(0, 25, 35, 60)
    mask[99, 139] = True  # as wide as the frame: no room, and cut off below
    assert square(mask) == Box(5, 0, 140, 100)
    assert square(np.zeros_like(mask)) is None


def test_the_padding_of_a_crop_that_the_frame_cuts_off_is_on_neither_side(
    loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    metric, picture = loaded(Remove), synthetic(5, 64, 128)
    mask = np.zeros((64, 128), dtype=bool)
    mask[16:48, 0:128] = True  # half of the frame's height, all of its width: features are 8x8 pixels
    sides = metric._sides(torch.from_numpy(mask)).numpy()
    # A row beside an edge is not wholly inside: the bicubic resize reaches beyond it.
    np.testing.assert_array_equal(np.flatnonzero(sides[0].any(axis=1)), [3, 4])
    np.testing.assert_array_equal(np.flatnonzero(sides[1].any(axis=1)), [0, 1, 2, 5, 6])
    assert (sides.all(axis=2) == sides.any(axis=2)).all()
    found = features(tiny[1]["sam-vit-huge"], picture)
    inside, outside = found[:, 3:5].sum(axis=(1, 2)), found[:, [0, 1, 2, 5, 6]].sum(axis=(1, 2))
    expected = inside @ outside / np.linalg.norm(inside) / np.linalg.norm(outside)
    score = metric.score(pairs_of([picture], [picture], [mask]))["mask"][0]
    np.testing.assert_allclose(score, expected, rtol=0, atol=TOLERANCE)


def test_no_side_no_score(loaded: Callable[[Any], Any]) -> None:
    picture = synthetic(1, 100, 140)
    nothing, everything = np.zeros((100, 140), dtype=bool), np.ones((100, 140), dtype=bool)
    thin = nothing.copy()
    thin[50, 20:120] = True  # no feature lies wholly inside
    masks = [nothing, MASKS["two"], everything, thin]
    scores = loaded(Remove).score(pairs_of([picture] * 4, [picture] * 4, masks))["mask"]
    np.testing.assert_array_equal(np.isnan(scores), [True, False, True, True])


def test_batch_size_never_changes_a_score(loaded: Callable[[Any], Any]) -> None:
    truths = [synthetic(seed, 100, 140) for seed in range(len(MASKS))]
    pairs = pairs_of([damaged(truth, 0) for truth in truths], truths, list(MASKS.values()))
    metric = loaded(Remove)
    apart = np.concatenate([metric.score(one)["mask"] for one in split(pairs)])
    np.testing.assert_allclose(metric.score(pairs)["mask"], apart, rtol=0, atol=TOLERANCE)
