"""Scores of one picture, outside any run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from mildbench.errors import UserError
from mildbench.evaluation import panel as panels
from mildbench.evaluation.data import subject_of
from mildbench.metrics.base import PairMetric, Pairs
from mildbench.regions import regions
from mildbench.scene import Triplet


def score_one(
    output: np.ndarray, triplet: Triplet, metrics: Sequence[PairMetric], device: str
) -> dict[str, dict[str, float]]:
    """Metric -> region -> the score that a run has in its column `raw`; NaN where there is none.

    Args:
        output: uint8[H, W, 3], of the triplet's size.
        triplet: the question that it answers.
        metrics: loaded on `device`.
        device: cpu, cuda or cuda:N.

    Raises:
        UserError: the output is of another size or type, or nobody knows the true picture.
    """
    if not triplet.truth_known:
        raise UserError(f"{triplet.id}: {panels.NO_TRUE_PICTURE}: evaluate a method with mildbench evaluate")
    if output.dtype != np.uint8 or output.shape != triplet.truth.shape:
        raise UserError(
            f"the output for {triplet.id} is {output.dtype}{list(output.shape)}, its truth is "
            f"uint8{list(triplet.truth.shape)}: give RGB pixels of that size"
        )

    def one(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)[None]).to(device)

    subject = subject_of(triplet)
    pairs = Pairs(
        outputs=one(output),
        truths=one(triplet.truth),
        regions={
            name: one(region)
            for name, region in regions(triplet.mask, triplet.overlap, triplet.effect).items()
        },
        subjects=None if subject is None else (subject,),
    )
    with torch.inference_mode():
        found = {metric.info.name: metric.score(pairs) for metric in metrics}
    return {
        name: {region: float(values[0]) for region, values in table.items()} for name, table in found.items()
    }


def picture_metrics(texts: Sequence[str], device: str) -> tuple[PairMetric, ...]:
    """Loaded metrics that compare one picture with its truth; those that are named stay loaded for the next call.

    Args:
        texts: as `mildbench.evaluation.panel.find` reads them; none at all means all that are scored unasked and can
            be had here.
        device: cpu, cuda or cuda:N.

    Raises:
        UserError: a named metric is unknown, needs more than one picture, or lacks weights or a package.
    """
    return _named(tuple(texts), device) if texts else _load((), device)


def _load(texts: tuple[str, ...], device: str) -> tuple[PairMetric, ...]:
    found, _ = panels.find(texts, device)
    if texts and (others := [metric for metric in found if not isinstance(metric, PairMetric)]):
        raise UserError(
            f"metric {others[0].info.name!r} is not of a single picture: evaluate a method, and it has a column there"
        )
    panel = panels.load([metric for metric in found if isinstance(metric, PairMetric)], device)
    if texts and panel.unavailable:
        raise UserError(f"metric {panel.unavailable[0].name!r} cannot be had: {panel.unavailable[0].reason}")
    return panel.pair


_named = lru_cache(maxsize=1)(_load)
