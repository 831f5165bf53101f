"""From two batches of pictures to a map of values each, and from maps to one mean per sample and region.

On a CPU the work is done in numpy and OpenCV, on one thread: maps are small, and a parallel start for each of
many short steps costs more than it saves, above all where other processes want the cores. On any other device
it is done in torch, for the whole batch at once. The arithmetic is written once, for both kinds of array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import torch

from mildbench.metrics.base import Pairs

Array = TypeVar("Array", np.ndarray, torch.Tensor)


def channel_sums(
    compare: Callable[[Any, Any], Any], pairs: Pairs
) -> Iterator[np.ndarray] | Iterator[torch.Tensor]:
    """Per sample the sum over RGB of `compare(output, truth)`, called with float32[..., H, W] in 0 .. 255.

    `compare` maps two `Array`s of one kind to a third.
    """
    if pairs.outputs.device.type == "cpu":
        return numpy_sums(compare, pairs.outputs.numpy(), pairs.truths.numpy())
    return iter(torch_sums(compare, pairs.outputs, pairs.truths))


def numpy_sums(
    compare: Callable[[np.ndarray, np.ndarray], np.ndarray], outputs: np.ndarray, truths: np.ndarray
) -> Iterator[np.ndarray]:
    """`channel_sums` on a CPU, a channel at a time: its planes stay in the cache."""
    for output, truth in zip(outputs, truths, strict=True):
        planes = [(output[..., c].astype(np.float32), truth[..., c].astype(np.float32)) for c in range(3)]
        yield np.sum([compare(x, y) for x, y in planes], axis=0)


def torch_sums(
    compare: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], outputs: torch.Tensor, truths: torch.Tensor
) -> torch.Tensor:
    """float32[B, ...]: `channel_sums` of a batch on an accelerator."""
    x, y = (images.permute(0, 3, 1, 2).to(torch.float32).contiguous() for images in (outputs, truths))
    return compare(x, y).sum(dim=1)


def region_means(
    maps: Iterable[np.ndarray | torch.Tensor], regions: dict[str, torch.Tensor], margin: int = 0
) -> dict[str, np.ndarray]:
    """Mean of each sample's map over each of its regions, summed in float64.

    Args:
        maps: one [H - 2 * margin, W - 2 * margin] per sample, on the regions' device.
        regions: name -> bool[B, H, W].
        margin: pixels at each side of the frame where the map has no value; the regions lose them too.

    Returns:
        Region name -> float64[B]; NaN where the region is empty.
    """
    if not regions:
        return {}
    first = next(iter(regions.values()))
    rows, columns = (slice(margin, max(size - margin, 0)) for size in first.shape[1:])
    inside = [region[:, rows, columns] for region in regions.values()]
    if first.device.type == "cpu":
        members = zip(*(region.numpy() for region in inside), strict=True)
        table = numpy_means((np.asarray(values) for values in maps), members)
    else:
        table = torch_means(cast("Iterable[torch.Tensor]", maps), torch.stack(inside, dim=1))
    return dict(zip(regions, table.T, strict=True))


def numpy_means(maps: Iterable[np.ndarray], members: Iterable[tuple[np.ndarray, ...]]) -> np.ndarray:
    """float64[B, R] of B maps [h, w], each with R regions bool[h, w]."""

    def mean(values: np.ndarray, region: np.ndarray) -> float:
        return float(values[region].mean(dtype=np.float64)) if region.any() else np.nan

    return np.array(
        [[mean(values, region) for region in of] for values, of in zip(maps, members, strict=True)]
    )


def torch_means(maps: Iterable[torch.Tensor], members: torch.Tensor) -> np.ndarray:
    """float64[B, R] of B maps [h, w] and bool[B, R, h, w], on an accelerator: it is waited for only once."""
    means = []
    for values, regions in zip(maps, members.flatten(2), strict=True):
        weights = regions.to(torch.float64)
        means.append(weights @ values.flatten().to(torch.float64) / weights.sum(dim=1))
    return torch.stack(means).cpu().numpy()
