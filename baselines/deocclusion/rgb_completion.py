"""Stage two: the picture of a person where they were hidden, by inpainting inside the completed mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from baselines.deocclusion.decoder import DecoderSkips
from baselines.deocclusion.window import GREY, Window
from baselines.diffusion.method import DiffusionMethod
from baselines.diffusion.sampler import Pathways, Settings, denoise
from baselines.people import HiddenPerson

MARGIN = 0.1
"""Of the crop, around the whole person."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A person whose mask is complete, and the crop in which their picture is to be."""

    person: HiddenPerson
    amodal: np.ndarray
    """bool[H, W]."""
    window: Window

    @classmethod
    def of(cls, person: HiddenPerson, amodal: np.ndarray) -> Figure:
        """With the crop around the whole person."""
        return cls(person, amodal, Window.around(amodal, MARGIN))

    @property
    def missing(self) -> np.ndarray:
        """bool[H, W]: what of the person is to be painted."""
        return self.amodal & ~self.person.seen

    def layer(self, painted: np.ndarray | None) -> np.ndarray:
        """uint8[H, W, 4]: the whole person, opaque; what is seen of them is the input's, pixel by pixel.

        `painted`: uint8[side, side, 3] of the crop; None where nothing is missing.
        """
        height, width = self.amodal.shape
        layer = np.zeros((height, width, 4), np.uint8)
        if painted is not None:
            layer[..., :3] = self.window.back(painted, height, width)
        seen = self.person.seen
        layer[seen, :3] = self.person.image[seen]
        layer[..., 3] = 255
        layer[~self.amodal] = 0
        return layer


def on_grey(person: HiddenPerson) -> np.ndarray:
    """uint8[H, W, 3]: what is seen of the person, and grey everywhere else."""
    return np.where(person.seen[..., None], person.image, np.uint8(GREY))


@torch.no_grad()
def paint(
    method: DiffusionMethod,
    figures: Sequence[Figure],
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    skips: DecoderSkips | None,
) -> np.ndarray:
    """uint8[P, side, side, 3]: the crops with the missing parts painted; one pathway a person, all together.

    Args:
        method: its backbone, at its resolution.
        figures: P people, each with something missing.
        prompts: what is known of each.
        seeds: of each.
        settings: how to sample.
        skips: of the decoder; None for the plain decoder.
    """
    backbone = method.backbone
    side = method.resolution or backbone.resolution
    side += -side % backbone.multiple
    crops = [(figure, figure.window) for figure in figures]
    shown = [window.picture(on_grey(figure.person), side) for figure, window in crops]
    holes = [window.hole(figure.missing, side) for figure, window in crops]
    pathways = Pathways(
        method.to_model(shown),
        method.holes(holes),
        backbone.text(prompts),
        seeds,
    )
    latents = denoise(backbone, pathways, settings, negative=backbone.text([""] * len(figures)))
    if skips is None:
        made = backbone.decode(latents)
    else:
        seen = method.holes([window.coverage(figure.person.seen, side) for figure, window in crops])
        made = skips.decode(backbone, latents, pathways.pictures, seen)
    return method.made_seamless(method.to_pictures(made), shown, holes)
