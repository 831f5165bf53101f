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

from mildbench.registry import Registry
from mildbench.scene import over
from synth.cutout import extend_colours
from synth.fit import SizedFigure


class Blend(ABC):
    """One way of blending; made without arguments, and keeps no state."""

    @abstractmethod
    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        """The figure with new `rgba`; size, parsing, keypoints, shadow and foot as they were.

        Deterministic, and a pure function of its arguments.

        Args:
            figure: at scene scale. It is not padded: a soft edge ends at the layer's border at the latest.
            canvas: uint8[H, W, 3], the composite of what lies behind, without the figure's own shadow.
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
        side = 2 * round(3 * sigma) + 1
        rgba = extend_colours(figure.rgba).copy()
        # Replicated: where the source's frame cut the person, a soft cut would look no better.
        rgba[..., 3] = cv2.GaussianBlur(
            figure.rgba[..., 3], (side, side), sigma, borderType=cv2.BORDER_REPLICATE
        )
        return replace(figure, rgba=rgba)


class Poisson(Blend):
    """Gradient-domain cloning (Pérez et al., SIGGRAPH 2003; `cv2.seamlessClone`): the person's gradients, and
    an offset that fits them to the colours around. Opaque inside the mask; the matte's own edge outside.

    A cut-out has no old surroundings left, so the offset is the whole difference between person and place, and
    dark clothes before a bright sky would turn into a ghost: it is bounded, and the edge shows what remains.
    """

    FARTHEST = 24
    """Grey levels by which a colour may move."""

    def blend(self, figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> SizedFigure:
        # OpenCV erodes the mask by three pixels before it uses the gradients, which would lose fingers and
        # whole people in the distance; grown by as much, the gradients used are those of the mask itself.
        spare = 3
        border = spare + 2  # and it ignores the mask on the image's outermost pixels
        sides = ((border, border), (border, border), (0, 0))
        colours = np.pad(extend_colours(figure.rgba)[..., :3], sides, mode="edge")
        behind = np.pad(backdrop(figure, canvas, origin), sides, mode="edge")
        plane = np.pad(figure.mask.astype(np.uint8) * 255, border)
        mask = cv2.dilate(plane, np.ones((3, 3), np.uint8), iterations=spare)
        # The clone is placed by the centre of the mask's bounding box, rounded down, not by the image's.
        x, y, w, h = cv2.boundingRect(mask)
        cloned = cv2.seamlessClone(colours, behind, mask, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
        opaque = np.where(figure.mask, np.uint8(255), np.uint8(0))
        offset = np.clip(cloned.astype(np.int16) - colours, -self.FARTHEST, self.FARTHEST)
        moved = (colours + offset).astype(np.uint8)  # between two colours, so within 0..255
        rgba: np.ndarray = np.dstack([moved[border:-border, border:-border], opaque])
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
        behind = backdrop(figure, canvas, origin).astype(np.float32)
        colours = extend_colours(figure.rgba)[..., :3].astype(np.float32)
        alpha = figure.rgba[..., 3].astype(np.float32) / 255
        mixed = multiband(colours, behind, alpha, self.LEVELS)
        seam = self._seam(figure)
        wanted = np.clip(behind + (mixed - behind) * seam[..., None], 0, 255)
        return replace(figure, rgba=bake(wanted, behind, alpha))

    def _seam(self, figure: SizedFigure) -> np.ndarray:
        """float32[h, w]: 1 on the matte, falling to 0 at the reach and towards the layer's border."""
        reach = max(4.0, self.REACH * stature(figure))
        away = (figure.rgba[..., 3] == 0).astype(np.uint8)
        inward = np.pad(np.ones(away.shape, np.uint8), 1)
        room = cv2.distanceTransform(inward, cv2.DIST_L2, 3)[1:-1, 1:-1] - 1
        fade = np.minimum(reach - cv2.distanceTransform(away, cv2.DIST_L2, 3), room) / reach
        return np.where(away > 0, np.clip(fade, 0, 1), 1).astype(np.float32)


BLENDS: Registry[Blend] = Registry("blend", "blends")


def stature(figure: SizedFigure) -> int:
    """Height of the figure's mask in pixels; 0 without a mask."""
    rows = np.flatnonzero(figure.mask.any(axis=1))
    return int(rows[-1] - rows[0] + 1) if rows.size else 0


def backdrop(figure: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    """uint8[h, w, 3]: what the layer's colours are painted on: the canvas under it, with its own shadow.

    Beyond the frame the canvas is mirrored, so that a person cut by the frame is blended with likely colours.
    """
    (x, y), (h, w), (height, width) = origin, figure.rgba.shape[:2], canvas.shape[:2]
    top, bottom = max(-y, 0), max(y + h - height, 0)
    left, right = max(-x, 0), max(x + w - width, 0)
    wide = cv2.copyMakeBorder(canvas, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    behind = wide[top + y : top + y + h, left + x : left + x + w].copy()
    if figure.shadow is not None:
        over(behind, np.zeros_like(behind), figure.shadow)
    return behind


def multiband(front: np.ndarray, back: np.ndarray, alpha: np.ndarray, levels: int) -> np.ndarray:
    """float32[h, w, 3]: `front` over `back`, both float32[h, w, 3], blended band by band.

    Args:
        alpha: float32[h, w] in 0..1, of the front.
        levels: bands; fewer where the picture is too small.
    """
    difference, weight = front - back, alpha
    # Blending is linear: with D = front - back it is back + the sum over the bands of weight * band of D.
    bands = []
    for _ in range(levels - 1):
        if min(weight.shape) < 4:
            break
        smaller = cv2.pyrDown(difference)
        size = difference.shape[1::-1]
        bands.append((difference - cv2.pyrUp(smaller, dstsize=size)) * weight[..., None])
        difference, weight = smaller, cv2.pyrDown(weight)
    blended = difference * weight[..., None]
    for band in reversed(bands):
        blended = cv2.pyrUp(blended, dstsize=band.shape[1::-1]) + band
    return back + blended


def bake(wanted: np.ndarray, behind: np.ndarray, least: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: RGBA that gives `wanted` when painted over `behind`, to within one level.

    As transparent as can be, so that a soft seam shows whoever stands behind once they are erased or moved.

    Args:
        wanted: float32[h, w, 3] in 0..255.
        behind: float32[h, w, 3] in 0..255.
        least: float32[h, w], the least opacity, in 0..1.
    """
    change = wanted - behind
    # The opacity at which the needed colour just reaches 0 or 255.
    room = np.where(change > 0, 255 - behind, behind)
    needed = (np.abs(change) / np.maximum(room, 1)).max(axis=-1)
    needed[np.abs(change).max(axis=-1) < 0.5] = 0
    alpha = np.ceil(np.clip(np.maximum(needed, least), 0, 1) * 255)
    colour = behind + change * (255 / np.maximum(alpha, 1))[..., None]
    return np.clip(np.rint(np.dstack([colour, alpha])), 0, 255).astype(np.uint8)
