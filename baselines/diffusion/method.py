"""The base class of the diffusion methods: the backbone, the canvas, and which samples share a batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from baselines import shipped
from baselines.diffusion.attention import Modulation, Recorder
from baselines.diffusion.backbone import Backbone
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.cards import card_of
from baselines.diffusion.checkpoints import find_folder, load_backbone, untrained
from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.diffusion.text import TextEmbedding
from baselines.seamless import chosen, seamless_picture
from mildbench.errors import UserError, did_you_mean
from mildbench.method import AttentionRecord, EraseBatch, EraseMethod, EraseResult
from mildbench.weights import checkpoints

STEPS = 30
"""Sampling steps of a backbone whose card says nothing of them, unless told otherwise."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def resolved(dtype: str, device: str) -> str:
    """The key of `DTYPES` that an option comes to: `auto` is float32 on a CPU, bfloat16 on a GPU."""
    if dtype != "auto":
        return dtype
    return "float32" if device == "cpu" else "bfloat16"


class DiffusionMethod(EraseMethod):
    """A method on a diffusion backbone. A subclass sets `info` and writes `erase_together`.

    On a CPU samples are computed one by one, so that the batch size never changes a result; on a GPU they
    share a batch, start from the same noise, and may differ from a batch of one in the last bits.
    """

    inpainting = True
    """Whether the backbone must be for inpainting."""

    def __init__(
        self, backbone: str, resolution: int, dtype: str, weights: str | None = None, seamless: str = "auto"
    ) -> None:
        """Raises `UserError` for an unknown dtype or a bad resolution.

        Args:
            backbone: `tiny`, the shipped one; `random:ARCHITECTURE`; a name of `mildbench weights list`; a folder in
                diffusers' format; or a hub id whose files are in Hugging Face's cache already (`hf download ID`).
            resolution: pixels of the longer side at which the picture is shown to the backbone; 0 is the one
                it was trained at.
            dtype: `auto` (float32 on a CPU, bfloat16 on a GPU), `float32`, `bfloat16` or `float16`.
            weights: folder of the method's own trained parts; empty for the shipped ones of the backbone `tiny`,
                or, on a random backbone, random ones. None: it has no parts.
            seamless: `true` to correct the colours of a fill so that it meets what surrounds the hole (seamless
                cloning); `auto` as the backbone's card says, `true` for the shipped one.
        """
        if dtype not in ("auto", *DTYPES):
            raise UserError(
                f"method {self.info.name!r} has no dtype {dtype!r}: {did_you_mean(dtype, DTYPES)}"
            )
        if resolution < 0:
            raise UserError(f"method {self.info.name!r}: resolution={resolution}: give pixels, or 0")
        self.backbone_name = backbone
        self.resolution = resolution
        self._card = card_of(backbone)
        self.usual_steps = (self._card and self._card.sampling_steps) or STEPS
        self.seamless = chosen(self.info.name, seamless, usual=self._card is not None and self._card.seamless)
        self._dtype = dtype
        self.weights = weights
        # The instance says what it is: which weights it reads, or that they are random.
        self.info = replace(
            type(self).info,
            weights=(backbone,) if backbone in checkpoints() else (),
            untrained=untrained(backbone),
        )

    @property
    def dtype(self) -> str:
        """A key of `DTYPES`."""
        return resolved(self._dtype, self.device)

    @property
    def files(self) -> Mapping[str, Path]:
        """The backbone and the method's own parts, unless they are random; and the card, where it says something.

        That of the shipped backbone is the code's, like any other default.
        """
        found: dict[str, Path] = {}
        if self.backbone_name == shipped.BACKBONE:
            found |= shipped.files("backbone", *([self.info.name] if self.weights == "" else []))
        elif self.backbone_name not in checkpoints() and not untrained(self.backbone_name):
            found["backbone"] = find_folder(self.backbone_name)
            if self._card is not None:
                found["backbone card"] = self._card.path
        return found | ({"weights": Path(self.weights)} if self.weights else {})

    def load(self) -> None:
        """Load the backbone. A subclass with parts of its own calls this first."""
        self.backbone: Backbone = load_backbone(
            self.backbone_name, self.device, DTYPES[self.dtype], inpainting=self.inpainting
        )

    def parts_folder(self, instead: str = "") -> Path | None:
        """The folder of the method's own trained parts; None: random ones.

        Raises `UserError` where there are none for a trained backbone: trained and random weights are not mixed.
        `instead` is a way to do without, for the error.
        """
        if self.weights:
            if not Path(self.weights).is_dir():
                raise UserError(f"{self.info.name} weights not found: {self.weights} is not a folder")
            return Path(self.weights)
        if untrained(self.backbone_name):
            return None
        if self.backbone_name == shipped.BACKBONE:
            return shipped.folder(self.info.name)
        raise UserError(
            f"method {self.info.name!r} has no trained parts for the backbone {self.backbone_name}: "
            f"give a folder with them, {self.info.name}:weights=FOLDER"
            + (f", or {instead}" if instead else "")
        )

    def erase(self, batch: EraseBatch) -> EraseResult:
        """Erase; a sample with nothing to erase is returned as it is."""
        busy = [index for index in range(len(batch)) if batch.masks[index].any()]
        images = batch.images.copy()
        layers: list[dict[int, np.ndarray]] = [{} for _ in batch.sample_ids]
        records: list[AttentionRecord | None] = [None] * len(batch)
        together = [busy] if self.device != "cpu" else [[index] for index in busy]
        for group in together:
            if not group:
                continue
            result = self.erase_together(batch.take(group))
            for place, index in enumerate(group):
                images[index] = result.images[place]
                if result.layers is not None:
                    layers[index] = result.layers[place]
                if result.attention is not None:
                    records[index] = result.attention[place]
        return EraseResult(images, tuple(layers), tuple(records))

    @abstractmethod
    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """Erase from samples of one size, each with something to erase."""

    def inpaint(
        self,
        batch: EraseBatch,
        canvas: Canvas,
        settings: Settings,
        *,
        holes: torch.Tensor | None = None,
        prompts: TextEmbedding | None = None,
        negative: TextEmbedding | None = None,
        start: torch.Tensor | None = None,
        cut: bool = True,
        modulation: Modulation | None = None,
    ) -> EraseResult:
        """Inpaint the masks: a pathway a sample, named `picture`.

        `holes` are float[B, 1, h, w] on the canvas where they are not the masks. `prompts`, and `negative` ones to be
        guided away from, are one a sample, empty ones if None. `start` and `cut` are those of `Pathways`; `modulation`
        changes self-attention.
        """
        if prompts is None or negative is None:
            empty = self.backbone.text([""] * len(batch))
            prompts, negative = (empty if given is None else given for given in (prompts, negative))
        pathways = Pathways(
            self.to_model([canvas.picture(image) for image in batch.images]),
            self.holes([canvas.hole(mask) for mask in batch.masks]) if holes is None else holes,
            prompts,
            batch.seeds,
            start,
            cut=cut,
        )
        named = [(sample, "picture") for sample in range(len(batch))]
        shown = [~mask if cut else np.ones_like(mask) for mask in batch.masks]
        recorder = self.recorder(batch, canvas, named, shown)
        latents = denoise(
            self.backbone,
            pathways,
            settings,
            negative=negative,
            modulation=modulation,
            recorder=recorder,
        )
        pictures = canvas.back_all(self.to_pictures(self.backbone.decode(latents)))
        return EraseResult(
            self.made_seamless(pictures, list(batch.images), list(batch.masks)),
            attention=self.records(recorder, canvas, list(batch.masks)),
        )

    def made_seamless(
        self, made: np.ndarray, shown: Sequence[np.ndarray], holes: Sequence[np.ndarray]
    ) -> np.ndarray:
        """uint8[P, H, W, 3]: what was made, with its colours corrected in the holes where `seamless` asks for it.

        Args:
            made: uint8[P, H, W, 3], whole pictures.
            shown: uint8[H, W, 3] of each: what is around the hole.
            holes: bool[H, W] of each.
        """
        if not self.seamless:
            return made
        parts = zip(made, shown, holes, strict=True)
        return np.stack([seamless_picture(*each, self.device) for each in parts])

    def canvas(self, batch: EraseBatch) -> Canvas:
        """The working canvas for pictures of the batch's size."""
        height, width = batch.images.shape[1:3]
        return Canvas.of((height, width), self.resolution or self.backbone.resolution, self.backbone.multiple)

    def to_model(self, pictures: Sequence[np.ndarray]) -> torch.Tensor:
        """P canvas pictures uint8[H, W, 3] -> float[P, 3, H, W] in [-1, 1] on the device."""
        pixels = torch.from_numpy(np.stack(pictures)).to(self.device).permute(0, 3, 1, 2)
        return (pixels.to(torch.float32) / 127.5 - 1).to(self.backbone.dtype)

    def holes(self, masks: Sequence[np.ndarray]) -> torch.Tensor:
        """P canvas masks bool[H, W] -> float[P, 1, H, W] on the device."""
        return torch.from_numpy(np.stack(masks))[:, None].to(self.device, self.backbone.dtype)

    @staticmethod
    def to_pictures(pixels: torch.Tensor) -> np.ndarray:
        """float[P, 3, H, W] in [-1, 1] -> uint8[P, H, W, 3]; raises ValueError for values that are not finite."""
        if not torch.isfinite(pixels).all():
            raise ValueError("the decoder returned values that are not finite")
        scaled = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).byte()
        return scaled.permute(0, 2, 3, 1).cpu().numpy()

    def recorder(
        self,
        batch: EraseBatch,
        canvas: Canvas,
        pathways: Sequence[tuple[int, str]],
        shown: Sequence[np.ndarray],
    ) -> Recorder | None:
        """A recorder of attention between the background and the visible people; None where they are unknown.

        Args:
            batch: the samples.
            canvas: theirs.
            pathways: the sample's place in the batch and the pathway's name, in the pathways' order.
            shown: bool[H, W] of each pathway: where it is shown the input.
        """
        if batch.instances is None:
            return None
        people = [len(masks) for masks in batch.instances]
        height, width = canvas.padded
        labels = np.zeros((len(batch), max(people) + 1, height, width), np.float32)
        for sample, masks in enumerate(batch.instances):
            for place, mask in enumerate(masks):
                labels[sample, place + 1] = canvas.coverage(mask)
            labels[sample, 0] = 1 - labels[sample, 1:].sum(0)
            labels[sample, 0, canvas.scaled[0] :] = 0  # padding belongs to no region
            labels[sample, 0, :, canvas.scaled[1] :] = 0
        return Recorder(
            torch.from_numpy(labels).to(self.device),
            self.backbone.grid((height, width)),
            pathways,
            people,
            self._coverage(canvas, shown),
            self._coverage(canvas, list(batch.masks)),
        )

    def records(
        self, recorder: Recorder | None, canvas: Canvas, painted: Sequence[np.ndarray]
    ) -> tuple[AttentionRecord, ...] | None:
        """What was recorded, if anything was.

        `painted`: bool[H, W] of each pathway: where in the erase mask the picture that is returned is the pathway's.
        """
        return None if recorder is None else recorder.records(self._coverage(canvas, painted), canvas.boxes)

    def _coverage(self, canvas: Canvas, masks: Sequence[np.ndarray]) -> torch.Tensor:
        """P masks bool[H, W] -> float32[P, 1, h, w] on the device."""
        return torch.from_numpy(np.stack([canvas.coverage(mask) for mask in masks]))[:, None].to(self.device)
