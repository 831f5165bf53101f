"""Which split a scene or a source image is in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from synth.rng import unit

_BLOCK = 4096
"""Samples whose splits are looked up together."""


def divide(groups: Iterable[str], splits: dict[str, float], seed: int) -> dict[str, str]:
    """Group -> split: whole groups, in a seeded random order, in the splits' proportions.

    Every split with a positive share gets a group while there are enough of them.
    """
    order = sorted(set(groups), key=lambda group: unit(seed, "split", group))
    # Rarest first, so that a small split gets its one group before the larger ones take all.
    wanted = sorted((share, name) for name, share in splits.items() if share > 0)
    left, result, start = sum(share for share, _ in wanted), {}, 0
    for share, name in wanted:
        rest = len(order) - start
        take = min(rest, max(1, round(rest * share / left)))
        result.update(dict.fromkeys(order[start : start + take], name))
        start += take
        left -= share
    return result


def split_of_sample(index: int, splits: dict[str, float]) -> str:
    """The split of sample `index`: depends on the index alone, and every prefix keeps close to the shares."""
    total = sum(splits.values())
    place = (index + 0.5) * 0.6180339887498949 % 1 * total
    for name, share in splits.items():
        if place < share:
            return name
        place -= share
    return next(name for name in reversed(splits) if splits[name] > 0)


class Places:
    """The place of each sample among those of its split."""

    def __init__(self, splits: dict[str, float]) -> None:
        self._splits = splits
        self._before: list[dict[str, int]] = [dict.fromkeys(splits, 0)]
        """By block: samples of each split before it."""

    def of(self, index: int) -> int:
        """How many samples of the split of sample `index` have a smaller one."""
        block = index // _BLOCK
        while len(self._before) <= block:
            names, counts = np.unique(self._block(len(self._before) - 1, _BLOCK), return_counts=True)
            here = dict(zip(names.tolist(), counts.tolist(), strict=True))
            self._before.append(
                {name: so_far + here.get(name, 0) for name, so_far in self._before[-1].items()}
            )
        split = split_of_sample(index, self._splits)
        return self._before[block][split] + self._block(block, index % _BLOCK).count(split)

    def _block(self, block: int, size: int) -> list[str]:
        start = block * _BLOCK
        return [split_of_sample(index, self._splits) for index in range(start, start + size)]
