"""Residue: is a person still there, where one was to be erased?"""

from __future__ import annotations

import numpy as np

from mildbench.annotators.presence import where_people_are
from mildbench.metrics.annotated import AnnotatedMetric
from mildbench.metrics.base import MetricInfo, Pairs


class Residue(AnnotatedMetric):
    """The share of the mask in which an annotator sees a person in the output and none in the truth.

    Counting against the truth leaves out people who rightly stay, and what the annotator takes for a person in an
    empty background.
    """

    info = MetricInfo(
        name="residue",
        id="residue@1",
        definition="Share of the mask's pixels that an annotator (option `annotator`, default litert) takes for "
        "a person's in the output and not in the truth, 0 to 1. Comparable only between runs with one annotator.",
        higher_is_better=False,
        unit="",
        regions=("mask",),
        unasked="left out",
    )

    part = "people"
    variable = "MILDBENCH_RESIDUE"

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`mask` -> float64[B]; NaN where the mask is empty."""
        if "mask" not in pairs.regions:
            return {}
        masks = pairs.regions["mask"].cpu().numpy()
        seen = where_people_are(self._annotator, list(pairs.outputs.cpu().numpy()))
        right = where_people_are(self._annotator, list(pairs.truths.cpu().numpy()))
        left = [
            np.count_nonzero(there & ~true & mask) / np.count_nonzero(mask) if mask.any() else np.nan
            for there, true, mask in zip(seen, right, masks, strict=True)
        ]
        return {"mask": np.array(left, dtype=np.float64)}
