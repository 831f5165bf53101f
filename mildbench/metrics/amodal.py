"""Amodal completion: is the whole of a partly hidden person there, also where nobody could see them?"""

from __future__ import annotations

import numpy as np

from mildbench.metrics.base import LayerMetric, MetricInfo


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of bool[H, W] twice; NaN when both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else float("nan")


class AmodalIou(LayerMetric):
    """IoU of the completed person, overall and where they were hidden."""

    info = MetricInfo(
        name="amodal-iou",
        id="amodal-iou@1",
        definition="IoU of the completed person's mask (alpha of 128 or more) with the true amodal mask: `whole`, and "
        "`hidden` with the visible mask taken from both; 0 to 1. A person whom the method did not complete "
        "counts with the visible mask, so with 0 in `hidden`.",
        higher_is_better=True,
        unit="",
        regions=("whole", "hidden"),
    )

    def score(self, completed: np.ndarray, visible: np.ndarray, amodal: np.ndarray) -> dict[str, float]:
        """`whole` and `hidden`, 0 to 1."""
        return {"whole": iou(completed, amodal), "hidden": iou(completed & ~visible, amodal & ~visible)}
