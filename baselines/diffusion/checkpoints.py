"""Where backbones come from: folders in diffusers' format, the weights manifest, Hugging Face's cache, or chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from baselines import shipped
from baselines.diffusion.architectures import ARCHITECTURES, architecture, random_models
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.flux import FluxFillBackbone, FluxText
from baselines.diffusion.text import TextEncoder
from baselines.diffusion.unet import UNetBackbone
from mildbench import extras, weights
from mildbench.errors import UserError
from mildbench.files import read_json
from mildbench.progress import no_bars

# Both take seconds to import, which everything that only looks at the methods would pay: the functions that build or
# read networks import them, here and in the modules of the networks.
extras.expect("diffusers", "transformers")

INDEX, CONFIGURATION = "model_index.json", "config.json"
"""What says what a folder holds: a whole checkpoint, or one model."""
RANDOM = "random:"
"""`random:sd-1.5` is that architecture with random weights; its pictures mean nothing."""


def untrained(name: str) -> str | None:
    """What `MethodInfo.untrained` is to name: the backbone, if its weights are random; without loading it."""
    if name.startswith(RANDOM):
        return f"backbone {name}"
    return None


def load_backbone(
    name: str, device: str | torch.device, dtype: torch.dtype, *, inpainting: bool = True
) -> Backbone:
    """Load a checkpoint onto `device`.

    Args:
        name: the shipped one, `tiny`; `random:ARCHITECTURE`; a name in the weights manifest;
            a folder in diffusers' format; or a repository's id whose files are already in Hugging Face's cache.
        device: a torch device.
        dtype: of the network and the text encoders. A VAE that overflows in float16 stays in float32.
        inpainting: whether it must be for inpainting; otherwise one that paints whole pictures will do as well.

    Raises:
        UserError: an unknown name, a checkpoint that is not here (with the command that gets it), one that is
            broken, or not for inpainting. Nothing is ever downloaded here.
    """
    if untrained(name):
        unet, vae, text, tokenizer, schedule = random_models(architecture(name.removeprefix(RANDOM)))
        backbone: Backbone = UNetBackbone(name, unet, vae, TextEncoder((tokenizer,), (text,)), schedule)
    else:
        backbone = _read(name, find_folder(name))
    channels = backbone.network.config.in_channels
    if not backbone.inpaints and (inpainting or channels != backbone.painting_channels):
        raise UserError(
            f"backbone {name}: its {backbone.part} has {channels} input channels, an inpainting one has "
            f"{backbone.inpainting_channels}: give an inpainting checkpoint"
        )
    upcast = getattr(backbone.vae.config, "force_upcast", False) and dtype == torch.float16
    for model in (backbone.network, backbone.vae, *backbone.text.models):
        kept = torch.float32 if upcast and model is backbone.vae else dtype
        # diffusers' own `to` warns of modules to be kept in float32 even where there are none.
        torch.nn.Module.to(model, device=device, dtype=kept)
        model.requires_grad_(False).eval()
    return backbone


def find_folder(name: str, index: str = INDEX) -> Path:
    """The folder of a checkpoint; raises `UserError` where it is not here.

    `index` is the file that a folder of its kind has: `CONFIGURATION` for a single model in transformers' format.
    """
    if name == shipped.BACKBONE:
        return shipped.folder("backbone")
    if name in weights.checkpoints():
        return weights.resolve_folder(name)
    path = Path(name).expanduser()
    if (path / index).is_file():
        return path
    if path.is_dir():
        whose = "diffusers'" if index == INDEX else "transformers'"
        raise UserError(f"checkpoint folder {path} has no {index}: give a checkpoint in {whose} format")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _in_hub_cache(name)
    known = ", ".join(
        [shipped.BACKBONE, *weights.checkpoints(index), *(RANDOM + sizes for sizes in ARCHITECTURES)]
    )
    raise UserError(f"unknown backbone {name!r}: give one of {known}, a folder, or a repository's id")


def _in_hub_cache(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except HFValidationError:
        raise UserError(
            f"checkpoint {repository!r} is no folder here, and no repository can be called so: check the name"
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"checkpoint {repository} is not in Hugging Face's cache: hf download {repository}"
        ) from None


_BROKEN = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
"""What diffusers and transformers raise for files that are missing, cut short, or of something else."""
_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")


@dataclass(frozen=True)
class _Family:
    """One family of checkpoints, by what its parts may be."""

    name: str
    kind: type[Backbone]
    parts: Mapping[str, tuple[str, ...]]
    """Parts that are read, and the only classes that they may be of."""
    text: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]
    """Tokenizers and encoders -> the text encoder."""
    optional: tuple[str, ...] = ()


_FAMILIES = {
    "unet": _Family(
        "SD-1.x, SD-2.x or SDXL",
        UNetBackbone,
        {
            "unet": ("UNet2DConditionModel",),
            "vae": ("AutoencoderKL",),
            "text_encoder": ("CLIPTextModel",),
            "text_encoder_2": ("CLIPTextModelWithProjection",),
            "tokenizer": _TOKENIZERS,
            "tokenizer_2": _TOKENIZERS,
        },
        TextEncoder,
        optional=("text_encoder_2", "tokenizer_2"),
    ),
    "transformer": _Family(
        "FLUX-Fill",
        FluxFillBackbone,
        {
            "transformer": ("FluxTransformer2DModel",),
            "vae": ("AutoencoderKL",),
            "text_encoder": ("CLIPTextModel",),
            "text_encoder_2": ("T5EncoderModel",),
            "tokenizer": _TOKENIZERS,
            "tokenizer_2": ("T5Tokenizer", "T5TokenizerFast"),
        },
        FluxText,
    ),
}
"""By the part that is the network."""


@no_bars()
def _read(name: str, folder: Path) -> Backbone:
    """Read the parts one by one: only named classes and safetensors, so that loading executes no code."""
    index = read_json(folder / INDEX, "checkpoint index")
    if not isinstance(index, dict):
        raise UserError(f"backbone {name}: {folder / INDEX} is no index of a checkpoint")
    named = {part: of[1] for part, of in index.items() if isinstance(of, list) and of[1] is not None}
    family = _FAMILIES["transformer" if "transformer" in named else "unet"]
    present = [part for part in family.parts if part in named]
    for part in present:
        if named[part] not in family.parts[part]:
            raise UserError(
                f"backbone {name}: its {part} is a {named[part]}, which is not of the {family.name} family"
            )
    for part in family.parts:
        if part not in present and part not in family.optional:
            raise UserError(f"backbone {name}: {folder} has no {part}")
    models: dict[str, Any] = {}

    def every(kind: str) -> tuple[Any, ...]:
        return tuple(models[part] for part in present if part.startswith(kind))

    try:
        models |= {part: _part(folder / part, named[part]) for part in present}
        return family.kind(
            name,
            models[family.kind.part],
            models["vae"],
            family.text(every("tokenizer"), every("text_encoder")),
            _schedule(folder / "scheduler", index["scheduler"][1]),
        )
    except _BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"backbone {name}: {folder} cannot be read ({reason}): fetch it again") from error


def _part(folder: Path, kind: str) -> Any:
    """A part of a checkpoint, of a class that was found to be one of the family's."""
    import diffusers
    import transformers

    loader = getattr(diffusers, kind, None) or getattr(transformers, kind.removesuffix("Fast"))
    if "Tokenizer" in kind:
        return loader.from_pretrained(folder, local_files_only=True)
    variant = None if list(folder.glob("*[!6].safetensors")) else "fp16"
    return _complete(loader, folder, variant=variant)


def _complete(kind: Any, folder: Path | None, **options: Any) -> Any:
    """A model of which every tensor was read: the libraries give those that are missing random values.

    Without a folder `options` say of what.
    """
    model, report = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"{folder.name if folder else 'it'} lacks {missing[0]}")
    return model


def read_vae(folder: Path) -> Any:
    """An autoencoder by itself, from a folder in diffusers' format; raises `UserError` for a broken one."""
    from diffusers import AutoencoderKL

    if not (folder / "config.json").is_file():
        raise UserError(f"autoencoder not found: {folder} has no config.json")
    try:
        return _complete(AutoencoderKL, folder)
    except _BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"autoencoder {folder} cannot be read ({reason}): train it again") from error


@no_bars()
def read_image_encoder(folder: Path) -> Any:
    """CLIP's image encoder, from a folder in transformers' format; raises `UserError` for a broken one."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    tensors = weights.load_state_dict(folder / "model.safetensors")
    # The half of CLIP that reads text is in the same file.
    state = {key: part for key, part in tensors.items() if not key.startswith(("text_", "logit_scale"))}
    try:
        config = CLIPVisionConfig.from_pretrained(folder, local_files_only=True)
        return _complete(CLIPVisionModelWithProjection, None, config=config, state_dict=state)
    except _BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"CLIP in {folder} cannot be read ({reason}): fetch it again") from error


def _schedule(folder: Path, kind: str) -> Any:
    import diffusers

    scheduler = getattr(diffusers, kind, None)
    if not (isinstance(scheduler, type) and issubclass(scheduler, diffusers.SchedulerMixin)):
        raise ValueError(f"unknown scheduler {kind}")
    return scheduler.from_pretrained(folder)
