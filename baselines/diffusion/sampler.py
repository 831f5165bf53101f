"""One denoising loop for every method: P pathways in one batch.

With one pathway and nothing added it computes what diffusers' inpainting pipeline of the backbone's family computes
from the same weights, scheduler and generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from baselines.diffusion.attention import Modulation, Recorder
from baselines.diffusion.backbone import Backbone, Inputs
from baselines.diffusion.text import TextEmbedding
from mildbench.errors import UserError


@dataclass(frozen=True, eq=False)
class Pathways:
    """P pictures with holes to be filled, of one size."""

    pictures: torch.Tensor
    """float[P, 3, H, W] in [-1, 1]."""
    holes: torch.Tensor
    """float[P, 1, H, W], 1 where the picture is to be made."""
    prompts: TextEmbedding
    """P prompts."""
    seeds: Sequence[int]
    """P seeds: of the noise, and of whatever else is drawn. Equal seeds start from equal noise."""
    start: torch.Tensor | None = None
    """float[P, 3, H, W] in [-1, 1]: the picture to start from, noised as far as `Settings.strength` says; of a network
    that does not inpaint also the picture that stays outside the holes."""
    residuals: Sequence[torch.Tensor] | None = None
    """What an adapter adds within the network: one float[P, C, h, w] for each of `Backbone.entries`."""
    cut: bool = True
    """Whether the network is told of the pictures with the holes cut out; if not, of what is in the holes too."""

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pictures.shape[2]), int(self.pictures.shape[3])


@dataclass(frozen=True)
class Settings:
    """How to sample."""

    steps: int = 30
    """Of the whole schedule; with a strength below 1 the first ones are left out, unless `exact`."""
    guidance: float = 1.0
    """Scale of guidance; with classifier-free guidance 1 is none, and then the unconditional half is not computed."""
    strength: float = 1.0
    """How much of the schedule is run, 0 to 1; below 1 it starts from `Pathways.start`."""
    exact: bool = False
    """Whether the first of the steps is at the time `strength` itself, and all are run."""

    @classmethod
    def checked(
        cls, method: str, steps: int, guidance: float = 1.0, strength: float = 1.0, *, exact: bool = False
    ) -> Settings:
        """Settings from a method's options; raises `UserError` for one out of range."""
        if steps < 1:
            raise UserError(f"method {method!r}: steps={steps}: give 1 or more")
        if not 1 <= guidance < math.inf:
            raise UserError(
                f"method {method!r}: guidance={guidance}: give a number of at least 1 (1 is none)"
            )
        if not 0 < strength <= 1 or (int(steps * strength) < 1 and not exact):
            raise UserError(
                f"method {method!r}: strength={strength} with steps={steps} leaves nothing to do: "
                "give a strength above 0 and up to 1, and more steps"
            )
        return cls(steps, guidance, strength, exact)


@torch.no_grad()
def denoise(
    backbone: Backbone,
    pathways: Pathways,
    settings: Settings,
    *,
    negative: TextEmbedding | None = None,
    modulation: Modulation | None = None,
    recorder: Recorder | None = None,
) -> torch.Tensor:
    """Denoise all pathways together; returns their scaled latents float[P, C, h, w].

    Args:
        backbone: its network may carry adapters.
        pathways: what to make.
        settings: how.
        negative: P prompts to be guided away from, by classifier-free guidance; needed with guidance, unless the
            backbone was distilled with it. The same prompts guide away from what is not modulated.
        modulation: changes self-attention.
        recorder: collects attention masses.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in pathways.seeds]
    course = backbone.course(settings.steps, settings.strength, pathways.size, exact=settings.exact)
    guided = settings.guidance != 1.0 and not backbone.distilled
    if guided and negative is None:
        raise ValueError("guidance needs negative prompts")

    start, noise = _drawn(backbone, pathways, settings, generators)
    latents = course.begin(start if settings.strength < 1 else None, noise)
    known = None
    if backbone.inpaints:
        told = pathways.pictures * (1 - pathways.holes) if pathways.cut else pathways.pictures
        known = backbone.known(pathways.holes, backbone.encode(told, generators))
    inputs = Inputs(
        known,
        pathways.prompts,
        pathways.size,
        pathways.residuals,
        settings.guidance,
    )
    if guided and negative is not None:
        inputs = inputs.doubled(negative)
    for place, timestep in enumerate(course.timesteps):
        noisy = course.scaled(torch.cat([latents] * (2 if guided else 1)), timestep)
        time = torch.full((len(pathways),), course.time(timestep))
        with backbone.attention.during(time, modulation, recorder):
            prediction = backbone.predict(noisy, timestep, inputs)
        if guided:
            away, towards = prediction.chunk(2)
            prediction = away + settings.guidance * (towards - away)
        latents = course.step(prediction, timestep, latents, generators)
        if not backbone.inpaints and start is not None:
            # What is known is put back, as noisy as the rest.
            later = course.timesteps[place + 1 :]
            seen = course.noised(start, noise, later[0]) if len(later) else start
            latents = torch.where(F.interpolate(pathways.holes, size=latents.shape[2:]) > 0, latents, seen)
    return latents


def _drawn(
    backbone: Backbone, pathways: Pathways, settings: Settings, generators: Sequence[torch.Generator]
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """The latents to start from, if any, and noise; drawn in the pipelines' order."""
    grid = backbone.grid(pathways.size)
    shape = (1, backbone.latent_channels, grid.height, grid.width)

    def draw() -> torch.Tensor:
        # On the CPU in float32, so that every device and precision starts from the same noise.
        drawn = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
        return drawn.to(device=backbone.device, dtype=backbone.dtype)

    start = None
    if settings.strength < 1 or not backbone.inpaints:
        if pathways.start is None:
            raise ValueError(
                "a strength below 1, or a network that does not inpaint, needs a picture to start from"
            )
        start = backbone.encode(pathways.start, generators)
    elif backbone.draws_start:
        draw()
    return start, draw()
