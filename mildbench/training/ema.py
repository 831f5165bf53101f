"""Averaged weights: a moving average over the steps, which is what is validated and shipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def state_of(trained: nn.Module) -> dict[str, Tensor]:
    """Name -> the live tensor: parameters that are trained, and all buffers. Frozen weights are left out."""
    parameters = {name: part.data for name, part in trained.named_parameters() if part.requires_grad}
    return parameters | dict(trained.named_buffers())


@torch.no_grad()
def copy_into(live: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Overwrite the live tensors; both have the same names."""
    for name, tensor in live.items():
        tensor.copy_(stored[name])


class Ema:
    """The moving average of some live tensors; integers (counters) are copied."""

    def __init__(self, live: Mapping[str, Tensor]) -> None:
        self._live = live
        self.average = {name: tensor.clone() for name, tensor in live.items()}
        moving = [name for name, tensor in live.items() if tensor.is_floating_point()]
        self._from = [live[name] for name in moving]
        self._to = [self.average[name] for name in moving]
        self._copied = [name for name, tensor in live.items() if not tensor.is_floating_point()]

    @torch.no_grad()
    def update(self, stay: float) -> None:
        """Move by `1 - stay` of the way."""
        torch._foreach_lerp_(self._to, self._from, 1 - stay)
        for name in self._copied:
            self.average[name].copy_(self._live[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the live tensors hold the averages; afterwards what they held, bit for bit."""
        kept = {name: tensor.clone() for name, tensor in self._live.items()}
        copy_into(self._live, self.average)
        try:
            yield
        finally:
            copy_into(self._live, kept)
