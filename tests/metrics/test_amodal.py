"""Amodal IoU against COCO's mask utilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pycocotools import mask as coco

from mildbench.metrics.amodal import AmodalIou, iou


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Completed, visible, amodal: bool[30, 41]; visible lies inside amodal."""
    rng = np.random.default_rng(seed)
    amodal = np.zeros((30, 41), bool)
    amodal[5:25, 8:30] = rng.random((20, 22)) < 0.9
    visible = amodal.copy()
    visible[:, 18:] = False
    completed = np.roll(amodal, int(rng.integers(-6, 7)), axis=1)
    return completed, visible, amodal


def reference(first: np.ndarray, second: np.ndarray) -> float:
    encoded = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in (first, second)]
    return float(coco.iou([encoded[0]], [encoded[1]], [0])[0, 0])


@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_pycocotools(seed: int) -> None:
    completed, visible, amodal = blobs(seed)
    found = AmodalIou().score(completed, visible, amodal)
    assert found["whole"] == pytest.approx(reference(completed, amodal), abs=1e-12)
    assert found["hidden"] == pytest.approx(reference(completed & ~visible, amodal & ~visible), abs=1e-12)


def test_the_answer_scores_one_and_what_is_seen_scores_nothing_where_it_is_hidden() -> None:
    _, visible, amodal = blobs(1)
    assert AmodalIou().score(amodal, visible, amodal) == {"whole": 1, "hidden": 1}
    seen = AmodalIou().score(visible, visible, amodal)
    assert seen == {"whole": visible.sum() / amodal.sum(), "hidden": 0}


def test_nothing_against_nothing_is_undefined() -> None:
    nothing = np.zeros((4, 4), bool)
    assert math.isnan(iou(nothing, nothing))
