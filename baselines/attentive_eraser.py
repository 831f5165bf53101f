"""Attentive Eraser: an untrained eraser, by what self-attention may see and how far that leads away from the object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from baselines import shipped
from baselines.diffusion.attention import Attended, RegionMaps, attend
from baselines.diffusion.canvas import Canvas
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.sampler import Settings
from mildbench.errors import UserError, did_you_mean
from mildbench.method import EraseBatch, EraseResult, MethodInfo

STEPS = 50
"""Of the authors' runs."""
FEWEST = 10
"""Steps of a backbone that is usually sampled in fewer: with those, suppression and what follows would share one."""
NEVER = 1e3
"""Taken off a logit: the weight is 0 in every precision, and the number fits in float16."""
LAYERS = ("composing", "all")


class Touched(RegionMaps):
    """0 or 1: tokens any part of which is of the region."""

    def _of(self, averaged: torch.Tensor) -> torch.Tensor:
        return (averaged > 0).to(averaged.dtype)


@dataclass(frozen=True, eq=False)
class Redirection:
    """A `baselines.diffusion.attention.Modulation`: no token sees the object, and its own look about evenly.

    softmax(s (q . k) / sqrt d) over the keys that are not of the object, where s is `suppression` for queries of the
    object down to the time `window`, and 1 for all others and afterwards. Where everything is object, all is seen.
    """

    objects: Touched
    """Of each pathway one region."""
    layers: frozenset[str]
    suppression: float
    window: float

    def attend(
        self,
        layer: str,
        time: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> Attended:
        """See `Modulation.attend`."""
        if layer not in self.layers:
            return attend(query, key, value, labels=labels)
        inside = self.objects.at(query.shape[2])
        alike = torch.where(time >= self.window, 1 - self.suppression, 0.0).to(inside)
        query = query * (1 - alike[:, None, None] * inside)[:, None].to(query.dtype)
        picture = torch.zeros_like(inside)
        picture[:, self.objects.grid.text :] = 1  # the prompt, where it is in the stream, sees all as before
        return attend(
            query,
            key,
            value,
            maps=torch.cat([picture - inside, inside], dim=-1),
            weights=torch.tensor([[0.0, -NEVER]] * 2, dtype=inside.dtype, device=inside.device),
            labels=labels,
        )


class AttentiveEraser(DiffusionMethod):
    """Attentive Eraser (Sun et al., AAAI 2025), from the paper and the authors' public code; nothing is trained.

    - Redirection [paper]: see `Redirection`; in the up blocks. Similarity suppression is on in the authors' first ten
      of forty steps, which is down to the time 0.6: here that is `window`, so that it means the same with other
      numbers of steps [ours].
    - Guidance [paper]: the prediction is led from the one with plain attention to the one with redirected attention,
      and beyond it, by `guidance`. The prompt is empty.
    - Start [paper]: the picture itself, object included, noised at strength 0.8. A backbone that paints whole pictures
      (the authors') has what is known put back after every step; an inpainting one is told of it. Inversion in place of
      noise, the authors' other variant, is left out.
    - The authors blur the mask and cut it at a tenth, which grows it by about 1/64 of the side: here it is grown by
      that [ours].
    """

    info = MethodInfo(
        "attentive-eraser",
        "port",
        "self-attention redirected to the background, and led away from the object",
        paper="Sun et al., Attentive Eraser: unleashing diffusion model's object removal potential via self-attention "
        "redirection guidance, AAAI 2025",
        licence="the checkpoint's",
        revision=2,
        capabilities=frozenset({"device", "attention"}),
    )
    inpainting = False

    def __init__(
        self,
        backbone: str = shipped.BACKBONE,
        redirect: bool = True,
        guidance: float = 9.0,
        suppression: float = 0.3,
        window: float = 0.6,
        layers: str = "composing",
        strength: float = 0.8,
        grow: float = 1 / 64,
        steps: int = 0,
        resolution: int = 0,
        dtype: str = "auto",
        seamless: str = "auto",
    ) -> None:
        """Raises `UserError` for options out of range.

        Args:
            backbone: see `DiffusionMethod`; for inpainting or not. The authors' are SDXL's base and SD-2.1's.
            redirect: without it nothing is redirected, and nothing guided: the plain start and sampling.
            guidance: from plain towards redirected attention; 1 is redirected attention alone.
            suppression: what queries of the object are scaled by, 0 to 1; 1 suppresses nothing.
            window: suppressed from the start down to this time.
            layers: redirected in those in which the network composes its answer, or in `all`.
            strength: how far the picture is noised; 1 is noise alone.
            grow: by how much the hole is grown, in longer sides of the picture as the backbone sees it.
            steps: of the checkpoint's own scheduler, of which `strength` leaves the first ones out; 0 for 50, or for
                10 where the backbone's card says fewer.
            resolution: see `DiffusionMethod`.
            dtype: see `DiffusionMethod`.
            seamless: see `DiffusionMethod`.
        """
        super().__init__(backbone, resolution, dtype, seamless=seamless)
        name = self.info.name
        if layers not in LAYERS:
            raise UserError(f"method {name!r} has no layers {layers!r}: {did_you_mean(layers, LAYERS)}")
        for option, value in (("suppression", suppression), ("window", window), ("grow", grow)):
            if not 0 <= value <= 1:
                raise UserError(f"method {name!r}: {option}={value}: give a number from 0 to 1")
        usual = FEWEST if self.usual_steps < FEWEST else STEPS
        self.settings = Settings.checked(name, steps or usual, guidance if redirect else 1.0, strength)
        self.redirect, self.suppression, self.window = redirect, suppression, window
        self.layers, self.grow = layers, grow

    def load(self) -> None:
        """Load the backbone; raises `UserError` for one that cannot be guided."""
        super().load()
        if self.backbone.distilled and self.settings.guidance != 1:
            raise UserError(
                f"method {self.info.name!r}: the backbone {self.backbone_name} was distilled with guidance, and is not "
                f"guided by redirection: {self.info.name}:guidance=1 redirects alone"
            )

    def erase_together(self, batch: EraseBatch) -> EraseResult:
        """One pathway a sample."""
        canvas = self.canvas(batch)
        holes = self.holes([self._grown(canvas.hole(mask), canvas) for mask in batch.masks])
        modulation = None
        if self.redirect:
            attention = self.backbone.attention
            layers = self.backbone.composing if self.layers == "composing" else frozenset(attention.layers)
            objects = Touched(holes.float(), self.backbone.grid(canvas.padded))
            modulation = Redirection(objects, layers, self.suppression, self.window)
        # Guided away from the same, empty prompt: the two halves differ by their attention alone.
        return self.inpaint(
            batch,
            canvas,
            self.settings,
            holes=holes,
            start=self.to_model([canvas.picture(image) for image in batch.images]),
            modulation=modulation,
        )

    def _grown(self, hole: np.ndarray, canvas: Canvas) -> np.ndarray:
        """bool[h, w] on the canvas, with all that is within `grow`."""
        reach = round(self.grow * max(canvas.scaled))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        return cv2.dilate(hole.astype(np.uint8), disc) > 0
