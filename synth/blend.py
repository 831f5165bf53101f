"""How a figure's edge meets what is behind it. A blend is baked into the layer's RGBA.

`Layer.paint` composites every layer with the same operator, whatever the blend: a blend only chooses the colours
and opacities that go into it. So background + layers give the composite bit for bit, pixels with alpha 0 stay
as they are, and the labels (`parsing`) do not know of the blend at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import cv2
import numpy as np
from scipy import fft

from mildbench.geometry import Box
from mildbench.registry import Registry
from mildbench.scene import over
from synth import exact
from synth.cutout import extend_colours
from synth.fit import SizedFigure

FINE = 32
"""Steps to a level of colour in which bands are blended."""
OPAQUE = 1 << 14
"""Weight of an opaque pixel when bands are blended."""


class Blend(ABC):
    """One way of blending; made without arguments, and keeps no state."""

    @abstractmethod
    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        """The figure with new `rgba`; all else as it was.

        Deterministic, and a pure function of its arguments.

        Args:
            figure: at scene scale. It is not padded: a soft edge ends at the layer's border at the latest.
            canvas: uint8[H, W, 3], the composite of what lies behind, without the figure's own shadow and reflection.
            origin: (x, y) on the canvas of the layer's top left pixel; may lie outside.
        """


class Alpha(Blend):
    """The matte as it was cut out."""

    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        return figure


class Feather(Blend):
    """A Gaussian-softened edge: opacity changes within three sigma of the matte's edge, colours do not."""

    SIGMA = 0.0035
    """As a share of the person's height; at least half a pixel."""

    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        sigma = max(0.5, self.SIGMA * stature(figure))
        rgba = extend_colours(figure.rgba).copy()
        # Replicated: where the source's frame cut the person, a soft cut would look no better.
        rgba[..., 3] = exact.gaussian(figure.rgba[..., 3], sigma, cv2.BORDER_REPLICATE)
        return replace(figure, rgba=rgba)


class Poisson(Blend):
    """Gradient-domain cloning (Pérez et al., SIGGRAPH 2003): the person's gradients, and an offset that fits them
    to the colours around. Opaque inside the mask; the matte's own edge outside.

    A cut-out has no old surroundings left, so the offset is the whole difference between person and place, and
    dark clothes before a bright sky would turn into a ghost: it is bounded, and the edge shows what remains.
    """

    FARTHEST = 24
    """Grey levels by which a colour may move."""

    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        colours = extend_colours(figure.rgba)[..., :3]
        offset = clone(colours, backdrop(figure, canvas, origin), figure.mask) - colours
        # Between two colours, so within 0..255.
        moved = colours + np.clip(offset, -self.FARTHEST, self.FARTHEST)
        opaque = np.where(figure.mask, np.uint8(255), np.uint8(0))
        rgba: np.ndarray = np.dstack([moved.astype(np.uint8), opaque])
        # The soft edge takes the cloned colours: its own would outline the person with the old ones.
        rgba = extend_colours(rgba).copy()
        rgba[..., 3] = np.where(figure.mask, 255, figure.rgba[..., 3])
        return replace(figure, rgba=rgba)


class Pyramid(Blend):
    """Multi-band blending (Burt & Adelson, ACM ToG 1983): coarse detail mixes over a wide seam, fine detail
    over a narrow one. Painting the layer gives the blended image to within one level."""

    LEVELS = 3
    """Bands, the coarse rest included."""
    REACH = 0.015
    """How far beyond the matte the seam may reach, as a share of the person's height (at least 4 px)."""

    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        behind, alpha = backdrop(figure, canvas, origin), figure.rgba[..., 3]
        mixed = multiband(extend_colours(figure.rgba)[..., :3], behind, alpha, self.LEVELS)
        wanted = np.clip(behind + (mixed - behind) * self._seam(figure)[..., None], 0, 255)
        return replace(figure, rgba=bake(wanted, behind, alpha))

    def _seam(self, figure: SizedFigure) -> np.ndarray:
        """float32[h, w]: 1 on the matte, falling to 0 at the reach and towards the layer's border."""
        reach = max(4.0, self.REACH * stature(figure))
        matte = figure.rgba[..., 3] > 0
        if not matte.any():
            return np.zeros(matte.shape, np.float32)
        rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in matte.shape)
        room = np.minimum(rows[:, None], columns).astype(np.float32)  # to the layer's border
        fade = np.minimum(np.float32(reach) - exact.distance(matte), room) / np.float32(reach)
        return np.where(matte, np.float32(1), np.clip(fade, 0, 1))


BLENDS: Registry[Blend] = Registry("blend", "blends", Blend)


def stature(figure: SizedFigure) -> int:
    """Height of the figure's mask in pixels; 0 without a mask."""
    return Box.around(figure.mask).height


def backdrop(figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    """uint8[h, w, 3]: what the layer's colours are painted on: the canvas under it, with its own shadow and reflection.

    Beyond the frame the canvas is mirrored, so that a person cut by the frame is blended with likely colours.
    """
    (x, y), (h, w), (height, width) = origin, figure.rgba.shape[:2], canvas.shape[:2]
    top, bottom = max(-y, 0), max(y + h - height, 0)
    left, right = max(-x, 0), max(x + w - width, 0)
    wide = cv2.copyMakeBorder(canvas, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    behind = wide[top + y : top + y + h, left + x : left + x + w].copy()
    if figure.shadow is not None:
        over(behind, np.zeros_like(behind), figure.shadow)
    if figure.reflection is not None:
        over(behind, figure.reflection[..., :3], figure.reflection[..., 3])
    return behind


def clone(front: np.ndarray, back: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """int16[h, w, 3]: the picture whose gradients are those of `front` in the mask, those of `back` elsewhere.

    As `cv2.seamlessClone` has it, `back` is kept on the rectangle's border alone, one pixel outside, so colours
    also flow beyond the mask. There the Laplacian's eigenvectors are sines, and solving takes two transforms.

    Args:
        front: uint8[h, w, 3].
        back: uint8[h, w, 3].
        mask: bool[h, w].
    """
    change = np.pad(front.astype(np.float64) - back, ((1, 1), (1, 1), (0, 0)), mode="edge")
    inside = np.pad(mask, 1)
    # What the gradients change, from pixel to pixel; also across the edge of the mask.
    down = np.diff(change, axis=0)[:, 1:-1] * (inside[1:] | inside[:-1])[:, 1:-1, None]
    right = np.diff(change, axis=1)[1:-1] * (inside[:, 1:] | inside[:, :-1])[1:-1, :, None]
    rise = np.diff(down, axis=0) + np.diff(right, axis=1)
    steps = [2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) - 2 for n in mask.shape]
    waves = fft.dstn(rise, type=1, axes=(0, 1)) / (steps[0][:, None] + steps[1])[..., None]
    return np.clip(exact.rounded(back + fft.idstn(waves, type=1, axes=(0, 1))), 0, 255).astype(np.int16)


def multiband(front: np.ndarray, back: np.ndarray, alpha: np.ndarray, levels: int) -> np.ndarray:
    """float32[h, w, 3]: `front` over `back`, both uint8[h, w, 3], blended band by band, in steps of 1/32.

    Args:
        alpha: uint8[h, w], of the front.
        levels: bands; fewer where the picture is too small.
    """
    # Integers of 16 bits: OpenCV's pyramids are exact on them, and bands of differences of colours fit.
    difference = (front.astype(np.int16) - back) * np.int16(FINE)
    weight = np.rint(np.arange(256) * (OPAQUE / 255)).astype(np.int16)[alpha]
    # Blending is linear: with D = front - back it is back + the sum over the bands of weight * band of D.
    bands = []
    for _ in range(levels - 1):
        if min(weight.shape) < 4:
            break
        smaller = cv2.pyrDown(difference)
        size = difference.shape[1::-1]
        bands.append(_weighted(difference - cv2.pyrUp(smaller, dstsize=size), weight))
        difference, weight = smaller, cv2.pyrDown(weight)
    blended = _weighted(difference, weight)
    for band in reversed(bands):
        blended = cv2.pyrUp(blended, dstsize=band.shape[1::-1]) + band
    return back + blended * np.float32(1 / FINE)


def _weighted(band: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """int16[h, w, 3]: a band, int16[h, w, 3], times a weight, int16[h, w] in 0..OPAQUE, rounded."""
    product = band * weight[..., None].astype(np.int32)
    return ((product + OPAQUE // 2) // OPAQUE).astype(np.int16)


def bake(wanted: np.ndarray, behind: np.ndarray, least: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: RGBA that gives `wanted` when painted over `behind`, to within one level.

    As transparent as can be, so that a soft seam shows whoever stands behind once they are erased or moved.

    Args:
        wanted: float32[h, w, 3] in 0..255.
        behind: uint8[h, w, 3].
        least: uint8[h, w], the least opacity.
    """
    change = wanted - behind
    # The opacity at which the needed colour just reaches 0 or 255.
    room = np.where(change > 0, 255 - behind, behind).astype(np.float32)
    needed = (np.abs(change) / np.maximum(room, 1)).max(axis=-1)
    needed[np.abs(change).max(axis=-1) < 0.5] = 0
    alpha = np.maximum(np.ceil(np.clip(needed, 0, 1) * 255), least)
    colour = behind + change * (255 / np.maximum(alpha, 1))[..., None]
    return np.clip(np.rint(np.dstack([colour, alpha])), 0, 255).astype(np.uint8)
