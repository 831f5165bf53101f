"""How many pathways a GPU takes at once: by what one of them was measured to need, not by running out."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

from mildbench.device import memory_needed

SHARE = 0.8
"""Of the free memory, what a chunk may need: blocks of many sizes do not fill it without gaps."""


class Budget:
    """Divides pathways into chunks that fit the memory of a device; on a CPU all of them are one chunk.

    A chunk is taken to need as much for each pathway as one alone. That is an upper bound: what does not grow with
    their number, such as decoding one latent after the other, is counted for each.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._needs: dict[tuple[int, ...], int] = {}

    def chunks(self, count: int, size: tuple[int, ...], trial: Callable[[], object]) -> list[slice]:
        """Consecutive chunks of `count` pathways, as few as fit, and as equal as can be.

        Args:
            count: of the pathways, 1 or more.
            size: numbers with each of which the memory that a pathway needs can only grow.
            trial: runs one pathway of this size. Called unless one no smaller in any number has been measured.
        """
        if self._device == "cpu" or count == 1:
            return [slice(0, count)]
        most = max(1, int(SHARE * _free(self._device) / self._need(size, trial)))
        number = -(-count // most)
        bounds = [count * place // number for place in range(number + 1)]
        return [slice(first, last) for first, last in itertools.pairwise(bounds)]

    def _need(self, size: tuple[int, ...], trial: Callable[[], object]) -> int:
        """Bytes of one pathway, at least 1."""
        known = [
            need
            for measured, need in self._needs.items()
            if all(theirs >= mine for theirs, mine in zip(measured, size, strict=True))
        ]
        if not known:
            known = [max(1, memory_needed(self._device, trial))]
            self._needs[size] = known[0]
        return min(known)


def _free(device: str) -> int:
    """Bytes of a GPU that nobody holds, and those that torch holds without using them."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
