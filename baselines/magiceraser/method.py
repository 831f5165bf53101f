"""MagicEraser as an erasing method."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from baselines import shipped
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.parts import seeded
from baselines.diffusion.sampler import Settings
from baselines.magiceraser.prompt import AUTO, WORD, PromptTuning, describe, in_words
from baselines.magiceraser.refocusing import FORMS, Form, Refocusing, Regions
from mildbench.errors import UserError, did_you_mean
from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo, MethodSpec
from mildbench.regions import paste

GUIDANCE, SHIPPED_GUIDANCE = 7.5, 2.0
"""The usual scale, and that of a shipped backbone: as only the conditional half is refocused, guidance enlarges what
refocusing does, more than so small a network bears."""


class MagicEraser(DiffusionMethod):
    """MagicEraser (Li et al., ECCV 2024), reimplemented from its public description.

    - Content initialisation [paper]: LaMa's fill, as a VAE latent noised at strength 0.9, is what denoising
      starts from, at the time 0.9 whatever the number of steps. Any other method can take LaMa's place [ours].
    - Prompt tuning [paper]: a learned word R* and a UNet LoRA; the prompt is "a photo of R* <background tag>".
      The tag comes from a panoptic segmentation: the background that covers most of what lies around the hole
      [ours: the paper does not say which of a picture's]. It is "background" where nobody has segmented the
      picture. Long captions, the paper's for half of the training, are left out [ours].
    - Attention refocusing [paper]: see `baselines.magiceraser.refocusing`. Its strengths, the share of every
      token that is of a region, and that only the conditional half of classifier-free guidance is refocused
      are [ours]; so is that look-alikes are the people who stay.
    - Steps and guidance are Stable Diffusion's usual ones [ours], but for a shipped backbone's, whose colours are
      corrected to meet what is around the hole, too (see `baselines.seamless`).
    """

    info = MethodInfo(
        "magiceraser",
        "reimplementation",
        "a filled-in start, a learned prompt, attention refocused on the background",
        paper="Li et al., MagicEraser: erasing any objects via semantics-aware control, ECCV 2024",
        licence="the checkpoint's",
        revision=3,
        capabilities=frozenset({"device", "attention"}),
    )

    def __init__(
        self,
        backbone: str = shipped.BACKBONE,
        weights: str = "",
        init: str = "auto",
        strength: float = 0.9,
        prompt_tuning: bool = True,
        tag: str = AUTO,
        refocus: str = "constant",
        window: float = 0.7,
        steps: int = 0,
        guidance: float = 0.0,
        resolution: int = 0,
        dtype: str = "auto",
        seamless: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`.
            weights: folder of `embedding.safetensors` and `eraser.safetensors`, see `PromptTuning`; those for
                the backbone `tiny` are shipped.
            init: the method, by its name, whose fill denoising starts from. `auto` is `lama`, on a shipped
                backbone its shipped variant; with random weights it is `telea`, which needs none either.
            strength: how far that start is noised, up to 1: from noise alone, and `init` is not run.
            prompt_tuning: without it the prompt is "a photo of <tag>", the UNet is the backbone's, and
                `weights` are not read.
            tag: what the background is, in words; `auto` is each sample's `background_tags`, and "background" where
                nothing is known.
            refocus: `constant`, `densediffusion` or `none`.
            window: refocused from t = 1 down to this time.
            steps: of the checkpoint's own scheduler, the first at the time `strength`; 0 for what its card
                says, or 30.
            guidance: scale of classifier-free guidance, away from the empty prompt; 0 for 7.5, or 2 on a shipped
                backbone.
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
            seamless: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, weights if prompt_tuning else None, seamless=seamless)
        name = self.info.name
        if refocus not in ("none", *FORMS):
            raise UserError(
                f"method {name!r} has no refocus {refocus!r}: {did_you_mean(refocus, ['none', *FORMS])}"
            )
        if not 0 <= window <= 1:
            raise UserError(
                f"method {name!r}: window={window}: give a time from 0 (the picture) to 1 (noise)"
            )
        usual = SHIPPED_GUIDANCE if backbone == shipped.BACKBONE else GUIDANCE
        self.settings = Settings.checked(
            name, steps or self.usual_steps, guidance or usual, strength, exact=True
        )
        self.prompt_tuning = prompt_tuning
        self.tag = tag
        self.form = FORMS.get(refocus)
        self.window = window
        self.init: EraseMethod | None = None
        self._runs: dict[str, EraseMethod] = {}
        notes = ["prompt tuning"] if prompt_tuning and not weights else []
        if strength < 1:
            notes += self._start_from(init, backbone)
        if self.info.untrained:
            self.info = replace(self.info, untrained=", ".join([self.info.untrained, *notes]))

    def _start_from(self, init: str, backbone: str) -> list[str]:
        """Create the method whose fill denoising starts from; returns what is to be noted of the choice."""
        options: dict[str, str] = {}
        notes: list[str] = []
        if init == "auto":
            init = "lama"
            if backbone == shipped.BACKBONE:
                options = {"variant": "tiny"}
            elif self.info.untrained:
                init = "telea"
                notes = ["telea in place of lama"]
        self.init = MethodSpec(init, options).create()
        self._runs[init] = self.init
        # Told before the run starts when they are missing.
        self.info = replace(self.info, weights=(*self.info.weights, *self.init.info.weights))
        return notes

    @property
    def files(self) -> Mapping[str, Path]:
        """Also those of the method that starts."""
        inner = {} if self.init is None else self.init.files or {}
        return {**super().files, **{f"init {name}": path for name, path in inner.items()}}

    @property
    def runs(self) -> Mapping[str, EraseMethod]:
        """The method that starts, if any."""
        return self._runs

    def load(self) -> None:
        """Load the backbone, the method that starts, and what prompt tuning has trained.

        Raises `UserError` also where refocusing would do nothing: where no step is in its window.
        """
        super().load()
        self._check_window()
        if self.init is not None:
            self.init.device = self.device
            self.init.load()
        self.tuning: PromptTuning | None = None
        if self.prompt_tuning:
            folder = self.parts_folder(instead=f"{self.info.name}:prompt_tuning=false")
            self.tuning = seeded(lambda: PromptTuning(self.backbone))
            if folder is not None:
                self.tuning.load(folder)

    def _check_window(self) -> None:
        settings, side = self.settings, self.backbone.resolution
        course = self.backbone.course(settings.steps, settings.strength, (side, side), exact=settings.exact)
        first = max(course.time(timestep) for timestep in course.timesteps)
        if self.form is not None and first < self.window:
            raise UserError(
                f"method {self.info.name!r}: refocusing ends at window={self.window}, and the first step is at "
                f"{first:.3f}: give a smaller window, a greater strength, or refocus=none"
            )

    @torch.no_grad()
    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """One pathway a sample."""
        canvas = self.canvas(batch)
        with nullcontext() if self.tuning is None else self.tuning.lora.routed([0] * len(batch)):
            return self.inpaint(
                batch,
                canvas,
                self.settings,
                prompts=self.backbone.text(self.prompts(batch)),
                start=self._start(batch, canvas),
                modulation=None if self.form is None else self._refocusing(batch, canvas, self.form),
            )

    def prompts(self, batch: EraseBatch) -> list[str]:
        """One a sample; it depends on no other sample."""
        word = WORD if self.prompt_tuning else ""
        if self.tag != AUTO:
            return [describe(self.tag, word)] * len(batch)
        tags = batch.background_tags or [None] * len(batch)
        return [describe(in_words(tag), word) for tag in tags]

    def _start(self, batch: EraseBatch, canvas: Canvas) -> torch.Tensor | None:
        """The pictures with the hole filled by `init`, float[B, 3, h, w] in [-1, 1]; raises ValueError if it fails."""
        if self.init is None:
            return None
        filled = []
        for outcome, image, mask in zip(self.init.run(batch), batch.images, batch.masks, strict=True):
            if outcome.image is None:
                raise ValueError(f"{self.init.info.name}, whose fill is the start, failed: {outcome.error}")
            filled.append(canvas.picture(paste(outcome.image, image, mask, 0)))
        return self.to_model(filled)

    def _refocusing(self, batch: EraseBatch, canvas: Canvas, form: Form) -> Refocusing:
        maps = []
        for sample, erased in enumerate(batch.masks):
            alike = _survivors(batch, sample) & ~erased
            maps.append(np.stack([canvas.coverage(part) for part in (~(erased | alike), erased, alike)]))
        grid = self.backbone.grid(canvas.padded)
        regions = Regions(torch.from_numpy(np.stack(maps)).to(self.device), grid)
        return Refocusing(form, regions, self.window)


def _survivors(batch: EraseBatch, sample: int) -> np.ndarray:
    """bool[H, W]: what is seen of the people who stay; nothing where people are unknown."""
    seen = np.zeros_like(batch.masks[sample])
    if batch.instances is not None and batch.targets is not None:
        for person, visible in enumerate(batch.instances[sample]):
            if person not in batch.targets[sample]:
                seen |= visible
    return seen
