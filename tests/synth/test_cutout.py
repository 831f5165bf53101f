"""Cut-outs: labels stay in their band, the old background goes, and where colours do not tell nothing is made up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.cutout import band_of, estimate_foreground, extend_colours, refine
from synth.material import Rejected
from synth.sources.crop import cut_out

RED, SNOW = np.array((200, 40, 30)), np.array((235, 238, 242))


def body(size: int = 240) -> np.ndarray:
    """float32[h, w] in 0..1: soft coverage of a head on a trunk."""
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    head = np.hypot(xx - size / 2, yy - size * 0.22) - size * 0.1
    trunk = np.hypot((xx - size / 2) / 0.45, yy - size * 0.62) - size * 0.32
    return np.clip(0.5 - np.minimum(head, trunk) / 1.5, 0, 1)


def photo(coverage: np.ndarray, front: np.ndarray, back: np.ndarray, noise: float = 2) -> np.ndarray:
    mixed = coverage[..., None] * front + (1 - coverage[..., None]) * back
    grain = np.random.default_rng(0).normal(0, noise, mixed.shape)
    return np.clip(np.rint(mixed + grain), 0, 255).astype(np.uint8)


def disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 200), noise=st.integers(0, 60))
def test_labels_never_leave_the_band(seed: int, height: int, noise: int) -> None:
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (160, 220))
    image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    blobs = cv2.GaussianBlur(rng.normal(0, 1, (220, 160)), (0, 0), rng.uniform(1, 12))
    mask = blobs > 0
    mask[height:] = False
    rgba = refine(image, mask)
    plane, kernel = mask.astype(np.uint8), disc(band_of(mask))
    core = cv2.erode(plane, kernel, borderType=cv2.BORDER_REPLICATE) > 0
    assert (rgba[..., 3][core] == 255).all()
    assert (rgba[..., 3][cv2.dilate(plane, kernel) == 0] == 0).all()
    assert np.array_equal(rgba[core][:, :3], image[core])
    assert np.array_equal(rgba, refine(image, mask))


@pytest.mark.parametrize("wide", [1, 2])
def test_a_polygon_drawn_too_wide_leaves_no_fringe(wide: int) -> None:
    """Red on snow, pasted on black: what shines beyond the true edge is snow."""
    coverage = body()
    image = photo(coverage, RED, SNOW)
    mask = cv2.dilate((coverage >= 0.5).astype(np.uint8), disc(wide)) > 0
    rgba = refine(image, mask)
    glow = rgba[..., :3].astype(float) * (rgba[..., 3:] / 255)
    edge = (coverage > 0.02) & (coverage < 0.98)
    fringe = (glow[coverage == 0].max(axis=-1) > 50).sum()
    assert fringe < 0.04 * edge.sum()
    exact = RED * coverage[..., None]
    naive = np.abs(image * mask[..., None] - exact)[edge].mean()
    assert np.abs(glow - exact)[edge].mean() < 0.35 * naive


def test_a_polygon_with_cut_corners_is_mended() -> None:
    coverage = body()
    image = photo(coverage, RED, SNOW)
    truth = coverage >= 0.5
    outline = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0]
    coarse = np.zeros(truth.shape, np.uint8)
    cv2.fillPoly(coarse, [cv2.approxPolyDP(outline, 3.0, True)], 1)

    def iou(mask: np.ndarray) -> float:
        return float((mask & truth).sum() / (mask | truth).sum())

    assert iou(coarse > 0) < 0.98
    assert iou(refine(image, coarse > 0)[..., 3] >= 128) > 0.995


def test_where_colours_do_not_tell_the_mask_is_kept() -> None:
    """Noise alone must not fray the edge."""
    coverage = body()
    image = photo(coverage, SNOW, SNOW, noise=8)
    mask = coverage >= 0.5
    label = refine(image, mask)[..., 3] >= 128
    assert (label & mask).sum() / (label | mask).sum() > 0.98
    pieces, _ = cv2.connectedComponents(label.astype(np.uint8))
    assert pieces == 2


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full_masks_are_taken_as_they_are(fill: bool) -> None:
    image = photo(body(60), RED, SNOW)
    assert (refine(image, np.full((60, 60), fill))[..., 3] == 255 * fill).all()


def test_the_foreground_is_found_under_a_known_matte() -> None:
    coverage = cv2.GaussianBlur(body(), (0, 0), 2)
    mixed = coverage[..., None] * RED + (1 - coverage[..., None]) * SNOW
    found = estimate_foreground((mixed / 255).astype(np.float32), coverage, radius=8) * 255
    edge = (coverage > 0.2) & (coverage < 0.95)
    assert np.abs(found - RED)[edge].mean() < 0.25 * np.abs(mixed - RED)[edge].mean()


def test_extended_colours_come_from_the_nearest_opaque_pixel() -> None:
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[5:15, 3:6] = (250, 0, 0, 255)
    rgba[5:15, 24:27] = (0, 0, 250, 9)
    extended = extend_colours(rgba)
    assert np.array_equal(extended[..., 3], rgba[..., 3])
    assert np.array_equal(extended[rgba[..., 3] > 0], rgba[rgba[..., 3] > 0])
    assert (extended[:, :14, 0] == 250).all()
    assert (extended[:, 16:, 2] == 250).all()
    empty = np.zeros((4, 4, 4), np.uint8)
    assert np.array_equal(extend_colours(empty), empty)


def test_a_reduced_photo_gives_the_same_person_smaller() -> None:
    """Cut out at half size or cut out and then halved: the same within a resampling's differences."""
    coverage = cv2.GaussianBlur(body(640), (0, 0), 1)
    image = photo(coverage, RED, SNOW)
    mask = coverage >= 0.5
    labels = np.where(np.arange(640)[:, None] < 300, 2, 5).astype(np.uint8) * mask
    whole, half = cut_out(image, mask, labels), cut_out(image, mask, labels, scale=0.5)
    assert half.scale == 0.5
    assert half.corner == whole.corner
    size = half.rgba.shape[1::-1]
    assert np.abs(np.array(whole.rgba.shape[1::-1]) / 2 - size).max() <= 0.5
    halved = cv2.resize(whole.rgba, size, interpolation=cv2.INTER_AREA)
    assert np.abs(halved[..., 3].astype(int) - half.rgba[..., 3]).mean() < 2
    solid = (halved[..., 3] == 255) & (half.rgba[..., 3] == 255)
    assert np.abs(halved[solid].astype(int) - half.rgba[solid]).mean() < 2
    assert np.array_equal(half.parsing > 0, half.rgba[..., 3] >= 128)
    labels_halved = cv2.resize(whole.parsing, size, interpolation=cv2.INTER_NEAREST_EXACT)
    assert (labels_halved == half.parsing).mean() > 0.99


@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_keypoints_stay_on_what_they_mark(scale: float) -> None:
    image, mask = np.full((500, 400, 3), 200, np.uint8), np.zeros((500, 400), bool)
    mask[30:480, 150:290] = True
    image[mask] = (30, 40, 50)
    image[200:221, 180:201] = (250, 0, 0)
    points = np.zeros((17, 3))
    points[3] = (190, 210, 2)
    crop = cut_out(image, mask, scale=scale)
    moved = crop.keypoints(points)
    red = np.argwhere(crop.rgba[..., 0] > 150).mean(axis=0)[::-1]
    assert np.abs(moved[3, :2] - red).max() < 0.5
    assert not np.delete(moved, 3, axis=0).any()


def test_nothing_left_of_a_person_is_a_rejection() -> None:
    image, mask = np.zeros((900, 30, 3), np.uint8), np.zeros((900, 30), bool)
    mask[100:130:29, 14] = True
    with pytest.raises(Rejected, match="too thin"):
        cut_out(image, mask, scale=0.05)
