"""One denoising loop for every method: P pathways in one batch.

With one pathway and nothing added it computes what diffusers' `StableDiffusionInpaintPipeline` computes from
the same weights, scheduler and generator.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from baselines.diffusion.attention import Modulation, Recorder, RegionAttention
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.text import TextEmbedding
from mildbench.errors import UserError


@dataclass(frozen=True, eq=False)
class Pathways:
    """P pictures with holes to be filled, of one size."""

    pictures: torch.Tensor
    """float[P, 3, H, W] in [-1, 1]; what is in the hole is not looked at."""
    holes: torch.Tensor
    """float[P, 1, H, W], 1 where the picture is to be made."""
    prompts: TextEmbedding
    """P prompts."""
    seeds: Sequence[int]
    """P seeds: of the noise, and of whatever else is drawn. Equal seeds start from equal noise."""
    start: torch.Tensor | None = None
    """float[P, 3, H, W] in [-1, 1]: the picture to start from, noised as far as `Settings.strength` says."""
    residuals: Sequence[torch.Tensor] | None = None
    """What a T2I-Adapter adds to the UNet's down blocks: one float[P, C, h, w] a block."""

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
    """Of the whole schedule; with a strength below 1 the first ones are left out."""
    guidance: float = 1.0
    """Scale of classifier-free guidance; 1 is none, and then the unconditional half is not computed."""
    strength: float = 1.0
    """How much of the schedule is run, 0 to 1; below 1 it starts from `Pathways.start`."""

    @classmethod
    def checked(cls, method: str, steps: int, guidance: float = 1.0, strength: float = 1.0) -> Settings:
        """Settings from a method's options; raises `UserError` for one out of range."""
        if steps < 1:
            raise UserError(f"method {method!r}: steps={steps}: give 1 or more")
        if not 1 <= guidance < math.inf:
            raise UserError(
                f"method {method!r}: guidance={guidance}: give a number of at least 1 (1 is none)"
            )
        if not 0 < strength <= 1 or int(steps * strength) < 1:
            raise UserError(
                f"method {method!r}: strength={strength} with steps={steps} leaves nothing to do: "
                "give a strength above 0 and up to 1, and more steps"
            )
        return cls(steps, guidance, strength)


@torch.no_grad()
def denoise(
    backbone: Backbone,
    pathways: Pathways,
    settings: Settings,
    *,
    negative: TextEmbedding | None = None,
    attention: RegionAttention | None = None,
    modulation: Modulation | None = None,
    recorder: Recorder | None = None,
) -> torch.Tensor:
    """Denoise all pathways together; returns their scaled latents float[P, 4, h, w].

    Args:
        backbone: its UNet may carry adapters and the processors of `attention`.
        pathways: what to make.
        settings: how.
        negative: the prompts to be guided away from; needed with guidance.
        attention: needed with a modulation or a recorder; of the backbone's UNet.
        modulation: changes self-attention.
        recorder: collects attention masses.
    """
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in pathways.seeds]
    scheduler = backbone.scheduler()
    timesteps = _timesteps(scheduler, settings, backbone.device)
    guided = settings.guidance != 1.0
    if guided and negative is None:
        raise ValueError("guidance needs negative prompts")

    latents = _first_latents(backbone, pathways, settings, scheduler, timesteps, generators)
    known = _known(backbone, pathways, generators, latents.shape[2:])
    halves = 2 if guided else 1
    known = torch.cat([known] * halves)
    prompts = TextEmbedding.cat([negative, pathways.prompts]) if negative and guided else pathways.prompts
    conditions = further_conditions(backbone, prompts, pathways.size)
    extra = _step_arguments(scheduler, generators)
    for timestep in timesteps:
        noisy = scheduler.scale_model_input(torch.cat([latents] * halves), timestep)
        time = torch.full((len(pathways),), float(timestep) / scheduler.config.num_train_timesteps)
        prediction = predict(
            backbone,
            torch.cat([noisy, known], dim=1),
            timestep,
            prompts.tokens,
            conditions,
            None
            if pathways.residuals is None
            else [torch.cat([part] * halves) for part in pathways.residuals],
            attention=attention,
            time=time,
            modulation=modulation,
            recorder=recorder,
        )
        if guided:
            away, towards = prediction.chunk(2)
            prediction = away + settings.guidance * (towards - away)
        latents = scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]
    return latents


def predict(
    backbone: Backbone,
    inputs: torch.Tensor,
    timestep: torch.Tensor,
    prompts: torch.Tensor,
    conditions: dict[str, torch.Tensor] | None,
    residuals: Sequence[torch.Tensor] | None,
    *,
    attention: RegionAttention | None,
    time: torch.Tensor,
    modulation: Modulation | None,
    recorder: Recorder | None,
) -> torch.Tensor:
    """One pass of the UNet over float[B, 9, h, w]; sampling and training both go through it.

    `timestep` is the schedule's, one or B; `time` is the same as float32[P] on the CPU, 1 noise and 0 picture.
    """

    def forward() -> torch.Tensor:
        return backbone.unet(
            inputs,
            timestep,
            encoder_hidden_states=prompts,
            added_cond_kwargs=conditions,
            # The UNet empties the list that it is given.
            down_intrablock_additional_residuals=None if residuals is None else list(residuals),
            return_dict=False,
        )[0]

    if attention is None:
        if modulation is not None or recorder is not None:
            raise ValueError("a modulation or a recorder needs `attention`")
        return forward()
    with attention.during(time, modulation, recorder):
        return forward()


def _timesteps(scheduler: Any, settings: Settings, device: torch.device) -> torch.Tensor:
    """The schedule's steps that are run, as diffusers' image-to-image pipelines choose them."""
    scheduler.set_timesteps(settings.steps, device=device)
    skipped = max(settings.steps - min(int(settings.steps * settings.strength), settings.steps), 0)
    first = skipped * scheduler.order
    if first >= len(scheduler.timesteps):
        raise ValueError(f"strength {settings.strength} leaves none of {settings.steps} steps")
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    return scheduler.timesteps[first:]


def _first_latents(
    backbone: Backbone,
    pathways: Pathways,
    settings: Settings,
    scheduler: Any,
    timesteps: torch.Tensor,
    generators: Sequence[torch.Generator],
) -> torch.Tensor:
    # Draws come in the pipeline's order: the start's posterior, the noise, the known part's posterior.
    start = None
    if settings.strength < 1:
        if pathways.start is None:
            raise ValueError("a strength below 1 needs a picture to start from")
        start = backbone.encode(pathways.start, generators)
    height, width = (side // backbone.factor for side in pathways.size)
    shape = (1, backbone.vae.config.latent_channels, height, width)
    # On the CPU in float32, so that every device and precision starts from the same noise.
    drawn = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
    noise = drawn.to(device=backbone.device, dtype=backbone.dtype)
    if start is None:
        return noise * scheduler.init_noise_sigma
    return scheduler.add_noise(start, noise, timesteps[:1].repeat(len(pathways)))


def _known(
    backbone: Backbone,
    pathways: Pathways,
    generators: Sequence[torch.Generator],
    size: torch.Size,
) -> torch.Tensor:
    """The UNet's five constant channels: the hole, and the latent of the picture with the hole in grey."""
    holes = pathways.holes
    cut = backbone.encode(pathways.pictures * (1 - holes), generators)
    return torch.cat([F.interpolate(holes, size=tuple(size)).to(cut.dtype), cut], dim=1)


def further_conditions(
    backbone: Backbone, prompts: TextEmbedding, size: tuple[int, int]
) -> dict[str, torch.Tensor] | None:
    """SDXL's further conditions: the pooled prompt, and sizes that say `not cropped`."""
    if prompts.pooled is None:
        return None
    sizes = torch.tensor([[*size, 0, 0, *size]], device=backbone.device, dtype=prompts.pooled.dtype)
    return {"text_embeds": prompts.pooled, "time_ids": sizes.repeat(len(prompts), 1)}


def _step_arguments(scheduler: Any, generators: Sequence[torch.Generator]) -> dict[str, Any]:
    """Schedulers that draw noise in their steps draw it from the samples' own generators."""
    known = inspect.signature(scheduler.step).parameters
    return {"generator": list(generators)} if "generator" in known else {}
