"""A plug-in: a metric of how much darker or brighter an output is."""

from __future__ import annotations

import numpy as np

from mildbench.metrics.base import MetricInfo, PairMetric, Pairs


class Brightness(PairMetric):
    """Distance of the mean levels, to a power."""

    info = MetricInfo(
        "brightness", "brightness@1", "Distance of the mean levels.", False, "", regions=("full",)
    )

    def __init__(self, power: int = 1) -> None:
        self.power = power

    def score(self, pairs: Pairs) -> dict[str, np.ndarray]:
        outputs, truths = (pixels.double().mean(dim=(1, 2, 3)) for pixels in (pairs.outputs, pairs.truths))
        return {"full": ((outputs - truths).abs() ** self.power).numpy()}
