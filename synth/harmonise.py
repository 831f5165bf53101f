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
REBLUR = 1.0
"""Sigma of the extra blur by which an edge's own blur is told."""


_Step = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(colours: uint8[h, w, 3], mask: bool[h, w], the person's) -> [h, w, 3] in 0..255 of any dtype."""


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
        lab = _lab(colours)
        own_mean, own_spread = cv2.meanStdDev(lab, mask=mask.astype(np.uint8))
        mean, spread = cv2.meanStdDev(_lab(around[::2, ::2]))  # a quarter of the pixels tells as much
        bound = np.array([SHIFT[0], SHIFT[1], SHIFT[1]])
        shift = np.clip((mean - own_mean).ravel(), -bound, bound) * strength
        gain = np.clip((spread / np.maximum(own_spread, 1)).ravel(), *GAIN) ** strength
        offset = own_mean.ravel() * (1 - gain) + shift
        moved = cv2.transform(lab, np.column_stack([np.diag(gain), offset]))
        return cv2.convertScaleAbs(cv2.cvtColor(moved, cv2.COLOR_Lab2RGB), alpha=255)

    return transfer


def _lab(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.multiply(colours, np.float32(1 / 255), dtype=np.float32), cv2.COLOR_RGB2Lab)


def _soften(around: np.ndarray) -> _Step:
    """Blur the figure's colours where `around`, float32[h, w], is softer; never sharpens."""

    def soften(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
        own = edge_blur(_grey(colours), _interior(mask))
        place = edge_blur(around, np.ones(around.shape, dtype=bool))
        if own is None or place is None or place**2 - own**2 < 0.2:  # less than half a pixel cannot be seen
            return colours
        return cv2.GaussianBlur(colours, (0, 0), min(float(np.sqrt(place**2 - own**2)), SOFTEST))

    return soften


def _sprinkle(around: np.ndarray, rng: np.random.Generator) -> _Step:
    """Add luminance noise to the figure where `around`, float32[h, w], is noisier; never removes any.

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
        return colours + sigma * rng.standard_normal((*mask.shape, 1), dtype=np.float32)

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
        grey: float32[h, w] in 0..255.
        mask: bool[h, w], where to look.
    """
    sharp, soft = gradient(grey), gradient(cv2.GaussianBlur(grey, (0, 0), REBLUR))
    steep = sharp[mask]
    if steep.size < 400:
        return None
    least = max(float(np.quantile(steep[::SAMPLE], 0.95)), 12.0)  # fainter gradients are noise
    edge = mask & (sharp >= least)
    if np.count_nonzero(edge) < 20:
        return None
    ratio = np.median(sharp[edge] / np.maximum(soft[edge], 1e-3))
    return float(REBLUR / np.sqrt(max(ratio**2 - 1, 1e-2)))


def noise_sigma(grey: np.ndarray, mask: np.ndarray) -> float | None:
    """Standard deviation in grey levels of a picture's noise; None where there is too little to see.

    Immerkær, "Fast Noise Variance Estimation", CVIU 1996, in small windows, of which the calmest count: its
    filter takes fine texture for noise.

    Args:
        grey: float32[h, w] in 0..255.
        mask: bool[h, w], where to look.
    """
    response = _flicker(grey)
    # A burnt-out sky has lost its noise and says nothing about the sensor.
    usable = mask & (grey > 8) & (grey < 247)
    if np.count_nonzero(usable) < 400:
        return None
    calm = np.quantile(response[usable][::SAMPLE], 0.05)
    return float(calm / CALMEST * np.sqrt(np.pi / 2) / 6)


def _recolour(figure: SizedFigure, steps: list[_Step]) -> SizedFigure:
    """Apply the steps, one after another, to the figure's colours, in the rectangle where it is seen."""
    x, y, w, h = cv2.boundingRect((figure.rgba[..., 3] > 0).astype(np.uint8))
    window = np.s_[y : y + h, x : x + w]
    mask = figure.mask[window]
    if not mask.any():
        return figure
    colours = np.ascontiguousarray(figure.rgba[window][..., :3])
    for step in steps:
        # Rounds half to even and saturates, like rint and clip, several times faster.
        colours = cv2.add(step(colours, mask), 0, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    rgba = figure.rgba.copy()
    rgba[window][..., :3] = colours
    return replace(figure, rgba=rgba)


def _grey(colours: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)


def gradient(grey: np.ndarray) -> np.ndarray:
    """float32[h, w]: magnitude of the Sobel gradient.

    Not by `cv2.magnitude`: with Intel's IPP its last bit depends on where in memory the arrays lie, and a
    threshold further on makes whole pixels of that.
    """
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    magnitude: np.ndarray = np.sqrt(dx * dx + dy * dy)
    return magnitude


def _flicker(grey: np.ndarray) -> np.ndarray:
    """float32[h, w]: local mean of Immerkær's filter, six times the noise's mean absolute value."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    return cv2.blur(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)), (9, 9))


def _textured_throughout(grey: np.ndarray) -> bool:
    """Whether even the calmest windows show texture rather than noise: texture has coarser gradients too.

    The factor lies between what noisy photos show (0.2 to 0.9) and what foliage and facades do (2 to 4).
    """
    flicker = _flicker(grey)
    coarse = cv2.blur(gradient(cv2.GaussianBlur(grey, (0, 0), 1.5)), (9, 9))
    calm = flicker <= np.quantile(flicker.ravel()[::SAMPLE], 0.05)
    return bool(np.median(coarse[calm]) > 1.5 * np.median(flicker[calm]))


def _interior(mask: np.ndarray) -> np.ndarray:
    """bool[h, w]: the mask without its edge, whose colours were estimated and not photographed."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)
    return inner > 0
