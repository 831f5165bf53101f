"""From a coarse mask to a cut-out that can be pasted: a soft edge and edge colours free of the old background."""

from __future__ import annotations

import cv2
import numpy as np

from mildbench.geometry import Box
from synth import exact

BAND_SHARE = 1 / 60
"""Half-width of the band in which the edge may move, as a share of the person's height (at least 2 px)."""
DOUBT = 0.1
"""Weight of the given mask inside the band, where it may be wrong; outside the band it weighs 1."""
NOISE = 5e-5
"""Regularisation of the colour models, in squared colour units: two grey levels of noise."""
SEPARABLE = (0.2, 0.6)
"""Where local colours explain a smaller share of person/background than the first number, the edge found in
them is noise and the mask's own outline is kept; from the second number on they are followed."""


def refine(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Cut a person out of a photo.

    The matte follows the image edge within a band around the mask's own edge and is 1 inside and 0 outside
    the band, so labels taken from it (`alpha >= 128`) stay within the band of the given mask. A guided filter
    (He et al., TPAMI 2013) finds the edge; its local colour models are learnt from pixels beyond the band,
    where the mask is right, so a polygon that is drawn too wide does not teach it that the background is part
    of the person. A second, tighter pass trusts what the first was sure of. Edge colours are the estimated
    foreground (blur fusion, Forte, ICIP 2021). `tests/benchmarks/matting.py` measures it against truth, and
    against closed-form matting, which is slower and, from coarse polygons, no better.

    Args:
        image: uint8[h, w, 3], RGB.
        mask: bool[h, w], a margin of a band's width around the person is needed for a good matte.

    Returns:
        uint8[h, w, 4] RGBA with straight alpha.
    """
    band = band_of(mask)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    plane = mask.astype(np.uint8)
    core = cv2.erode(plane, disc, borderType=cv2.BORDER_REPLICATE) > 0
    reach = cv2.dilate(plane, disc) > 0

    colours = image.astype(np.float32) / 255
    alpha = mask.astype(np.float32)
    trust = np.where(core | ~reach, np.float32(1), np.float32(DOUBT))
    # The polygon with its corners rounded and an edge as soft as a lens makes it.
    soft = exact.gaussian(mask * np.uint16(65535), band / 2)
    fallback = np.clip(soft * np.float32(3 / 65535) - 1, 0, 1)
    for radius, smoothing, speck in ((2 * band, band, 5), (band, max(1, band // 2), 3)):
        alpha = guided_filter(colours, alpha, trust, fallback, radius, smoothing)
        # A guided matte has long faint tails; stretching the middle keeps the edge within a few pixels.
        alpha = np.clip((alpha - 0.15) / 0.7, 0, 1)
        # Single pixels that happen to have the other side's colour are no edge.
        alpha = cv2.medianBlur(np.rint(alpha * 255).astype(np.uint8), speck).astype(np.float32) / 255
        alpha[core] = 1
        alpha[~reach] = 0
        fallback = alpha
        trust = np.maximum(np.abs(2 * alpha - 1), 0.2)

    foreground = estimate_foreground(colours, alpha, radius=2 * band)
    rgba = np.dstack([foreground, alpha])
    return np.clip(np.rint(rgba * 255), 0, 255).astype(np.uint8)


def band_of(mask: np.ndarray) -> int:
    """Pixels by which `refine` may move the edge of this bool[h, w] mask, in either direction."""
    return max(2, round(Box.around(mask).height * BAND_SHARE))


def extend_colours(rgba: np.ndarray) -> np.ndarray:
    """uint8[h, w, 4]: the same picture, with every transparent pixel given the colour of the nearest opaque one.

    What lies under alpha 0 cannot be seen, but resampling would mix it into the edge.
    """
    opaque = rgba[..., 3] > 0
    if opaque.all() or not opaque.any():
        return rgba
    return np.dstack([exact.spread(rgba[..., :3], opaque), rgba[..., 3]])


def guided_filter(
    guide: np.ndarray,
    source: np.ndarray,
    trust: np.ndarray,
    fallback: np.ndarray,
    radius: int,
    smoothing: int,
) -> np.ndarray:
    """Filter `source` so that its edges follow those of a colour `guide` (He et al. 2013, eq. 14-17).

    Two things differ from the original. The local linear models are fitted by weighted least squares; and a
    model that explains little of the source (`SEPARABLE`) gives way to `fallback`.

    Args:
        guide: float32[h, w, 3] in 0..1.
        source: float32[h, w].
        trust: float32[h, w] > 0, the weight of each pixel of `source`.
        fallback: float32[h, w], the answer where colours do not tell.
        radius: of the box window of the fit, in pixels.
        smoothing: radius of the box over which the fitted models are averaged.

    Returns:
        float32[h, w].
    """

    def mean(values: np.ndarray, reach: int = radius) -> np.ndarray:
        return exact.box_mean(values, reach, cv2.BORDER_REFLECT)

    share = 1 / mean(trust)
    channels = [np.ascontiguousarray(guide[..., i]) for i in range(3)]
    weighted = [channel * trust for channel in channels]
    mean_guide = [mean(channel) * share for channel in weighted]
    mean_source = mean(source * trust) * share
    covariance = {
        (i, j): mean(weighted[i] * channels[j]) * share - mean_guide[i] * mean_guide[j] + NOISE * (i == j)
        for i in range(3)
        for j in range(i, 3)
    }
    cross = [mean(weighted[i] * source) * share - mean_guide[i] * mean_source for i in range(3)]
    slope = _solve(covariance, cross)
    offset = mean_source - sum(slope[i] * mean_guide[i] for i in range(3))

    variance = mean(source * source * trust) * share - mean_source * mean_source
    explained = sum(slope[i] * cross[i] for i in range(3)) / np.maximum(variance, 1e-4)
    low, high = SEPARABLE
    faith = np.clip((explained - low) / (high - low), 0, 1)
    filtered: np.ndarray = mean(offset * faith, smoothing) + (1 - mean(faith, smoothing)) * fallback
    for i in range(3):
        filtered += mean(slope[i] * faith, smoothing) * channels[i]
    return filtered


def _solve(matrix: dict[tuple[int, int], np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    """Three planes x with A x = right at every pixel, A symmetric 3x3 given by its upper triangle of planes.

    By cofactors: several times faster than a batched LAPACK call on matrices this small.
    """
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    p, q, r = d * f - e * e, c * e - b * f, b * e - c * d
    s, t, u = a * f - c * c, b * c - a * e, a * d - b * b
    scale = 1 / (a * p + b * q + c * r)
    x, y, z = (plane * scale for plane in right)
    return [p * x + q * y + r * z, q * x + s * y + t * z, r * x + t * y + u * z]


def estimate_foreground(image: np.ndarray, alpha: np.ndarray, radius: int) -> np.ndarray:
    """float32[h, w, 3]: the person's own colour at every pixel, also where alpha is low.

    Blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021): local averages of
    foreground and background, corrected so that the compositing equation holds; a second round in a small
    window brings back detail.

    Args:
        image: float32[h, w, 3] in 0..1.
        alpha: float32[h, w] in 0..1.
        radius: of the first round's box window, in pixels.
    """
    a = alpha[..., None]
    front, back = image, image
    for reach in (radius, 3):
        inside = np.maximum(exact.box_mean(alpha, reach), 1e-4)[..., None]
        outside = np.maximum(exact.box_mean(1 - alpha, reach), 1e-4)[..., None]
        front = exact.box_mean(front * a, reach) / inside
        back = exact.box_mean(back * (1 - a), reach) / outside
        front = np.clip(front + a * (image - a * front - (1 - a) * back), 0, 1)
    return np.where(a >= 1, image, front).astype(np.float32)
