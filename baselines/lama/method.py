"""LaMa as an erasing method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from baselines import shipped
from baselines.lama.checkpoint import is_torchscript, load_network, load_torchscript
from baselines.lama.network import VARIANTS, LamaNetwork
from baselines.seamless import chosen
from baselines.seamless import seamless as make_seamless
from mildbench.errors import UserError, did_you_mean
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo, Provenance
from mildbench.weights import resolve

SHIPPED = "model.safetensors"
"""Weights of the variant tiny, in the shipped folder."""


class Lama(EraseMethod):
    """LaMa (Suvorov et al., WACV 2022).

    By default the authors' Big-LaMa as their TorchScript file: provenance `official`. With `weights=FILE` it
    is a `port` (variant big: their network) or a `reimplementation` (variant tiny: ours, whose weights are shipped).
    """

    info = MethodInfo(
        "lama",
        "official",
        "fast Fourier convolutions (Big-LaMa)",
        paper="Suvorov et al., Resolution-robust large mask inpainting with Fourier convolutions, WACV 2022",
        licence="Apache-2.0",
        revision=2,
        weights=("lama-big",),
        pad_multiple=8,
        capabilities=frozenset({"device"}),
    )

    def __init__(self, variant: str = "big", weights: str = "", seamless: str = "auto") -> None:
        """Raises `UserError` for an unknown variant, and for `seamless` with the official file.

        Args:
            variant: `big` or `tiny`.
            weights: a state dict of `LamaNetwork` (.safetensors, .ckpt, .pth) to use instead of the official
                file, or of the shipped one of the variant tiny. TorchScript is not taken from just anybody:
                its programs can write files when loaded.
            seamless: `true` to correct the colours of the fill so that it meets what surrounds the hole (seamless
                cloning, which the authors do not). Not with the official file: it keeps to itself what it makes
                outside the hole. `auto` is `true` for the variant tiny.
        """
        if variant not in VARIANTS:
            raise UserError(f"method 'lama' has no variant {variant!r}: {did_you_mean(variant, VARIANTS)}")
        self.seamless = chosen(self.info.name, seamless, usual=VARIANTS[variant].seamless)
        if self.seamless and variant == "big" and not weights:
            raise UserError(
                "method 'lama': the official file does not return what seamless=true compares: give the network's "
                "weights as a state dict, weights=FILE, or variant=tiny"
            )
        self.variant = variant
        self.weights = weights
        if weights or variant != "big":
            provenance: Provenance = "port" if variant == "big" else "reimplementation"
            # The instance says what it is: a run with other weights must not be recorded as official.
            self.info = replace(type(self).info, provenance=provenance, weights=())

    @property
    def files(self) -> Mapping[str, Path]:
        """The weights, unless they are the official ones."""
        if self.weights:
            return {"weights": Path(self.weights)}
        return {} if self.variant == "big" else shipped.files("lama")

    def load(self) -> None:
        """Raises `WeightsMissing` without the official file, `UserError` for one that is wrong."""
        if self.weights or self.variant != "big":
            file = self._given() if self.weights else shipped.folder("lama") / SHIPPED
            model: torch.nn.Module = load_network(file, VARIANTS[self.variant])
        else:
            # Size and sha256 are checked before anything is read.
            model = load_torchscript(resolve("lama-big"))
        self._model = model.to(self.device)

    def _given(self) -> Path:
        path = Path(self.weights)
        if not path.is_file():
            raise UserError(f"lama weights not found: {path}")
        if is_torchscript(path):
            raise UserError(
                f"{path} is a TorchScript program, which could do more than hold weights: give a state dict "
                "(.safetensors, .ckpt, .pth), or add the official file: mildbench weights add lama-big FILE"
            )
        return path

    def erase(self, batch: EraseBatch) -> EraseResult:
        """Inpaint; outside the mask the pixels are the input's, because LaMa's own composition keeps them."""
        # One sample at a time: convolution libraries choose their algorithm by batch size, and results would
        # differ in the last bits. Unoptimised: the TorchScript profiler recompiles for every new shape, and
        # what it fuses depends on what it has seen before.
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            pairs = zip(batch.images, batch.masks, strict=True)
            return EraseResult(np.stack([self._inpaint(image, mask) for image, mask in pairs]))

    def _inpaint(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """uint8[H, W, 3] and bool[H, W] -> uint8[H, W, 3]."""
        pixels = torch.tensor(image, device=self.device).permute(2, 0, 1)[None].float() / 255
        hole = torch.tensor(mask, device=self.device)[None, None].float()
        if self.seamless:
            assert isinstance(self._model, LamaNetwork)
            filled = make_seamless(self._model.predict(pixels, hole), pixels, hole)[0]
        else:
            filled = self._model(pixels, hole)[0]
        if not torch.isfinite(filled).all():
            raise ValueError("LaMa returned values that are not finite")
        # Rounded, where the authors' script truncates: that darkens the fill by half a grey level on average.
        return (filled * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
