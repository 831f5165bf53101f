"""What a trainer implements: which modules are trained, the loss of a batch, a picture, and what is saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mildbench.options import Spec
from mildbench.registry import Registry
from mildbench.training.examples import MakeExample

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = Mapping[str, Any]
"""Examples stacked: an array of theirs is a tensor with one more dimension in front, of the same dtype, on the
device; a string is a list of strings."""

Logs = Mapping[str, "Tensor"]
"""Scalars by name, detached: columns of `log.csv`."""


@dataclass(frozen=True)
class TrainerInfo:
    """What a trainer says of itself, and its defaults on the command line."""

    name: str
    summary: str
    size: int = 256
    """Pixels of the square scenes."""
    batch_size: int = 16
    lr: float = 1e-4


class Trainer(ABC):
    """Base class of every trainer. Constructor arguments are its options (`mildbench train lama:variant=tiny`).

    The loop calls `load` once, then `loss` in every step. All random numbers come from torch's global generators,
    which the loop seeds for each step; a trainer keeps no state between steps but its modules.
    """

    info: TrainerInfo
    make_example: MakeExample
    """From a scene to arrays: a picklable function, which runs in the data workers and knows nothing of torch."""
    lr_scales: Mapping[str, float] = {}
    """Name of a trained module -> its learning rate over the run's, where that is not 1."""
    trained: nn.ModuleDict
    """Set by `load`. Those of its parameters that require a gradient are trained; they and its buffers are what a
    checkpoint holds, and what is averaged."""

    @abstractmethod
    def load(self, device: str, seed: int) -> None:
        """Build or read the modules onto `device` and set `trained`; fresh weights are drawn from `seed`."""

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """The scalar to minimise, and what else to log. Modules are in training mode."""

    def validate(self, batch: Batch) -> Logs:
        """What to log of a validation batch: by default the loss. No gradients, averaged weights, eval mode."""
        loss, logs = self.loss(batch)
        return {"loss": loss, **logs}

    @abstractmethod
    def panel(self, batch: Batch) -> np.ndarray:
        """uint8[H, W, 3]: what the averaged weights make of a few validation scenes."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the weights into the empty folder, as the method reads them; the modules hold the averaged ones."""

    @abstractmethod
    def usage(self, folder: Path) -> str:
        """The command that uses what `save` wrote, for example `mildbench evaluate --method NAME:weights=FOLDER`."""

    def front_matter(self) -> Mapping[str, Any]:
        """What the weights' card says at its top, beside what every card says; JSON values."""
        return {}

    def compiled(self) -> Sequence[nn.Module]:
        """The modules worth `torch.compile`; those whose `forward` is called."""
        return list(self.trained.values())


TRAINERS: Registry[Trainer] = Registry("trainer", "trainers", Trainer)


class TrainerSpec(Spec[Trainer]):
    """A trainer and its options."""

    registry = TRAINERS
