"""From a map of values to one mean per sample and region."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch


def region_means(
    maps: Iterable[torch.Tensor], regions: dict[str, torch.Tensor], margin: int = 0
) -> dict[str, np.ndarray]:
    """Mean of each sample's map over each of its regions, summed in float64.

    Args:
        maps: one [H - 2 * margin, W - 2 * margin] per sample, any real dtype; consumed one at a time.
        regions: name -> bool[B, H, W].
        margin: pixels at each side of the frame where the map has no value; the regions lose them too.

    Returns:
        Region name -> float64[B]; NaN where the region is empty.
    """
    if not regions:
        return {}
    inside = torch.stack(list(regions.values()), dim=1)
    height, width = inside.shape[2:]
    inside = inside[..., margin : max(height - margin, 0), margin : max(width - margin, 0)].flatten(2)
    means = []
    for values, members in zip(maps, inside, strict=True):
        weights = members.to(torch.float64)
        means.append(weights @ values.flatten().to(torch.float64) / weights.sum(dim=1))
    table = torch.stack(means).cpu().numpy()
    return {name: table[:, column] for column, name in enumerate(regions)}
