"""Any inpainting pipeline of diffusers as a method: FLUX-Fill, SD3, SDXL, Qwen-Image, Z-Image, Kandinsky and others.

    mildbench evaluate --method pipeline:checkpoint=FOLDER_OR_ID,prompt=grass,num_inference_steps=30
    mildbench evaluate --method pipeline:preset=flux-fill

The result is what calling the pipeline oneself gives: one picture a call, with a generator of its own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from PIL import Image

from baselines.diffusion.checkpoints import find_folder
from baselines.diffusion.method import DTYPES, resolved
from mildbench.errors import UserError, did_you_mean
from mildbench.files import read_json
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo
from mildbench.progress import no_bars

PRESETS = Path(__file__).with_name("pipelines.yaml")
_OURS = frozenset({"image", "mask_image", "height", "width", "generator", "output_type", "return_dict"})
"""Arguments of a pipeline's call that are not the user's to give."""
_TRUSTED = frozenset({"diffusers", "transformers"})
"""Packages that a checkpoint's index may name; any other could run code of somebody else's when it is loaded."""
_LARGEST_DILATION = 200


@cache
def presets() -> dict[str, dict[str, Any]]:
    """The table of published settings, by name."""
    return yaml.safe_load(PRESETS.read_text(encoding="utf-8"))


class Pipeline(EraseMethod):
    """An inpainting pipeline of diffusers, the checkpoint as it is.

    Pictures are padded to the multiple that the pipeline wants, or brought to `size`; only what it paints inside
    its (dilated) mask is taken from the picture that comes back at another size.
    """

    info = MethodInfo(
        "pipeline",
        "official",
        "any inpainting pipeline of diffusers",
        licence="the checkpoint's",
        revision=1,
        capabilities=frozenset({"device"}),
    )

    def __init__(
        self,
        checkpoint: str = "",
        preset: str = "",
        unet: str = "",
        size: int = 0,
        dilation: int = 0,
        dtype: str = "auto",
        **call: Any,
    ) -> None:
        """Raises `UserError` for an unknown preset or dtype, and for a size or a dilation out of range.

        Args:
            checkpoint: a folder in diffusers' format, or a repository's id whose files are in Hugging Face's cache.
            preset: a name of `pipelines.yaml`; everything else that is given goes before what it says.
            unet: a folder with a UNet in place of the checkpoint's.
            size: pixels of the longer side at which the pipeline sees a picture; 0: as it is.
            dilation: pixels by which the hole is grown before it is painted.
            dtype: `auto` (float32 on a CPU, bfloat16 on a GPU), float32, float16 or bfloat16.
            call: arguments of the pipeline's own call (`prompt`, `num_inference_steps`, `strength`, ...), as YAML.
        """
        if preset and preset not in presets():
            raise UserError(f"method 'pipeline' has no preset {preset!r}: {did_you_mean(preset, presets())}")
        chosen = presets()[preset] if preset else {}
        if dtype not in ("auto", *DTYPES):
            raise UserError(f"method 'pipeline' has no dtype {dtype!r}: {did_you_mean(dtype, DTYPES)}")
        self.checkpoint = checkpoint or chosen.get("checkpoint", "")
        if not self.checkpoint:
            raise UserError(
                f"method 'pipeline' needs a checkpoint: pipeline:checkpoint=FOLDER_OR_ID, or preset= one of "
                f"{', '.join(presets())}"
            )
        if "needs" in chosen and not unet:
            raise UserError(
                f"the preset {preset!r} needs {chosen['needs']}: pipeline:preset={preset},unet=FOLDER"
            )
        self.size = size or chosen.get("size", 0)
        self.dilation = dilation or chosen.get("dilation", 0)
        if self.size < 0 or not 0 <= self.dilation <= _LARGEST_DILATION:
            raise UserError(
                f"method 'pipeline': size={size}, dilation={dilation}: give a size of 0 or more pixels, and a "
                f"dilation of 0 to {_LARGEST_DILATION}"
            )
        self.kind = chosen.get("class")
        self.unet = unet
        self._dtype = dtype
        self.call: dict[str, Any] = {**chosen.get("call", {}), **_typed(call)}
        self.info = replace(
            type(self).info,
            paper=chosen.get("paper"),
            licence=chosen.get("licence", self.info.licence),
        )

    @property
    def dtype(self) -> str:
        """A key of `DTYPES`."""
        return resolved(self._dtype, self.device)

    @property
    def files(self) -> Mapping[str, Path]:
        """The checkpoint, and the UNet in place of its own."""
        unet = {"unet": Path(self.unet)} if self.unet else {}
        return {"checkpoint": find_folder(self.checkpoint), **unet}

    def load(self) -> None:
        """Load the checkpoint; raises `UserError` where it is not here, is broken, or is not for inpainting, and
        for arguments that its pipeline does not take. Nothing is downloaded."""
        folder = find_folder(self.checkpoint)
        self.pipeline = _read(folder, self.kind, self.unet, DTYPES[self.dtype])
        self.pipeline.to(self.device)
        self.pipeline.set_progress_bar_config(disable=True)
        parameters = inspect.signature(self.pipeline.__call__).parameters
        for name in self.call:
            if name in _OURS or name not in parameters:
                open_ones = [other for other in parameters if other not in _OURS]
                raise UserError(
                    f"{type(self.pipeline).__name__} takes no option {name!r}: {did_you_mean(name, open_ones)}"
                )
        self._sizes = {"height", "width"} & parameters.keys()
        self.info = replace(self.info, pad_multiple=1 if self.size else _multiple(self.pipeline))

    def erase(self, batch: EraseBatch) -> EraseResult:
        """One picture a call, so that the batch changes nothing."""
        pictures = [
            self._inpaint(image, mask, seed) if mask.any() else image
            for image, mask, seed in zip(batch.images, batch.masks, batch.seeds, strict=True)
        ]
        return EraseResult(np.stack(pictures))

    def _inpaint(self, image: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
        hole = mask.astype(np.uint8) * 255
        if self.dilation:
            side = 2 * self.dilation + 1
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
            hole = np.asarray(cv2.dilate(hole, disc), np.uint8)
        height, width = mask.shape
        shown = self._shown(height, width)
        picture, hole_shown = Image.fromarray(image), Image.fromarray(hole)
        if shown != (height, width):
            picture = picture.resize(shown[::-1], Image.Resampling.LANCZOS)
            hole_shown = hole_shown.resize(shown[::-1], Image.Resampling.NEAREST)
        sizes = {"height": shown[0], "width": shown[1]}
        result = self.pipeline(
            image=picture,
            mask_image=hole_shown,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="pil",
            **{name: sizes[name] for name in self._sizes},
            **self.call,
        ).images[0]
        if result.size == (width, height):
            return np.asarray(result.convert("RGB"))
        painted = np.asarray(result.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))
        return np.where(hole[..., None] > 0, painted, image)

    def _shown(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which the pipeline sees a picture."""
        if not self.size:
            return height, width
        multiple = _multiple(self.pipeline)
        scale = self.size / max(height, width)
        return tuple(max(multiple, round(side * scale / multiple) * multiple) for side in (height, width))  # type: ignore[return-value]


def _typed(call: Mapping[str, Any]) -> dict[str, Any]:
    """Options' text as the number or truth value that YAML makes of it; anything else stays text."""
    return {name: _scalar(value) if isinstance(value, str) else value for name, value in call.items()}


def _scalar(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _multiple(pipeline: Any) -> int:
    """Height and width must be multiples of this: a latent's pixels, times the 2 x 2 patches of a transformer or
    the halvings of a UNet; and of 8, which most pipelines ask for whatever their networks."""
    factor = int(getattr(pipeline, "vae_scale_factor", 8))
    unet = getattr(pipeline, "unet", None)
    return math.lcm(8, factor * (2 if unet is None else 2 ** (len(unet.config.block_out_channels) - 1)))


@no_bars()
def _read(folder: Path, kind: str | None, unet: str, dtype: torch.dtype) -> Any:
    """The pipeline named by the preset or by the checkpoint; diffusers' choice where that one does not inpaint."""
    import diffusers

    _check_index(folder)
    named = getattr(
        diffusers, kind or read_json(folder / "model_index.json", "checkpoint index")["_class_name"], None
    )
    inpaints = (
        isinstance(named, type)
        and {"image", "mask_image"} <= inspect.signature(named.__call__).parameters.keys()
    )
    loader: Any = named if inpaints else diffusers.AutoPipelineForInpainting
    usual: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "dtype": dtype}
    diffusers.utils.logging.disable_progress_bar()
    try:
        parts = {"unet": diffusers.UNet2DConditionModel.from_pretrained(unet, **usual)} if unet else {}
        return loader.from_pretrained(folder, **usual, **parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"checkpoint {folder} cannot be read as an inpainting pipeline ({reason}): give one in diffusers' format"
        ) from error
    finally:
        diffusers.utils.logging.enable_progress_bar()


def _check_index(folder: Path) -> None:
    """Refuse a checkpoint of which a part would be loaded by a package that is not trusted to run no code."""
    import diffusers

    index = read_json(folder / "model_index.json", "checkpoint index")
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise UserError(
            f"{folder / 'model_index.json'} is not a checkpoint's index: give one in diffusers' format"
        )
    for part, of in index.items():
        package = of[0] if isinstance(of, list) and of else None
        # A pipeline's own module (`stable_diffusion`) is diffusers' too.
        if package is None or package in _TRUSTED or hasattr(diffusers.pipelines, str(package)):
            continue
        raise UserError(
            f"checkpoint {folder}: its {part} is of the package {package!r}, which is not trusted to be loaded "
            f"(only {' and '.join(sorted(_TRUSTED))} are)"
        )
