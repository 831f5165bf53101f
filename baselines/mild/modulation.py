"""Spatially-Modulated Attention (SMA): a learned bias between the regions of a pathway's picture.

[paper] Spatial mask priors modulate attention across semantic regions, adaptively. [ours] The regions, and the
form: in each self-attention layer an R x R matrix W adds m_i^T W m_j to the logit from token i to token j, whose
shares of the regions are m_i and m_j; it is scaled by a function of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import nn

from baselines.diffusion.attention import Attended, Grid, RegionMaps, attend
from baselines.diffusion.canvas import Canvas
from baselines.mild.pathways import Pathway

REGIONS = ("known", "hole", "other people", "boundary")

PENALTY = 0.1
"""What a fresh matrix takes off the logits between two regions."""


def regions(pathway: Pathway, canvas: Canvas, width: int) -> np.ndarray:
    """float32[R, h, w]: the share of each canvas pixel that is of each region; shares sum to 1.

    The boundary is the band within `width` canvas pixels of the hole's edge; what is left goes to other people,
    then to the hole, then to what is known.
    """
    hole = canvas.hole(pathway.hole)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    plane = hole.astype(np.uint8)
    boundary = cv2.dilate(plane, disc) != cv2.erode(plane, disc)
    others = np.where(boundary, np.float32(0), canvas.coverage(pathway.others))
    left = np.where(boundary, np.float32(0), 1 - others)
    return np.stack([left * ~hole, left * hole, others, boundary.astype(np.float32)])


class SpatialModulation(nn.Module):
    """The matrices of all self-attention layers, and for each domain of pathways a function of the time.

    The function is 1 + a t + b t^2 with learned a and b, and starts as 1.

    Args:
        layers: names of the self-attention modules.
        domains: kinds of pathways.
    """

    def __init__(self, layers: Sequence[str], domains: int) -> None:
        super().__init__()
        self._places = {layer: place for place, layer in enumerate(layers)}
        penalty = -PENALTY * (1 - torch.eye(len(REGIONS)))
        self.matrices = nn.Parameter(penalty.repeat(len(layers), 1, 1))
        self.course = nn.Parameter(torch.zeros(domains, 2))

    def weights(self, layer: str, time: torch.Tensor, domains: torch.Tensor) -> torch.Tensor:
        """float[P, R, R]: a layer's matrix for each pathway.

        Args:
            layer: the module's name.
            time: float32[P], 1 is noise, 0 the picture.
            domains: int64[P], each pathway's domain.
        """
        time = time.to(self.course)
        scale = 1 + (self.course[domains] * torch.stack([time, time**2], dim=1)).sum(1)
        return scale[:, None, None] * self.matrices[self._places[layer]]

    def over(self, maps: torch.Tensor, grid: Grid, domains: torch.Tensor) -> Modulated:
        """The modulation of P pathways with the regions float[P, R, H, W]; see `RegionMaps`."""
        return Modulated(self, RegionMaps(maps, grid), domains)


@dataclass(frozen=True, eq=False)
class Modulated:
    """A `baselines.diffusion.attention.Modulation`: the matrices, applied to the pathways of one batch."""

    matrices: SpatialModulation
    maps: RegionMaps
    domains: torch.Tensor

    def attend(
        self,
        layer: str,
        time: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> Attended:
        """See `Modulation`."""
        weights = self.matrices.weights(layer, time, self.domains)
        return attend(query, key, value, maps=self.maps.at(query.shape[2]), weights=weights, labels=labels)
