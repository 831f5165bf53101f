"""What the diffusion methods ask of a backbone. Each family of networks is a file of its own that answers it."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from baselines.diffusion.attention import Grid, RegionAttention
from baselines.diffusion.text import Text, TextEmbedding


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the network is told beside the noisy latents, of B pathways: B is twice P with classifier-free guidance."""

    known: torch.Tensor | None
    """What `Backbone.known` gave; None for a network that is not for inpainting."""
    prompts: TextEmbedding
    size: tuple[int, int]
    """Height and width in pixels."""
    residuals: Sequence[torch.Tensor] | None = None
    """One float[B, C, h, w] for each of `Backbone.entries`, added there."""
    guidance: float = 1.0
    """For a network that was distilled with guidance."""

    def doubled(self, negative: TextEmbedding) -> Inputs:
        """Everything twice, first with the prompts to be guided away from."""
        residuals = None if self.residuals is None else [torch.cat([part] * 2) for part in self.residuals]
        prompts = TextEmbedding.cat([negative, self.prompts])
        known = None if self.known is None else torch.cat([self.known] * 2)
        return replace(self, known=known, prompts=prompts, residuals=residuals)


@dataclass(frozen=True, eq=False)
class Noised:
    """Latents on which a network is trained."""

    latents: torch.Tensor
    """float[P, C, h, w], noisy."""
    wanted: torch.Tensor
    """float[P, C, h, w]: what the network is to predict."""
    clean: Callable[[torch.Tensor], torch.Tensor]
    """A prediction -> the latents without noise that follow from it."""


class Course:
    """One sampling run: at which times the network is asked, and how its predictions lead from noise to a picture.

    `scheduler` is diffusers', its steps set; `timesteps` are those that are run, of `count` that there are.
    """

    def __init__(self, scheduler: Any, timesteps: torch.Tensor, count: int) -> None:
        if not len(timesteps):
            raise ValueError("no step is left to be run")
        self.scheduler = scheduler
        self.timesteps = timesteps
        self._count = count
        self._draws = "generator" in inspect.signature(scheduler.step).parameters

    def time(self, timestep: torch.Tensor) -> float:
        """Of a timestep, a scalar: 1 is noise, 0 the picture."""
        return float(timestep) / self._count

    def begin(self, start: torch.Tensor | None, noise: torch.Tensor) -> torch.Tensor:
        """The first latents, float[B, C, h, w]: `noise`, or what to `start` from with as much of it as the first time
        has."""
        if start is None:
            return noise * self.scheduler.init_noise_sigma
        return self.noised(start, noise, self.timesteps[0])

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """float[B, C, h, w]: clean latents as they are at a time of the run."""
        return self.scheduler.add_noise(latents, noise, timestep.repeat(len(latents)))

    def scaled(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """float[B, C, h, w]: latents as the network takes them."""
        return self.scheduler.scale_model_input(latents, timestep)

    def step(
        self,
        prediction: torch.Tensor,
        timestep: torch.Tensor,
        latents: torch.Tensor,
        generators: Sequence[torch.Generator],
    ) -> torch.Tensor:
        """float[B, C, h, w]: the latents of the next time, by the network's prediction for these, of the same shape.

        Schedulers that draw noise draw it from the samples' own generators.
        """
        extra = {"generator": list(generators)} if self._draws else {}
        return self.scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]


class Backbone(ABC):
    """A latent diffusion model, frozen and in evaluation mode; for inpainting, or one that paints whole pictures.

    Latents are float[P, C, h, w], whatever the network makes of them. Its attention is `attention`'s.
    """

    part: ClassVar[str]
    """What diffusers calls the network in a checkpoint, and before the keys of an adapter."""
    distilled = False
    """Whether guidance is an input of the network. Then there is no classifier-free guidance."""
    draws_start = False
    """Whether the pipeline draws the posterior of a start even where nothing of it is left."""
    text_tokens = 0
    """Tokens of the prompt that the attention layers have before those of the picture."""

    def __init__(self, name: str, network: Any, vae: Any, text: Text, noise_schedule: Any) -> None:
        """Takes the network's attention over.

        Args:
            name: as `baselines.diffusion.checkpoints.load_backbone` takes it.
            network: diffusers' model that predicts.
            vae: diffusers' `AutoencoderKL`.
            text: the prompts' encoder.
            noise_schedule: the checkpoint's own scheduler; `course` steps with copies.
        """
        self.name = name
        self.network = network
        self.vae = vae
        self.text = text
        self.noise_schedule = noise_schedule
        self.attention = RegionAttention()
        self.attention.layers += self.attend_by(self.attention)

    @abstractmethod
    def attend_by(self, attention: RegionAttention) -> list[str]:
        """Let `attention.attend` compute what self-attention, or attention over a joint stream, does in every layer.

        Returns the layers' names.
        """

    @property
    @abstractmethod
    def inpainting_channels(self) -> int:
        """Input channels of a network of this family that is for inpainting."""

    @property
    @abstractmethod
    def painting_channels(self) -> int:
        """Input channels of one that paints whole pictures."""

    @property
    @abstractmethod
    def composing(self) -> frozenset[str]:
        """The layers of `attention` in which the network puts its answer together: the second half, roughly."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Height and width in pixels must be multiples of this."""

    @property
    @abstractmethod
    def resolution(self) -> int:
        """Pixels of the side that the checkpoint was trained at."""

    @property
    @abstractmethod
    def entries(self) -> list[tuple[int, int]]:
        """Where residuals enter the network: of each place the channels, and latents to a unit in each direction."""

    @abstractmethod
    def course(self, steps: int, strength: float, size: tuple[int, int], *, exact: bool = False) -> Course:
        """A run of the checkpoint's scheduler on pictures of this height and width in pixels.

        `steps` are of the whole schedule, and `strength`, 0 to 1, is how much of it is run: the first are left out
        below 1. If `exact`, all are run, and the first is at the time `strength`.
        """

    @abstractmethod
    def known(self, holes: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """What the network is told of the picture in every step.

        Args:
            holes: float[P, 1, H, W], 1 where the picture is to be made.
            picture: float[P, C, h, w], the latents of the picture, usually with the hole in grey.
        """

    @abstractmethod
    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """One pass of the network over float[B, C, h, w], scaled as it takes them; sampling and training go through it.

        `timesteps` are the schedule's, one or B.
        """

    @abstractmethod
    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> Noised:
        """Latents and noise float[P, C, h, w] mixed for training, at int64[P] of the schedule's training times."""

    @property
    def inpaints(self) -> bool:
        """Whether the network is told of the picture. If not, what is known is put back after every step."""
        return bool(self.network.config.in_channels == self.inpainting_channels)

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    @property
    def factor(self) -> int:
        """Pixels to a latent, in each direction."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    def grid(self, size: tuple[int, int]) -> Grid:
        """How the attention layers see pictures of this height and width in pixels."""
        return Grid(size[0] // self.factor, size[1] // self.factor, self.text_tokens)

    def scheduler(self) -> Any:
        """A scheduler of its own, since stepping changes it."""
        return copy.deepcopy(self.noise_schedule)

    def encode(self, pictures: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Pictures float[P, 3, H, W] in [-1, 1] -> scaled latents float[P, C, H/f, W/f], one draw a picture.

        One picture at a time, in the VAE's own precision: memory stays small, and no latent depends on the
        batch.
        """
        latents = []
        for picture, generator in zip(pictures, generators, strict=True):
            posterior = self.vae.encode(picture[None].to(self.vae.dtype)).latent_dist
            latents.append(posterior.sample(generator))
        return self.scaled(torch.cat(latents)).to(self.dtype)

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents as the VAE makes them -> as the network takes them."""
        return (latents - self._shift) * self.vae.config.scaling_factor

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents float[P, C, h, w] -> pictures float32[P, 3, H, W] in about [-1, 1]."""
        unscaled = (latents / self.vae.config.scaling_factor + self._shift).to(self.vae.dtype)
        return torch.cat([self.vae.decode(latent[None]).sample.float() for latent in unscaled])

    @property
    def _shift(self) -> float:
        return getattr(self.vae.config, "shift_factor", None) or 0.0
