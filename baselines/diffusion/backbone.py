"""The backbone: any inpainting checkpoint in diffusers' format, of the SD-1.x, SD-2.x or SDXL family."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, SchedulerMixin, UNet2DConditionModel
from safetensors import SafetensorError

from baselines import shipped
from baselines.diffusion.architectures import ARCHITECTURES, architecture, random_models
from baselines.diffusion.text import TextEncoder
from mildbench import weights
from mildbench.errors import UserError
from mildbench.files import read_json
from mildbench.progress import no_bars

RANDOM = "random:"
"""`random:sd-1.5` is that architecture with random weights; its pictures mean nothing."""


@dataclass(eq=False)
class Backbone:
    """A latent diffusion model for inpainting, frozen and in evaluation mode."""

    name: str
    unet: Any
    """diffusers' `UNet2DConditionModel` with nine input channels: the latent, the hole, and the latent of the
    picture with the hole cut out."""
    vae: Any
    """diffusers' `AutoencoderKL`."""
    text: TextEncoder
    noise_schedule: Any
    """The checkpoint's own scheduler; `scheduler` gives copies to step with."""

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    @property
    def factor(self) -> int:
        """Pixels to a latent, in each direction."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def multiple(self) -> int:
        """Height and width in pixels must be multiples of this."""
        return self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def resolution(self) -> int:
        """Pixels of the side that the checkpoint was trained at."""
        return int(self.unet.config.sample_size) * self.factor

    def scheduler(self) -> Any:
        """A scheduler of its own, since stepping changes it."""
        return copy.deepcopy(self.noise_schedule)

    def encode(self, pictures: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Pictures float[P, 3, H, W] in [-1, 1] -> scaled latents float[P, 4, H/f, W/f], one draw a picture.

        One picture at a time, in the VAE's own precision: memory stays small, and no latent depends on the
        batch.
        """
        latents = []
        for picture, generator in zip(pictures, generators, strict=True):
            posterior = self.vae.encode(picture[None].to(self.vae.dtype)).latent_dist
            latents.append(posterior.sample(generator))
        return (torch.cat(latents) * self.vae.config.scaling_factor).to(self.dtype)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents float[P, 4, h, w] -> pictures float32[P, 3, H, W] in about [-1, 1]."""
        unscaled = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        return torch.cat([self.vae.decode(latent[None]).sample.float() for latent in unscaled])


def untrained(name: str) -> str | None:
    """What `MethodInfo.untrained` is to name: the backbone, if its weights are random; without loading it."""
    if name.startswith(RANDOM):
        return f"backbone {name}"
    return None


def load_backbone(name: str, device: str | torch.device, dtype: torch.dtype) -> Backbone:
    """Load a checkpoint onto `device`.

    Args:
        name: the shipped one, `tiny`; `random:ARCHITECTURE`; a name in the weights manifest;
            a folder in diffusers' format; or a repository's id whose files are already in Hugging Face's cache.
        device: a torch device.
        dtype: of the UNet and the text encoders. A VAE that overflows in float16 stays in float32.

    Raises:
        UserError: an unknown name, a checkpoint that is not here (with the command that gets it), one that is
            broken, or not for inpainting. Nothing is ever downloaded here.
    """
    if untrained(name):
        unet, vae, text, tokenizer, schedule = random_models(architecture(name.removeprefix(RANDOM)))
        backbone = Backbone(name, unet, vae, TextEncoder((tokenizer,), (text,)), schedule)
    else:
        backbone = _read(name, find_folder(name))
    channels = backbone.unet.config.in_channels
    if channels != 9:
        raise UserError(
            f"backbone {name}: its UNet has {channels} input channels, an inpainting one has 9: "
            "give an inpainting checkpoint"
        )
    upcast = getattr(backbone.vae.config, "force_upcast", False) and dtype == torch.float16
    for model in (backbone.unet, backbone.vae, *backbone.text.models):
        kept = torch.float32 if upcast and model is backbone.vae else dtype
        # diffusers' own `to` warns of modules to be kept in float32 even where there are none.
        torch.nn.Module.to(model, device=device, dtype=kept)
        model.requires_grad_(False).eval()
    return backbone


def find_folder(name: str) -> Path:
    """The folder of a checkpoint; raises `UserError` where it is not here."""
    if name == shipped.BACKBONE:
        return shipped.folder("backbone")
    if name in weights.checkpoints():
        return weights.resolve_folder(name)
    path = Path(name).expanduser()
    if (path / "model_index.json").is_file():
        return path
    if path.is_dir():
        raise UserError(
            f"backbone folder {path} has no model_index.json: give a checkpoint in diffusers' format"
        )
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _in_hub_cache(name)
    known = ", ".join(
        [shipped.BACKBONE, *weights.checkpoints(), *(RANDOM + sizes for sizes in ARCHITECTURES)]
    )
    raise UserError(f"unknown backbone {name!r}: give one of {known}, a folder, or a repository's id")


def _in_hub_cache(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except HFValidationError:
        raise UserError(
            f"backbone {repository!r} is no folder here, and no repository can be called so: check the name"
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"backbone {repository} is not in Hugging Face's cache: hf download {repository}"
        ) from None


_BROKEN = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
"""What diffusers and transformers raise for files that are missing, cut short, or of something else."""
_PARTS: dict[str, tuple[str, ...]] = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "text_encoder": ("CLIPTextModel",),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "tokenizer_2": ("CLIPTokenizer", "CLIPTokenizerFast"),
}
"""Parts that are read, and the only classes that they may be of."""


@no_bars()
def _read(name: str, folder: Path) -> Backbone:
    """Read the parts one by one: only named classes and safetensors, so that loading executes no code."""
    import transformers

    index = read_json(folder / "model_index.json", "checkpoint index")
    if not isinstance(index, dict):
        raise UserError(f"backbone {name}: {folder / 'model_index.json'} is no index of a checkpoint")
    present = [part for part in _PARTS if isinstance(index.get(part), list) and index[part][1] is not None]
    for part in present:
        if index[part][1] not in _PARTS[part]:
            raise UserError(
                f"backbone {name}: its {part} is a {index[part][1]}, which is not of the SD-1.x, SD-2.x or SDXL family"
            )
    for part in ("unet", "vae", "text_encoder", "tokenizer"):
        if part not in present:
            raise UserError(f"backbone {name}: {folder} has no {part}")

    def model(kind: Any, part: str) -> Any:
        at = folder / part
        variant = None if list(at.glob("*[!6].safetensors")) else "fp16"
        return _complete(kind, at, variant=variant)

    try:
        encoders = [
            model(getattr(transformers, _PARTS[part][0]), part)
            for part in ("text_encoder", "text_encoder_2")
            if part in present
        ]
        tokenizers = [
            transformers.CLIPTokenizer.from_pretrained(folder / part)
            for part in ("tokenizer", "tokenizer_2")
            if part in present
        ]
        return Backbone(
            name,
            model(UNet2DConditionModel, "unet"),
            model(AutoencoderKL, "vae"),
            TextEncoder(tuple(tokenizers), tuple(encoders)),
            _schedule(folder / "scheduler", index["scheduler"][1]),
        )
    except _BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"backbone {name}: {folder} cannot be read ({reason}): fetch it again") from error


def _complete(kind: Any, folder: Path, **options: Any) -> Any:
    """A model of which every tensor was read: the libraries give those that are missing random values."""
    model, report = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"{folder.name} lacks {missing[0]}")
    return model


def read_vae(folder: Path) -> Any:
    """An autoencoder by itself, from a folder in diffusers' format; raises `UserError` for a broken one."""
    if not (folder / "config.json").is_file():
        raise UserError(f"autoencoder not found: {folder} has no config.json")
    try:
        return _complete(AutoencoderKL, folder)
    except _BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"autoencoder {folder} cannot be read ({reason}): train it again") from error


def _schedule(folder: Path, kind: str) -> Any:
    import diffusers

    scheduler = getattr(diffusers, kind, None)
    if not (isinstance(scheduler, type) and issubclass(scheduler, SchedulerMixin)):
        raise ValueError(f"unknown scheduler {kind}")
    return scheduler.from_pretrained(folder)
