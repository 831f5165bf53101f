"""Backbones with FLUX's transformer: FLUX-Fill (Black Forest Labs, 2024), by diffusers' classes.

Latents and prompt are one stream of tokens, a token to 2 x 2 latents, with rotary positions; the schedule is that of
flow matching; guidance was distilled into the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from baselines.diffusion.attention import RegionAttention
from baselines.diffusion.backbone import Backbone, Course, Inputs, Noised
from baselines.diffusion.text import TextEmbedding, tokens_of

PATCH = 2
"""Latents to a token, in each direction."""
SIDE = 128
"""Latents of the side that FLUX was trained at."""
WORDS = 512
"""Tokens of a prompt, as the pipeline has it."""


@dataclass(eq=False)
class FluxText:
    """CLIP's pooled output, and T5's tokens."""

    tokenizers: tuple[Any, Any]
    models: tuple[Any, Any]

    def __call__(self, prompts: Sequence[str]) -> TextEmbedding:
        """Encode P prompts; each distinct one is encoded once. T5 reads `WORDS` tokens of it, CLIP 77."""
        distinct = list(dict.fromkeys(prompts))
        (clip_words, t5_words), (clip, t5) = self.tokenizers, self.models
        pooled = clip(
            tokens_of(clip_words, distinct, clip_words.model_max_length).to(clip.device)
        ).pooler_output
        tokens = t5(tokens_of(t5_words, distinct, WORDS).to(t5.device))[0]
        return TextEmbedding(tokens, pooled).take([distinct.index(prompt) for prompt in prompts])


class FlowCourse(Course):
    """A run of flow matching: noise and picture are mixed by their share."""

    def begin(self, start: torch.Tensor | None, noise: torch.Tensor) -> torch.Tensor:
        return noise if start is None else self.noised(start, noise, self.timesteps[0])

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return self.scheduler.scale_noise(latents, timestep.repeat(len(latents)), noise)

    def scaled(self, latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        return latents


class FluxFillBackbone(Backbone):
    """diffusers' `FluxTransformer2DModel`, whose inputs are the latent, the latent of the picture with the hole cut
    out, and the hole's pixels."""

    part = "transformer"
    distilled = True
    draws_start = True
    text_tokens = WORDS

    def attend_by(self, attention: RegionAttention) -> list[str]:
        layers = [name.removesuffix(".processor") for name in self.network.attn_processors]
        self.network.set_attn_processor(
            {f"{layer}.processor": _JointProcessor(layer, attention) for layer in layers}
        )
        return layers

    @property
    def inpainting_channels(self) -> int:
        return PATCH**2 * (2 * self.latent_channels + self.factor**2)

    @property
    def painting_channels(self) -> int:
        return PATCH**2 * self.latent_channels

    @property
    def composing(self) -> frozenset[str]:
        """Those where prompt and picture are one stream."""
        return frozenset(layer for layer in self.attention.layers if layer.startswith("single_"))

    @property
    def multiple(self) -> int:
        return self.factor * PATCH

    @property
    def resolution(self) -> int:
        return SIDE * self.factor

    @property
    def entries(self) -> list[tuple[int, int]]:
        """After each block of two streams, where ControlNets enter."""
        return [(int(self.network.inner_dim), PATCH)] * len(self.network.transformer_blocks)

    def course(self, steps: int, strength: float, size: tuple[int, int], *, exact: bool = False) -> Course:
        """As the pipeline chooses the steps, shifted towards noise the more tokens there are; unless `exact`."""
        scheduler = self.scheduler()
        config = scheduler.config
        tokens = size[0] // self.multiple * (size[1] // self.multiple)
        fewest, most = config.base_image_seq_len, config.max_image_seq_len
        slope = (config.max_shift - config.base_shift) / (most - fewest)
        shift = tokens * slope + config.base_shift - slope * fewest
        count = int(config.num_train_timesteps)
        begin = 1.0
        if exact and strength < 1:
            # What is shifted to `strength`: looked up among all times.
            plain = np.linspace(1.0, 1 / count, count)
            scheduler.set_timesteps(sigmas=plain, mu=shift)
            begin = float(np.interp(strength, scheduler.sigmas[:-1].numpy()[::-1], plain[::-1]))
        scheduler.set_timesteps(sigmas=np.linspace(begin, begin / steps, steps), device=self.device, mu=shift)
        first = 0 if exact else int(max(steps - min(steps * strength, steps), 0))
        scheduler.set_begin_index(first)
        return FlowCourse(scheduler, scheduler.timesteps[first:], count)

    def known(self, holes: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """Tokens float[P, N, (C + f f) 4]: latents, and the f x f pixels of the hole in each, as channels."""
        pixels = torch.nn.functional.pixel_unshuffle(holes, self.factor).to(picture.dtype)
        return torch.cat([_packed(picture), _packed(pixels)], dim=2)

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        height, width = latents.shape[2] // PATCH, latents.shape[3] // PATCH
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).flatten(0, 1)
        shared: dict[str, Any] = {"device": latents.device, "dtype": latents.dtype}
        guidance = None
        if self.network.config.guidance_embeds:
            guidance = torch.full((len(latents),), inputs.guidance, device=latents.device)
        packed, residuals = _packed(latents), inputs.residuals
        made = self.network(
            packed if inputs.known is None else torch.cat([packed, inputs.known], dim=2),
            encoder_hidden_states=inputs.prompts.tokens,
            pooled_projections=inputs.prompts.pooled,
            timestep=timesteps.expand(len(latents)).to(latents.dtype)
            / self.noise_schedule.config.num_train_timesteps,
            img_ids=places.to(**shared),
            txt_ids=torch.zeros(inputs.prompts.tokens.shape[1], 3, **shared),
            guidance=guidance,
            controlnet_block_samples=None
            if residuals is None
            else [part.flatten(2).transpose(1, 2) for part in residuals],
            return_dict=False,
        )[0]
        return torch.nn.functional.pixel_shuffle(made.transpose(1, 2).unflatten(2, (height, width)), PATCH)

    def noised(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> Noised:
        # The last of the training times is noise alone.
        count = self.noise_schedule.config.num_train_timesteps
        share = ((timesteps + 1) / count).view(-1, 1, 1, 1).to(latents)
        noisy = (1 - share) * latents + share * noise
        return Noised(noisy, noise - latents, lambda prediction: noisy - share * prediction)


def _packed(latents: torch.Tensor) -> torch.Tensor:
    """float[P, C, h, w] -> tokens float[P, N, 4 C]: of each patch channel by channel, row by row."""
    return torch.nn.functional.pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


class _JointProcessor:
    """diffusers' attention processor of one layer: of a block of two streams, or of a block where they are one."""

    def __init__(self, layer: str, attention: RegionAttention) -> None:
        self._layer = layer
        self._attention = attention

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: Any = None,
    ) -> Any:
        """float[B, N, C], and float[B, T, C] where the prompt is a stream of its own -> the same."""
        from diffusers.models.embeddings import apply_rotary_emb

        def heads(projected: torch.Tensor) -> torch.Tensor:
            return projected.unflatten(2, (attn.heads, -1)).transpose(1, 2)

        query, key, value = (heads(project(hidden_states)) for project in (attn.to_q, attn.to_k, attn.to_v))
        query, key = attn.norm_q(query), attn.norm_k(key)
        text = 0
        if encoder_hidden_states is not None:
            text = encoder_hidden_states.shape[1]
            words = [
                heads(project(encoder_hidden_states))
                for project in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            ]
            query = torch.cat([attn.norm_added_q(words[0]), query], dim=2)
            key = torch.cat([attn.norm_added_k(words[1]), key], dim=2)
            value = torch.cat([words[2], value], dim=2)
        if image_rotary_emb is not None:
            turned: Any = [apply_rotary_emb(each, image_rotary_emb) for each in (query, key)]
            query, key = turned  # tensors, whatever diffusers' annotation says
        out = self._attention.attend(self._layer, query, key, value).transpose(1, 2).flatten(2)
        if encoder_hidden_states is None:
            return out
        dropout, projection = attn.to_out[1], attn.to_out[0]
        return dropout(projection(out[:, text:])), attn.to_add_out(out[:, :text])
