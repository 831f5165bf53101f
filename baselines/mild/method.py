"""MILD as an erasing method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import torch

from baselines import shipped
from baselines.diffusion.attention import Recorder
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.memory import Budget
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.layers import compose, seen_of, staying
from baselines.mild import guidance, modulation
from baselines.mild.composition import layer
from baselines.mild.modules import Conditions, Modules
from baselines.mild.pathways import Pathway, dual_pathways, pathways, single_pathways
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseResult, MethodInfo

_Made = tuple[np.ndarray, list[np.ndarray | None]]
"""Of P pathways: pictures uint8[P, H, W, 3], and the mattes of those that are instances, float32[H, W]."""


class Mild(DiffusionMethod):
    """MILD (Yu et al., 2025), reimplemented: no code or weights of the authors are public that we could find.

    - Pathways: [paper] generation is split into independent denoising pathways, one for each foreground instance
      and one for the background. [ours] Which people have one, and what is known and made in each (see
      `baselines.mild.pathways`); all pathways of all samples are one batch, or on a GPU as few as fit its memory.
      One reader of the paper describes two branches instead, all foreground and background: that is `dual`.
    - Routing: [paper] a shared UNet with domain-specific LoRA adapters. [ours] `background` and `instance`, of
      rank 8 on the attention projections, chosen per batch element.
    - Human Morphology Guidance: [paper] pose, parsing and spatial relations, plug-and-play. [ours] Channels and
      encoder (see `baselines.mild.guidance`).
    - Spatially-Modulated Attention: [paper] spatial mask priors modulate attention across semantic regions. [ours]
      Regions and form (see `baselines.mild.modulation`).
    - Composition: [ours] a matte decoded from each instance's final latent; inside the mask the survivors are laid
      over the background by depth; outside it the picture is the input.
    - Colours: [ours] on the shipped backbone what each pathway makes is corrected to meet what is around its hole (see
      `baselines.seamless`).
    - Data: [secondary] the authors train on about 10,000 pairs. Base: SDXL inpainting [inferred]; here any backbone.
    """

    info = MethodInfo(
        "mild",
        "reimplementation",
        "one denoising pathway for the background and one for each person to complete",
        paper="Yu et al., MILD: Multi-layer diffusion strategy for complex and precise multi-IP aware human "
        "erasing, arXiv 2508.06543, 2025",
        licence="the checkpoint's",
        revision=4,
        capabilities=frozenset({"device", "attention", "layers"}),
    )

    def __init__(
        self,
        backbone: str = shipped.BACKBONE,
        weights: str = "",
        steps: int = 0,
        hmg: str = "pose+parsing+relations",
        sma: bool = True,
        single_path: bool = False,
        dual: bool = False,
        lora_routing: bool = True,
        resolution: int = 0,
        dtype: str = "auto",
        seamless: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`.
            weights: folder of the trained modules; those for the backbone `tiny` are shipped.
            steps: of the checkpoint's own scheduler; 0 for what its card says, or 30.
            hmg: parts of Human Morphology Guidance, joined by `+`, or `none`.
            sma: with Spatially-Modulated Attention.
            single_path: one pathway that inpaints the mask, without layers.
            dual: one pathway for all who stay, instead of one for each who is to be completed; no layer of each.
            lora_routing: an adapter for each kind of pathway, instead of one for all.
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
            seamless: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, weights, seamless=seamless)
        # The prompt is empty, so there is nothing to be guided towards.
        self.settings = Settings.checked(self.info.name, steps or self.usual_steps)
        self.hmg = guidance.parts_of(self.info.name, hmg)
        self.sma, self.single_path, self.dual, self.lora_routing = sma, single_path, dual, lora_routing
        if single_path and dual:
            raise UserError(f"method {self.info.name!r}: a single path cannot be dual: give one of the two")
        if single_path or dual:
            self.info = replace(self.info, capabilities=self.info.capabilities - {"layers"})

    def load(self) -> None:
        """Load the backbone and the modules; raises `UserError` where one is missing or does not fit."""
        super().load()
        self.budget = Budget(self.device)
        folder = self.parts_folder()
        self.modules = Modules.fresh(
            self.backbone,
            routed=self.lora_routing and not self.single_path,
            guided=bool(self.hmg),
            modulated=self.sma,
            layered=not self.single_path,
        )
        if folder is not None:
            self.modules.load(folder)

    @torch.no_grad()
    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """All pathways of all samples in as few batches as fit the device's memory."""
        canvas = self.canvas(batch)
        split = self._split(batch)
        named = [(each.sample, each.name) for each in split]
        recorder = self.recorder(batch, canvas, named, [each.shown for each in split])
        parts = self._run_all(split, canvas, batch, recorder)
        made = self.made_seamless(
            np.concatenate([pictures for pictures, _ in parts]),
            [each.picture for each in split],
            [each.hole for each in split],
        )
        mattes = [matte for _, some in parts for matte in some]
        layers = self._layers(batch, split, made, mattes)
        backgrounds = [picture for picture, each in zip(made, split, strict=True) if each.layer is None]
        laid = [self._laid(batch, sample, completed) for sample, completed in enumerate(layers)]
        images = [
            compose(image, mask, background, stack)
            for image, mask, background, stack in zip(
                batch.images, batch.masks, backgrounds, laid, strict=True
            )
        ]
        painted = [each.mask & seen_of(each.layer, laid[each.sample], each.mask.shape) for each in split]
        of_each = layers if "layers" in self.info.capabilities else ()
        return EraseResult(np.stack(images), of_each or None, self.records(recorder, canvas, painted))

    def _split(self, batch: EraseBatch) -> list[Pathway]:
        if self.single_path:
            return single_pathways(batch)
        return dual_pathways(batch) if self.dual else pathways(batch)

    def _laid(self, batch: EraseBatch, sample: int, made: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Place -> the layer that is laid over a sample's background there."""
        if self.single_path or (self.dual and made):
            return made  # everybody who stays is in the picture, or in the one layer
        return staying(batch, sample) | made

    def _run_all(
        self, split: Sequence[Pathway], canvas: Canvas, batch: EraseBatch, recorder: Recorder | None
    ) -> list[_Made]:
        """What is made of all pathways, chunk by chunk."""

        def run(rows: slice, settings: Settings, part: Recorder | None) -> _Made:
            return self._run(self.conditions(split[rows], canvas, batch.seeds), canvas, settings, part)

        def trial() -> object:
            # No later step needs more memory than the first two, and some schedules cannot do with one.
            few = replace(self.settings, steps=min(self.settings.steps, 2))
            one = slice(hardest, hardest + 1)
            return run(one, few, None if recorder is None else recorder.part(one))

        # An instance also has a matte; and attention is recorded in a column for each of the people.
        hardest = max(range(len(split)), key=lambda row: split[row].layer is not None)
        people = max(map(len, batch.instances or ()), default=0)
        size = (*canvas.padded, people, int(split[hardest].layer is not None))
        chunks = self.budget.chunks(len(split), size, trial)
        parts = [] if recorder is None else [recorder.part(rows) for rows in chunks]
        found = [run(rows, self.settings, part) for rows, part in zip_longest(chunks, parts)]
        if recorder is not None:
            recorder.collect(parts)
        return found

    def _run(
        self, conditions: Conditions, canvas: Canvas, settings: Settings, recorder: Recorder | None
    ) -> _Made:
        """One batch of P pathways."""
        with self.modules.applied(conditions) as (residuals, modulated):
            latents = denoise(
                self.backbone,
                replace(conditions.pathways, residuals=residuals),
                settings,
                modulation=modulated,
                recorder=recorder,
            )
        pictures = canvas.back_all(self.to_pictures(self.backbone.decode(latents)))
        return pictures, self._mattes(canvas, conditions, latents)

    def conditions(self, split: Sequence[Pathway], canvas: Canvas, seeds: Sequence[int]) -> Conditions:
        """Pathways as tensors. `seeds` are the samples': equal noise for all pathways of one picture."""
        device, dtype = self.backbone.device, self.backbone.dtype

        def stacked(planes: Sequence[np.ndarray]) -> torch.Tensor:
            return torch.from_numpy(np.stack(planes)).to(device)

        edge = self.backbone.factor  # one token at the latent's resolution
        return Conditions(
            Pathways(
                self.to_model([canvas.picture(each.picture) for each in split]),
                self.holes([canvas.hole(each.hole) for each in split]),
                self.backbone.text([""] * len(split)),
                [seeds[each.sample] for each in split],
            ),
            torch.tensor([int(each.layer is not None) for each in split], device=device),
            stacked([canvas.coverage(each.visible)[None] for each in split]).to(dtype),
            stacked([guidance.channels(each, canvas, self.hmg) for each in split]).to(dtype),
            stacked([modulation.regions(each, canvas, edge) for each in split]),
        )

    def _mattes(
        self, canvas: Canvas, conditions: Conditions, latents: torch.Tensor
    ) -> list[np.ndarray | None]:
        """Of each pathway float32[H, W] at the picture's size; None where it is no instance."""
        found: list[np.ndarray | None] = [None] * len(latents)
        rows = torch.nonzero(conditions.domains).flatten().tolist()
        if rows:
            mattes = self.modules.mattes(conditions, latents, rows).sigmoid().float()[:, 0].cpu().numpy()
            for row, matte in zip(rows, mattes, strict=True):
                found[row] = canvas.back(matte)
        return found

    @staticmethod
    def _layers(
        batch: EraseBatch, split: Sequence[Pathway], made: np.ndarray, mattes: Sequence[np.ndarray | None]
    ) -> tuple[dict[int, np.ndarray], ...]:
        """Per sample: `Pathway.layer` -> uint8[H, W, 4]."""
        layers: tuple[dict[int, np.ndarray], ...] = tuple({} for _ in batch.sample_ids)
        for each, picture, matte in zip(split, made, mattes, strict=True):
            if each.layer is not None and matte is not None:
                image = batch.images[each.sample]
                layers[each.sample][each.layer] = layer(each, image, picture, matte)
        return layers
