"""Pose after completion: does the picture now show where the hidden person's joints are?

The downstream check of human de-occlusion (Noh & Chang 2025, arXiv 2508.12663). `copy` has the pose before completion,
`oracle` the best that the annotator can do.
"""

from __future__ import annotations

import numpy as np

from mildbench.annotators.base import Picture, boxes_of
from mildbench.annotators.quality import oks
from mildbench.metrics.annotated import AnnotatedMetric
from mildbench.metrics.base import MetricInfo, Pairs


class PoseOks(AnnotatedMetric):
    """Object keypoint similarity of the completed person: an annotator's pose in the output against the true one.

    The annotator sees the output and the box of the whole person, the same for every method, and no masks.
    """

    info = MetricInfo(
        name="pose-oks",
        id="pose-oks@1",
        definition="COCO's object keypoint similarity (amodal area) of the pose that an annotator (option "
        "`annotator`, default litert) finds in the output, in the true amodal box of the person to complete, with "
        "their true keypoints: `full` over all in the frame, `overlap` over those that were hidden; 0 to 1. Undefined "
        "without such keypoints, and in tasks other than deocclude. Comparable only between runs with one annotator.",
        higher_is_better=True,
        unit="",
        regions=("full", "overlap"),
        unasked="left out",
    )

    part = "pose"
    variable = "MILDBENCH_POSE"

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        """`full` and `overlap` -> float64[B]; NaN where none of the subject's keypoints is in the region."""
        regions = {
            name: pairs.regions[name].cpu().numpy() for name in self.info.regions if name in pairs.regions
        }
        scores = {name: np.full(len(pairs.outputs), np.nan) for name in regions}
        posed = {
            place: subject
            for place, subject in enumerate(pairs.subjects or ())
            if (subject.keypoints[:, 2] > 0).any()
        }
        if not posed:
            return scores
        images = pairs.outputs.cpu().numpy()
        pictures = [
            Picture(str(place), images[place], boxes_of(subject.amodal[None]))
            for place, subject in posed.items()
        ]
        for (place, subject), (found,) in zip(posed.items(), self._annotator.pose(pictures), strict=True):
            area = float(np.count_nonzero(subject.amodal))
            for name, values in scores.items():
                truth = _within(subject.keypoints, regions[name][place])
                if (truth[:, 2] > 0).any():
                    values[place] = oks(found, truth, area)
        return scores


def _within(keypoints: np.ndarray, region: np.ndarray) -> np.ndarray:
    """float32[17, 3]: the keypoints with those outside the region bool[H, W] made unknown."""
    column, row = np.rint(keypoints[:, :2]).astype(np.intp).T
    return np.where(region[row, column][:, None], keypoints, 0)
