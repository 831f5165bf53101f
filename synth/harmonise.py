"""A pasted figure made to look as if the camera of the background had taken it.

Every function takes a figure and gives one with other colours: alpha, parsing, keypoints, shadow and foot stay as
they are. Colours under alpha 0 carry no meaning afterwards. Order matters as in a camera: light, lens, sensor,
file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mildbench.geometry import Box
from synth import exact
from synth.blend import backdrop
from synth.fit import SizedFigure

GAIN = (0.75, 1.3)
"""Contrast is never changed by more than these factors: a plain shirt before foliage stays plain."""
SHIFT = (25.0, 8.0)
"""Lightness and chroma (Lab units) move by at most so much: skin stays skin before a green wall."""
SOFTEST = 1.6
"""Largest blur, in pixels, that is put on a figure."""
LOUDEST = 4.0
"""Largest noise, in grey levels, that is put on a figure."""
CALMEST = 0.81
"""What the calmest 5 % of windows show of pure white noise, as a share of its mean."""
SAMPLE = 7
"""One pixel in so many is looked at for a quantile: it is the same to a few parts in a thousand."""
WINDOW = 9
"""Side of the windows in which noise is measured."""
REBLUR = 1.0
"""Sigma of the extra blur by which an edge's own blur is told."""


_Step = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(colours: uint8[h, w, 3], mask: bool[h, w], the person's) -> uint8[h, w, 3]."""


@dataclass(frozen=True)
class Harmony:
    """How far a figure is brought into line with the background."""

    colour: float = 0.0
    """Strength of the colour transfer, 0 (none) to 1."""
    noise: bool = False
    """Add the background's noise."""
    blur: bool = False
    """Be no sharper than the background."""
    jpeg: int | None = None
    """JPEG quality, 1..100, of the history given to the colours; None for no history."""

    def __post_init__(self) -> None:
        if not 0 <= self.colour <= 1:
            raise ValueError(f"colour strength is {self.colour}, expected 0..1")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise ValueError(f"JPEG quality is {self.jpeg}, expected 1..100")


def harmonise(
    figure: SizedFigure,
    canvas: np.ndarray,
    origin: tuple[int, int],
    settings: Harmony,
    rng: np.random.Generator,
) -> SizedFigure:
    """The figure with all that `settings` asks for.

    Args:
        figure: at scene scale.
        canvas: uint8[H, W, 3], the composite of what lies behind.
        origin: (x, y) on the canvas of the layer's top left pixel; may lie outside.
        settings: what to match.
        rng: used for the noise alone; the same state gives the same bytes.
    """
    if settings == Harmony():
        return figure
    around = backdrop(replace(figure, shadow=None), canvas, origin)
    grey = _grey(around)
    steps: list[_Step] = []
    if settings.colour > 0:
        steps.append(_transfer(around, settings.colour))
    if settings.blur:
        steps.append(_soften(grey))
    if settings.noise:
        steps.append(_sprinkle(grey, rng))
    if settings.jpeg is not None:
        steps.append(_compress(settings.jpeg))
    return _recolour(figure, steps)


def _transfer(around: np.ndarray, strength: float) -> _Step:
    """Move mean and spread of the figure's colours toward those of `around`, uint8[h, w, 3], in Lab.

    Reinhard et al., "Color Transfer between Images", IEEE CG&A 2001, in CIE Lab, with bounded gains and shifts.
    """

    def transfer(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
        lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)
        place = cv2.cvtColor(np.ascontiguousarray(around[::2, ::2]), cv2.COLOR_RGB2LAB)
        tables = np.empty((256, 3), dtype=np.uint8)
        for channel in range(3):
            own_mean, own_spread = _moments(lab, channel, mask)
            mean, spread = _moments(place, channel)  # a quarter of the pixels tells as much
            unit, bound = (255 / 100, SHIFT[0]) if channel == 0 else (1.0, SHIFT[1])
            shift = float(np.clip(mean - own_mean, -bound * unit, bound * unit)) * strength
            gain = float(np.clip(spread / max(own_spread, unit), *GAIN)) ** strength
            tables[:, channel] = np.clip(
                exact.rounded(own_mean + (np.arange(256) - own_mean) * gain + shift), 0, 255
            )
        moved = cv2.LUT(lab, tables[None])
        # The difference alone, for Lab in 8 bits is too coarse for the colours themselves.
        now, before = (cv2.cvtColor(each, cv2.COLOR_LAB2RGB) for each in (moved, lab))
        return cv2.add(colours, cv2.subtract(now, before, dtype=cv2.CV_16S), dtype=cv2.CV_8U)

    return transfer


def _moments(planes: np.ndarray, channel: int, mask: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and standard deviation of a channel of uint8[h, w, c], where a mask, not empty, is set."""
    where = None if mask is None else mask.astype(np.uint8)
    counts = cv2.calcHist([planes], [channel], where, [256], [0, 256]).ravel().astype(np.int64)
    levels, number = np.arange(256), int(counts.sum())
    total, squares = int((counts * levels).sum()), int((counts * levels * levels).sum())
    return total / number, float(np.sqrt((number * squares - total * total) / number**2))


def _soften(around: np.ndarray) -> _Step:
    """Blur the figure's colours where `around`, uint8[h, w], is softer; never sharpens."""

    def soften(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
        own = edge_blur(_grey(colours), _interior(mask))
        place = edge_blur(around, np.ones(around.shape, dtype=bool))
        if own is None or place is None or place**2 - own**2 < 0.2:  # less than half a pixel cannot be seen
            return colours
        return exact.gaussian(colours, min(float(np.sqrt(place**2 - own**2)), SOFTEST))

    return soften


def _sprinkle(around: np.ndarray, rng: np.random.Generator) -> _Step:
    """Add luminance noise to the figure where `around`, uint8[h, w], is noisier; never removes any.

    Nothing is added where the background is textured all over: its noise cannot be told.
    """

    def sprinkle(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
        own = noise_sigma(_grey(colours), _interior(mask))
        place = noise_sigma(around, np.ones(around.shape, dtype=bool))
        if own is None or place is None or place**2 - own**2 < 0.25:  # less than rounding adds
            return colours
        if _textured_throughout(around):
            return colours
        sigma = min(float(np.sqrt(place**2 - own**2)), LOUDEST)
        noise = exact.rounded(sigma * rng.standard_normal((*mask.shape, 1))).astype(np.int16)
        return np.clip(colours + noise, 0, 255).astype(np.uint8)

    return sprinkle


def _compress(quality: int) -> _Step:
    """Pass the figure's colours through JPEG (4:2:0)."""

    def code(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", colours[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None  # these are our own bytes
        return decoded[..., ::-1]

    return code


def edge_blur(grey: np.ndarray, mask: np.ndarray) -> float | None:
    """Sigma in pixels of the blur of a picture's strongest edges; None where there is too little to see.

    From the ratio of gradients before and after a known blur (Zhuo & Sim, "Defocus map estimation from a single
    image", Pattern Recognition 2011, eq. 5). Reads high below one pixel, where the gradient filter's own blur
    shows; good for comparing two pictures.

    Args:
        grey: uint8[h, w].
        mask: bool[h, w], where to look.
    """
    sharp, soft = exact.steepness(grey), exact.steepness(exact.gaussian(grey, REBLUR))
    steep = sharp[mask]
    if steep.size < 400:
        return None
    least = max(float(np.quantile(steep[::SAMPLE], 0.95)), 12.0**2)  # fainter gradients are noise
    edge = mask & (sharp >= least)
    if np.count_nonzero(edge) < 20:
        return None
    ratio = np.median(sharp[edge] / np.maximum(soft[edge], 1))  # of squares
    return float(REBLUR / np.sqrt(max(ratio - 1, 1e-2)))


def noise_sigma(grey: np.ndarray, mask: np.ndarray) -> float | None:
    """Standard deviation in grey levels of a picture's noise; None where there is too little to see.

    Immerkær, "Fast Noise Variance Estimation", CVIU 1996, in small windows, of which the calmest count: its
    filter takes fine texture for noise.

    Args:
        grey: uint8[h, w].
        mask: bool[h, w], where to look.
    """
    response = _flicker(grey)
    # A burnt-out sky has lost its noise and says nothing about the sensor.
    usable = mask & (grey > 8) & (grey < 247)
    if np.count_nonzero(usable) < 400:
        return None
    calm = np.quantile(response[usable][::SAMPLE], 0.05)
    return float(calm / WINDOW**2 / CALMEST * np.sqrt(np.pi / 2) / 6)


def _recolour(figure: SizedFigure, steps: list[_Step]) -> SizedFigure:
    """Apply the steps, one after another, to the figure's colours, in the rectangle where it is seen."""
    window = Box.around(figure.rgba[..., 3]).place
    mask = figure.mask[window]
    if not mask.any():
        return figure
    colours = np.ascontiguousarray(figure.rgba[window][..., :3])
    for step in steps:
        colours = step(colours, mask)
    rgba = figure.rgba.copy()
    rgba[window][..., :3] = colours
    return replace(figure, rgba=rgba)


def _grey(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)


def _flicker(grey: np.ndarray) -> np.ndarray:
    """int32[h, w]: local sum of Immerkær's filter, per pixel six times the noise's mean absolute value."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    return exact.box_sum(np.abs(cv2.filter2D(grey, cv2.CV_16S, kernel)), WINDOW // 2)


def _textured_throughout(grey: np.ndarray) -> bool:
    """Whether even the calmest windows show texture rather than noise: texture has coarser gradients too.

    The factor lies between what noisy photos show (0.2 to 0.9) and what foliage and facades do (2 to 4).
    """
    flicker = _flicker(grey)
    gradient = np.sqrt(exact.steepness(exact.gaussian(grey, 1.5)))
    coarse = exact.box_sum(np.rint(gradient).astype(np.int16), WINDOW // 2)
    calm = flicker <= np.quantile(flicker.ravel()[::SAMPLE], 0.05)
    return bool(np.median(coarse[calm]) > 1.5 * np.median(flicker[calm]))


def _interior(mask: np.ndarray) -> np.ndarray:
    """bool[h, w]: the mask without its edge, whose colours were estimated and not photographed."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)
    return inner > 0
