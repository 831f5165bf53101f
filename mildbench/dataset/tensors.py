"""Triplets as PyTorch's data loaders want them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch.utils.data import Dataset

from mildbench.dataset.triplets import Triplets


class Tensors(TypedDict):
    """One triplet. Those of one size can be stacked by the default `collate_fn`."""

    id: str
    image: torch.Tensor
    """uint8[3, H, W], RGB."""
    mask: torch.Tensor
    """bool[1, H, W]: the mask that methods are shown."""
    truth: torch.Tensor
    """uint8[3, H, W], RGB."""


@dataclass(frozen=True, eq=False)
class TripletTensors(Dataset[Tensors]):
    """A map-style data set. Picklable: every worker opens the files for itself."""

    triplets: Triplets

    def __len__(self) -> int:
        return len(self.triplets)

    def __getitem__(self, place: int) -> Tensors:
        triplet = self.triplets[place]
        return {
            "id": triplet.id,
            "image": _channels_first(triplet.image),
            "mask": torch.from_numpy(triplet.mask_shown.copy())[None],
            "truth": _channels_first(triplet.truth),
        }


def _channels_first(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
