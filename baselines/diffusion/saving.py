"""Write a backbone as a folder in diffusers' format, which `load_backbone` and diffusers read."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from baselines.diffusion.backbone import Backbone
from baselines.diffusion.unet import UNetBackbone
from mildbench.files import write_json
from mildbench.progress import no_bars


def save_backbone(backbone: Backbone, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write all parts as safetensors of `dtype`, and `model_index.json` last; of a backbone with a UNet."""
    import diffusers

    assert isinstance(backbone, UNetBackbone), "only backbones with a UNet are trained whole"
    parts: dict[str, Any] = {
        backbone.part: backbone.network,
        "vae": backbone.vae,
        "scheduler": backbone.noise_schedule,
    }
    sdxl = len(backbone.text.models) == 2
    for number, (tokenizer, model) in enumerate(
        zip(backbone.text.tokenizers, backbone.text.models, strict=True), start=1
    ):
        suffix = "" if number == 1 else f"_{number}"
        parts |= {f"tokenizer{suffix}": tokenizer, f"text_encoder{suffix}": model}
    for name, part in parts.items():
        if isinstance(part, torch.nn.Module):
            part = copy.deepcopy(part)
            torch.nn.Module.to(part, device="cpu", dtype=dtype)  # diffusers' own `to` warns without a reason
        with no_bars():
            part.save_pretrained(folder / name)
    pipeline = "StableDiffusionXLInpaintPipeline" if sdxl else "StableDiffusionInpaintPipeline"
    classes = {
        # Where diffusers looks a class up: the first part of the module that defines it.
        name: [type(part).__module__.partition(".")[0], type(part).__name__]
        for name, part in parts.items()
    }
    unused = {} if sdxl else {"safety_checker": [None, None], "feature_extractor": [None, None]}
    flags = {} if sdxl else {"requires_safety_checker": False}
    index = {"_class_name": pipeline, "_diffusers_version": diffusers.__version__, **flags}
    write_json(folder / "model_index.json", index | classes | unused)
