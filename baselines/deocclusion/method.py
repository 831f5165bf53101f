"""Two-stage human de-occlusion as an erasing method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from baselines import shipped
from baselines.deocclusion import mask_completion
from baselines.deocclusion.attributes import describe
from baselines.deocclusion.decoder import DecoderSkips
from baselines.deocclusion.mask_completion import MaskCompletion
from baselines.deocclusion.rgb_completion import Figure, paint
from baselines.diffusion.method import DTYPES, DiffusionMethod
from baselines.diffusion.parts import load_part, seeded
from baselines.diffusion.sampler import Settings
from baselines.layers import compose, staying
from baselines.people import HiddenPerson, hidden_people
from mildbench import weights as known_weights
from mildbench.errors import UserError
from mildbench.method import EraseBatch, EraseResult, MethodInfo


class Parts(NamedTuple):
    """The modules to train; each is saved under its name here."""

    mask_completion: MaskCompletion
    decoder_skips: DecoderSkips

    @classmethod
    def fresh(cls, vae: Any) -> Parts:
        """With seeded random weights, for the backbone's VAE; fresh decoder skips change nothing."""
        return cls(seeded(MaskCompletion), seeded(lambda: DecoderSkips(vae)))


class Deocclusion(DiffusionMethod):
    """Two-stage human de-occlusion (Noh & Chang, ACM MM 2025, arXiv 2508.12663), used as an eraser.

    Stage 1, mask completion. [paper] A diffusion body prior, heatmaps of the occluded joints and an observability
    mask give the amodal mask. [ours] A small conditional diffusion model on masks of 64 pixels: the noisy mask,
    RGB, the visible mask, the observability mask (see `baselines.people.hidden_people`), heatmaps of all known
    joints, and one channel that flags the hidden ones; ten DDIM steps. The visible mask is added, and nothing outside
    the observability mask.

    Stage 2, RGB completion. [paper] Stable Diffusion inpaints the amodal mask less the visible one; text on the
    person from a VQA model, encoded by CLIP; a decoder fine-tuned against the loss of visible pixels. [ours] The
    crop shows what is seen of the person on neutral grey, so that nobody else's clothes leak in; four questions
    to BLIP, or colours and garments named from the parsing where no VQA model is given; guidance 7.5 against the
    empty prompt; the fine-tuned part of the decoder is an encoder of the visible pixels that adds to it.

    As an eraser. [ours] The background is inpainted inside the erase mask with an empty prompt; every survivor
    whom an erased person hides is completed, and all survivors are laid over it, back to front, inside the mask.
    Layers are opaque or empty, without a soft edge: the input's own edges are in the pixels kept. Visible pixels
    inside the erase mask (soft edges and shadows of the erased) are painted anew. Outside the mask the output is
    the input. Where people are unknown, only the background is made. Attention is recorded in the background's
    pathway: the others see one person each, and no other region. On the shipped backbone what is made of the
    background and of a person is corrected to meet what is around it (see `baselines.seamless`).
    """

    info = MethodInfo(
        "deocclusion",
        "reimplementation",
        "completes the masks, then the pictures of those who were hidden",
        paper="Noh & Chang, Stable Diffusion-based approach for human de-occlusion, ACM MM 2025, arXiv 2508.12663",
        licence="the checkpoint's",
        revision=3,
        capabilities=frozenset({"device", "attention", "layers"}),
    )

    def __init__(
        self,
        backbone: str = shipped.BACKBONE,
        steps: int = 0,
        mask_steps: int = 10,
        guidance: float = 7.5,
        resolution: int = 0,
        dtype: str = "auto",
        weights: str = "",
        vqa: str = "",
        decoder_skips: bool = True,
        seamless: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`.
            steps: of the checkpoint's own scheduler; 0 for what its card says, or 30.
            mask_steps: of stage 1.
            guidance: scale of classifier-free guidance in stage 2.
            resolution: see `DiffusionMethod`; also of the crops around people.
            dtype: see `DiffusionMethod`. The trained parts stay in float32.
            weights: folder with `mask_completion.safetensors` and `decoder_skips.safetensors`; those for the
                backbone `tiny` are shipped.
            vqa: a BLIP question answering model, by its name in the weights manifest (`blip-vqa-base`) or a
                folder; empty: people are described from the parsing.
            decoder_skips: False for the backbone's plain decoder.
            seamless: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, weights, seamless=seamless)
        if not 1 <= mask_steps <= 1000:
            raise UserError(f"method 'deocclusion': mask_steps={mask_steps}: give 1 to 1000")
        # The background's prompt is empty, like the one to be guided away from: guidance would do nothing.
        steps = steps or self.usual_steps
        self.background_settings = Settings.checked(self.info.name, steps)
        self.settings = Settings.checked(self.info.name, steps, guidance)
        self.mask_steps = mask_steps
        self.vqa = vqa
        self.decoder_skips = decoder_skips
        if vqa in known_weights.checkpoints():
            self.info = replace(self.info, weights=(*self.info.weights, vqa))
        if self.info.untrained and not weights:
            self.info = replace(self.info, untrained=f"{self.info.untrained}, the mask completion")

    @property
    def files(self) -> Mapping[str, Path]:
        """Also a VQA model that is a folder."""
        given = self.vqa and self.vqa not in known_weights.checkpoints()
        return {**super().files, **({"vqa": Path(self.vqa)} if given else {})}

    def load(self) -> None:
        """Load the backbone, the trained parts and the VQA model."""
        super().load()
        self.parts = Parts.fresh(self.backbone.vae)
        folder = self.parts_folder()
        for name, part in self.parts._asdict().items():
            if folder is not None and (self.decoder_skips or name != "decoder_skips"):
                load_part(part, folder / f"{name}.safetensors")
            part.to(self.device).requires_grad_(False).eval()
        self._describe: Callable[[HiddenPerson], str] = describe
        if self.vqa:
            from baselines.deocclusion.vqa import Vqa

            self._describe = Vqa(self.vqa, self.device, DTYPES[self.dtype])

    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """The background of each sample, then the people, then one over the other."""
        backgrounds = self.inpaint(batch, self.canvas(batch), self.background_settings)
        layers = self._layers(batch)
        images = [
            compose(image, mask, background, staying(batch, sample) | layers[sample])
            for sample, (image, mask, background) in enumerate(
                zip(batch.images, batch.masks, backgrounds.images, strict=True)
            )
        ]
        return EraseResult(np.stack(images), layers, backgrounds.attention)

    def _layers(self, batch: EraseBatch) -> tuple[dict[int, np.ndarray], ...]:
        """Per sample: person -> uint8[H, W, 4], each hidden survivor whole."""
        layers: tuple[dict[int, np.ndarray], ...] = tuple({} for _ in batch.sample_ids)
        people = hidden_people(batch)
        if not people:
            return layers
        seeds = [batch.seeds[person.sample] for person in people]
        masks = mask_completion.complete(self.parts.mask_completion, people, seeds, self.mask_steps)
        figures = [Figure.of(*pair) for pair in zip(people, masks, strict=True)]
        partial = [place for place, figure in enumerate(figures) if figure.missing.any()]
        painted: Mapping[int, np.ndarray] = {}
        if partial:
            crops = paint(
                self,
                [figures[place] for place in partial],
                [self._describe(people[place]) for place in partial],
                [seeds[place] for place in partial],
                self.settings,
                self.parts.decoder_skips if self.decoder_skips else None,
            )
            painted = dict(zip(partial, crops, strict=True))
        for place, figure in enumerate(figures):
            layers[figure.person.sample][figure.person.index] = figure.layer(painted.get(place))
        return layers
