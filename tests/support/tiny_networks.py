"""The large networks' architectures, tiny and with seeded random weights, as checkpoints in a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    SamConfig,
    SamModel,
)

from mildbench import weights

SAM_SIDE = 256


def dinov2() -> Dinov2Model:
    return _seeded(
        Dinov2Model(
            Dinov2Config(
                hidden_size=24,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=70,
                patch_size=14,
                use_swiglu_ffn=True,
            )
        )
    )


def clip() -> CLIPModel:
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "projection_dim": 12,
    }
    return _seeded(
        CLIPModel(
            CLIPConfig(
                text_config={
                    **sizes,
                    "vocab_size": 20,
                    "bos_token_id": 0,
                    "eos_token_id": 1,
                    "pad_token_id": 2,
                },
                vision_config={**sizes, "image_size": 56, "patch_size": 14},
                projection_dim=12,
            )
        )
    )


def sam() -> SamModel:
    """It expects all its answers to be good, and is certain of where they end, so that some are let through."""
    network = _seeded(
        SamModel(
            SamConfig(
                vision_config={
                    "hidden_size": 16,
                    "output_channels": 16,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": SAM_SIDE,
                    "patch_size": 16,
                    "window_size": 4,
                    "global_attn_indexes": [1],
                    "num_pos_feats": 8,
                    "mlp_dim": 32,
                },
                prompt_encoder_config={
                    "hidden_size": 16,
                    "image_size": SAM_SIDE,
                    "patch_size": 16,
                    "mask_input_channels": 4,
                },
                mask_decoder_config={
                    "hidden_size": 16,
                    "mlp_dim": 32,
                    "num_attention_heads": 2,
                    "iou_head_hidden_dim": 16,
                },
            )
        )
    )
    with torch.no_grad():
        decoder = network.mask_decoder
        decoder.iou_prediction_head.proj_out.weight.mul_(0.1)
        decoder.iou_prediction_head.proj_out.bias.fill_(0.9)
        for head in decoder.output_hypernetworks_mlps:
            head.proj_out.weight.mul_(3000)
    return network


def _seeded(network: Any) -> Any:
    """Weights that keep the signal's size, so that pictures differ in the features."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and "norm" not in name:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
            elif "lambda" in name:
                parameter.fill_(1)
    return network.eval()


def checkpoints(folder: Path) -> dict[str, Any]:
    """Saves all three under `folder` by their names in the manifest; the networks themselves."""
    networks = {"dinov2-giant": dinov2(), "clip-vit-large-336": clip(), "sam-vit-huge": sam()}
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    # CLIP's checkpoint is a pickle of tensors.
    torch.save(
        networks["clip-vit-large-336"].state_dict(), folder / "clip-vit-large-336" / "pytorch_model.bin"
    )
    return networks


def installed(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes the checkpoints under `folder` those of the cache."""
    patch.setattr(weights, "resolve_folder", lambda name: folder / name)
