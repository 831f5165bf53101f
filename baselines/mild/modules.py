"""What MILD adds to a backbone: the modules that are trained, and how they act on a batch of pathways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.parts import load_part, save_part, seeded
from baselines.diffusion.routing import DomainLora
from baselines.diffusion.sampler import Pathways
from baselines.mild.alpha import AlphaHead
from baselines.mild.guidance import GuidanceEncoder
from baselines.mild.modulation import Modulated, SpatialModulation

DOMAINS = ("background", "instance")
"""Kinds of pathways, and the names of their adapters."""

SHARED = ("shared",)
"""The one adapter without routing."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """P pathways as tensors on the backbone's device."""

    pathways: Pathways
    """Without residuals: the guidance makes them."""
    domains: torch.Tensor
    """int64[P]: places in `DOMAINS`."""
    visible: torch.Tensor
    """float[P, 1, H, W]: how much of each pixel shows what the pathway makes."""
    guidance: torch.Tensor
    """float[P, CHANNELS, H, W]: see `baselines.mild.guidance.channels`."""
    regions: torch.Tensor
    """float32[P, R, H, W]: see `baselines.mild.modulation.regions`."""


@dataclass(eq=False)
class Modules:
    """The trained modules; None for one that an ablation leaves out."""

    backbone: Backbone
    lora: DomainLora
    guidance: GuidanceEncoder | None
    modulation: SpatialModulation | None
    alpha: AlphaHead | None

    @classmethod
    def fresh(
        cls,
        backbone: Backbone,
        *,
        routed: bool,
        guided: bool,
        modulated: bool,
        layered: bool,
        seed: int = 0,
    ) -> Modules:
        """Untrained modules for this backbone, the same on every machine. Its network's projections are replaced.

        The adapters and the guidance change nothing yet, the modulation a little (see `PENALTY`), and the
        alpha head finds nothing hidden.

        Args:
            backbone: the modules go to its device; those that work on its tensors take its dtype.
            routed: an adapter for each domain; otherwise one for all.
            guided: with Human Morphology Guidance.
            modulated: with Spatially-Modulated Attention.
            layered: with an alpha head.
            seed: of the random weights.
        """
        device, dtype, factor = backbone.device, backbone.dtype, backbone.factor

        def build() -> Modules:
            return cls(
                backbone,
                DomainLora(backbone, DOMAINS if routed else SHARED),
                GuidanceEncoder(backbone.entries, factor).to(device, dtype) if guided else None,
                # In float32: a matrix is tiny, and small steps of training must not be lost.
                SpatialModulation(backbone.attention.layers, len(DOMAINS)).to(device) if modulated else None,
                AlphaHead(backbone.latent_channels, factor).to(device, dtype) if layered else None,
            )

        return seeded(build, seed)

    def parts(self) -> dict[str, nn.Module]:
        """The modules beside the adapters; each is stored in `<name>.safetensors`."""
        named = {"guidance": self.guidance, "modulation": self.modulation, "alpha": self.alpha}
        return {name: part for name, part in named.items() if part is not None}

    def parameters(self) -> list[nn.Parameter]:
        """All that is to be trained; the backbone stays as it is."""
        return [
            *self.lora.parameters(),
            *(each for part in self.parts().values() for each in part.parameters()),
        ]

    def save(self, folder: Path) -> None:
        """Write a file for each adapter and each part."""
        self.lora.save(folder)
        for name, part in self.parts().items():
            save_part(part, folder / f"{name}.safetensors")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote; raises `UserError` where a file is missing or does not fit the backbone."""
        self.lora.load(folder)
        for name, part in self.parts().items():
            load_part(part, folder / f"{name}.safetensors")

    @contextmanager
    def applied(self, conditions: Conditions) -> Iterator[tuple[list[torch.Tensor] | None, Modulated | None]]:
        """Within it the network takes each pathway's adapter; gives the residuals and the modulation to pass to it.

        Sampling and training both go through it. Gradients reach all modules but the alpha head.
        """
        residuals = None if self.guidance is None else self.guidance(conditions.guidance)
        modulation = None
        if self.modulation is not None:
            grid = self.backbone.grid(conditions.pathways.size)
            modulation = self.modulation.over(conditions.regions, grid, conditions.domains)
        # A single adapter is everybody's.
        last = len(self.lora.names) - 1
        with self.lora.routed([min(domain, last) for domain in conditions.domains.tolist()]):
            yield residuals, modulation

    def mattes(self, conditions: Conditions, latents: torch.Tensor, rows: list[int]) -> torch.Tensor:
        """Logits of the mattes of some pathways, float[len(rows), 1, H, W]; needs the alpha head.

        `latents`: float[P, C, h, w] of all pathways.
        """
        if self.alpha is None:
            raise ValueError("a single pathway has no mattes")
        return self.alpha(latents[rows], conditions.visible[rows], conditions.pathways.holes[rows])
