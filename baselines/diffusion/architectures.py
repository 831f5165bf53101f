"""Networks by their sizes alone, with deterministic random weights: for tests, and to measure time and memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from mildbench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True)
class Architecture:
    """The sizes of an inpainting latent diffusion model of the SD-1.x family (9-channel UNet)."""

    unet: dict[str, Any]
    vae: dict[str, Any]
    """It has a block for each width, and halves the resolution between them."""
    text: dict[str, Any]
    schedule: dict[str, Any] = field(default_factory=dict)
    """Where it is not Stable Diffusion's."""


TINY = Architecture(
    # Attention from an eighth of the picture's resolution on: where the latents are finest, most of the time goes.
    unet={
        "sample_size": 32,
        "block_out_channels": (32, 64, 128, 192),
        "down_block_types": (
            "DownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ),
        "up_block_types": (
            "UpBlock2D",
            "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D",
            "UpBlock2D",
        ),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "attention_head_dim": 4,  # diffusers' name for the number of heads
        "cross_attention_dim": 128,
    },
    # A quarter of the resolution, as LDM-4 (Rombach et al., CVPR 2022) has it for inpainting.
    vae={
        "sample_size": 128,
        "block_out_channels": (16, 32, 64),
        "layers_per_block": 1,
        "norm_num_groups": 8,
    },
    text={
        "vocab_size": 514,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 128,
    },
    # With little training the large shapes and colours come first from v at pure noise (Lin et al., WACV 2024).
    schedule={
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
)
"""For 128 pixels: what can be trained without a GPU."""

SD_15 = Architecture(
    unet={
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "layers_per_block": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
    },
    vae={
        "sample_size": 512,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "norm_num_groups": 32,
    },
    text={
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "projection_dim": 768,
    },
)

ARCHITECTURES = {"tiny": TINY, "sd-1.5": SD_15}


def architecture(name: str) -> Architecture:
    """Look an architecture up; raises `UserError` for an unknown name."""
    if name not in ARCHITECTURES:
        raise UserError(f"unknown architecture {name!r}: {did_you_mean(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


def random_models(
    sizes: Architecture, seed: int = 0
) -> tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTokenizer, DDIMScheduler]:
    """Models of these sizes with weights drawn from `seed`: the same on every machine, whatever ran before."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    levels = len(sizes.vae["block_out_channels"])
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(in_channels=9, out_channels=4, **sizes.unet)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            latent_channels=4,
            scaling_factor=0.18215,
            **sizes.vae,
        )
        text = CLIPTextModel(CLIPTextConfig(max_position_embeddings=77, **_SPECIAL_IDS, **sizes.text))
    return unet, vae, text, byte_tokenizer(), ddim(**sizes.schedule)


_SPECIAL_IDS: dict[str, Any] = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}


def ddim(**changes: Any) -> DDIMScheduler:
    """Stable Diffusion's noise schedule but for `changes`, without randomness in the steps."""
    from diffusers import DDIMScheduler

    usual = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    return DDIMScheduler(**usual | changes)


def byte_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer over single bytes, without merges: 512 tokens and two marks, needs no vocabulary file."""
    from transformers import CLIPTokenizer

    letters = _printable_bytes()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)}, merges=[], model_max_length=77
    )


def _printable_bytes() -> list[str]:
    """256 characters that stand for the 256 bytes, as GPT-2 and CLIP choose them."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [*map(chr, shown), *(chr(256 + place) for place in range(len(hidden)))]
