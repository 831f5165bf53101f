"""RC-S, against the published procedure written out in loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pictures import damaged, pairs_of, split, synthetic
from skimage.measure import label, regionprops

from mildbench.geometry import Box
from mildbench.metrics.coherence import RemovalCoherence, discrepancies, squares

TOLERANCE = 1e-5


def blocks(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (90, 120)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=2) / 200).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


def windowed(tokens: np.ndarray, marked: np.ndarray, size: int, step: int) -> float:
    """Mean MMD of float[g, g, D] and bool[g, g]."""
    found = []
    for y in range(0, len(marked) - size + 1, step):
        for x in range(0, len(marked) - size + 1, step):
            part, inside = tokens[y : y + size, x : x + size], marked[y : y + size, x : x + size]
            many, others = inside.sum(), (~inside).sum()
            if many > 5 and others > 5:
                found.append(mmd(part[inside], part[~inside]))
            elif many > 5 and others == 0 and (~marked).any():
                found.append(mmd(part[inside], tokens[~marked]))
    return sum(found) / len(found) if found else math.nan


def reference(network: Any, picture: np.ndarray, mask: np.ndarray) -> float:
    parts = regionprops(label(mask, connectivity=1))
    least = min(200, max(part.area for part in parts))
    scores = []
    for part in parts:
        if part.area < least:
            continue
        top, left, bottom, right = part.bbox
        size = max(right - left, bottom - top)
        x, y = round((left + right) / 2 - size / 2), round((top + bottom) / 2 - size / 2)
        height, width = mask.shape
        grow = max(0, min(round(size / 3), x, y, width - x - size, height - y - size, size // 2))
        side = min(size + 2 * grow, width, height)
        x, y = max(0, min(max(0, x - grow), width - side)), max(0, min(max(0, y - grow), height - side))
        crop = picture[y : y + side, x : x + side].astype(np.float32)
        crop = cv2.resize(crop, (448, 448), interpolation=cv2.INTER_LINEAR) / 255
        pixels = (crop - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        with torch.no_grad():
            found = network(torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None])
        tokens = found.last_hidden_state[0, 1:].double().numpy().reshape(32, 32, -1)
        small = cv2.resize(
            mask[y : y + side, x : x + side].view(np.uint8), (448, 448), interpolation=cv2.INTER_NEAREST
        )
        marked = small.reshape(32, 14, 32, 14).any(axis=(1, 3))
        raw = windowed(tokens, marked, 8, 4)
        if not math.isnan(raw):
            scores.append(math.exp(-max(0.0, raw) / 3))
    return sum(scores) / len(scores) if scores else math.nan


MASKS = {
    "one": blocks((30, 20, 60, 55)),
    "several, one of them small": blocks((5, 5, 30, 40), (70, 30, 110, 60), (50, 80, 55, 84)),
    "all small": blocks((10, 10, 15, 15), (60, 60, 70, 66)),
    "at the edge": blocks((80, 0, 120, 50)),
    "taller than the frame's shorter side": blocks((3, 30, 117, 50)),
}


@pytest.mark.parametrize("name", MASKS)
def test_is_the_procedure_written_out(
    name: str, loaded: Callable[[Any], Any], tiny: tuple[Path, dict[str, Any]]
) -> None:
    truth = synthetic(0, 90, 120)
    output = damaged(truth, 3)
    score = loaded(RemovalCoherence).score(pairs_of([output], [truth], [MASKS[name]]))["mask"][0]
    expected = reference(tiny[1]["dinov2-giant"], output, MASKS[name])
    assert 0 < expected < 1 - 100 * TOLERANCE
    np.testing.assert_allclose(score, expected, rtol=0, atol=TOLERANCE)


def test_needs_no_truth_and_no_mask_means_no_score(loaded: Callable[[Any], Any]) -> None:
    metric, truth = loaded(RemovalCoherence), synthetic(1, 90, 120)
    output, mask = damaged(truth, 0), MASKS["one"]
    first, second = (metric.score(pairs_of([output], [one], [mask]))["mask"][0] for one in (truth, output))
    assert first == second
    nothing, everything = np.zeros_like(mask), np.ones_like(mask)
    scores = metric.score(pairs_of([output] * 3, [truth] * 3, [nothing, mask, everything]))["mask"]
    np.testing.assert_array_equal(np.isnan(scores), [True, False, True])
    assert np.isnan(metric.score(pairs_of([output], [truth], [nothing]))["mask"]).all()


def test_batch_size_never_changes_a_score(loaded: Callable[[Any], Any]) -> None:
    truths = [synthetic(seed, 90, 120) for seed in range(len(MASKS))]
    pairs = pairs_of([damaged(truth, 0) for truth in truths], truths, list(MASKS.values()))
    metric = loaded(RemovalCoherence)
    apart = np.concatenate([metric.score(one)["mask"] for one in split(pairs)])
    np.testing.assert_allclose(metric.score(pairs)["mask"], apart, rtol=0, atol=TOLERANCE)


def test_one_kind_of_token_everywhere_is_no_discrepancy() -> None:
    marked = torch.zeros(1, 32, 32, dtype=torch.bool)
    marked[:, 8:24, 8:24] = True
    same = torch.ones(1, 1024, 5)
    assert discrepancies(same, marked.flatten(1)).item() == pytest.approx(0, abs=1e-9)
    two = torch.where(marked.flatten(1)[..., None], torch.eye(5)[0], torch.eye(5)[1])
    expected = 2000 * (1 - math.exp(-2 / 200))  # orthogonal unit tokens in every window
    assert discrepancies(two, marked.flatten(1)).item() == pytest.approx(expected, rel=1e-9)


def test_squares_stay_in_the_frame_and_hold_their_component() -> None:
    # 35 high: a square of 35 around its middle, grown by 12.
    assert squares(MASKS["one"]) == [Box(16, 8, 75, 67)]
    for mask in MASKS.values():
        for box in squares(mask):
            assert box.width == box.height
            assert 0 <= box.left < box.right <= 120
            assert 0 <= box.top < box.bottom <= 90
    assert len(squares(MASKS["several, one of them small"])) == 2
    assert squares(np.zeros((4, 4), dtype=bool)) == []
