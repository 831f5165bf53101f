"""Harmonisation: only colours change, toward the background, and never beyond the stated bounds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.fit import SizedFigure
from synth.harmonise import (
    SHIFT,
    Harmony,
    edge_blur,
    harmonise,
    noise_sigma,
)

SIDE = 160
EVERYWHERE = np.ones((SIDE, SIDE), dtype=bool)


def checks(
    low: int = 60, high: int = 190, sigma: float = 0.0, noise: float = 0.0, seed: int = 0
) -> np.ndarray:
    """uint8[SIDE, SIDE, 3]: a grey chessboard, blurred, then noisy."""
    board = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((SIDE // 4, SIDE // 4)))
    grey = (low + (high - low) * board).astype(np.float32)
    if sigma:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma)
    grey += np.random.default_rng(seed).normal(0, noise, grey.shape)
    return cv2.cvtColor(np.clip(np.rint(grey), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def figure(colours: np.ndarray) -> SizedFigure:
    """A disc of these colours with a soft edge."""
    yy, xx = np.mgrid[:SIDE, :SIDE]
    alpha = np.clip(SIDE * 0.42 - np.hypot(xx - SIDE / 2, yy - SIDE / 2), 0, 1)
    rgba = np.dstack([colours, np.rint(alpha * 255).astype(np.uint8)])
    parsing = np.where(rgba[..., 3] >= 128, np.uint8(255), np.uint8(0))
    return SizedFigure(rgba, parsing, np.zeros((17, 3), np.float32), None, (80, 147))


def matched(before: SizedFigure, place: np.ndarray, wishes: Harmony) -> SizedFigure:
    """`before` right in front of `place`, uint8[SIDE, SIDE, 3]."""
    return harmonise(before, place, (0, 0), wishes, np.random.default_rng(2))


def lab_mean(colours: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[mask].mean(axis=0)


def plain(*colour: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    origin=st.tuples(st.integers(-200, 250), st.integers(-200, 250)),
    wishes=st.builds(
        Harmony, st.floats(0, 1), st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(1, 100))
    ),
)
def test_only_colours_change(seed: int, origin: tuple[int, int], wishes: Harmony) -> None:
    rng = np.random.default_rng(seed)
    before = figure(cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (SIDE, SIDE)))
    canvas = cv2.resize(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8), (200, 180))
    rgba, behind = before.rgba.copy(), canvas.copy()
    after = harmonise(before, canvas, origin, wishes, np.random.default_rng(seed))
    again = harmonise(before, canvas, origin, wishes, np.random.default_rng(seed))
    assert np.array_equal(before.rgba, rgba)
    assert np.array_equal(canvas, behind)
    assert np.array_equal(after.rgba, again.rgba)
    assert np.array_equal(after.rgba[..., 3], rgba[..., 3])
    for name in ("parsing", "keypoints", "shadow", "foot"):
        assert getattr(after, name) is getattr(before, name)


def test_no_wish_changes_nothing_and_nobody_is_no_error() -> None:
    before = figure(checks())
    assert harmonise(before, checks(), (0, 0), Harmony(), np.random.default_rng(0)) is before
    nobody = SizedFigure(
        np.zeros_like(before.rgba), np.zeros_like(before.parsing), before.keypoints, None, before.foot
    )
    wishes = Harmony(1.0, True, True, 50)
    after = harmonise(nobody, checks(), (0, 0), wishes, np.random.default_rng(0))
    assert np.array_equal(after.rgba, nobody.rgba)


def test_colour_moves_toward_the_place_by_strength_and_within_bounds() -> None:
    before, place = figure(checks(90, 130)), plain(90, 120, 160)
    start = lab_mean(before.rgba[..., :3], before.mask)
    target = lab_mean(place, EVERYWHERE)
    gaps = []
    for strength in (0.0, 0.5, 1.0):
        now = lab_mean(matched(before, place, Harmony(colour=strength)).rgba[..., :3], before.mask)
        gaps.append(float(np.linalg.norm(now - target)))
        assert (np.abs(now - start) <= np.array((SHIFT[0], SHIFT[1], SHIFT[1])) * strength + 0.6).all()
    assert gaps[0] > gaps[1] + 2 > gaps[2] + 4
    assert (
        np.abs(
            matched(before, place, Harmony(colour=0.0)).rgba[before.mask].astype(int)
            - before.rgba[before.mask]
        ).max()
        <= 1
    )


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_noise_is_told_from_edges(sigma: float) -> None:
    found = noise_sigma(checks(noise=sigma)[..., 0], EVERYWHERE)
    assert found == pytest.approx(sigma, rel=0.2)


def test_noise_is_matched_and_never_added_to_the_noisier() -> None:
    clean, noisy = checks(noise=1.0), checks(noise=3.5, seed=1)
    after = matched(figure(clean), noisy, Harmony(noise=True))
    inner = cv2.erode(after.mask.astype(np.uint8), np.ones((5, 5))) > 0
    assert noise_sigma(after.rgba[..., 0], inner) == pytest.approx(3.5, rel=0.2)
    before = figure(noisy)
    unchanged = matched(before, clean, Harmony(noise=True))
    assert np.array_equal(unchanged.rgba[before.mask], before.rgba[before.mask])


def test_texture_is_not_taken_for_noise() -> None:
    """Gravel: fine and coarse structure alike; a plain figure stays plain."""
    rng = np.random.default_rng(0)
    gravel = sum(
        cv2.resize(rng.normal(0, 25, (size, size)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for size in (20, 40, 80)
    )
    place = np.clip(gravel[..., None] + plain(128, 128, 128), 0, 255).astype(np.uint8)
    before = figure(plain(90, 120, 150))
    after = matched(before, place, Harmony(noise=True))
    assert np.array_equal(after.rgba[before.mask], before.rgba[before.mask])


@pytest.mark.parametrize("sigma", [0.8, 1.2, 2.0])
def test_the_blur_of_edges_is_told(sigma: float) -> None:
    found = edge_blur(checks(sigma=sigma, noise=1)[..., 0], EVERYWHERE)
    assert found == pytest.approx(sigma, rel=0.4)


def test_a_figure_is_softened_to_match_and_never_sharpened() -> None:
    sharp, soft = checks(sigma=0.6), checks(sigma=1.5)
    after = matched(figure(sharp), soft, Harmony(blur=True))
    inner = cv2.erode(after.mask.astype(np.uint8), np.ones((9, 9))) > 0
    found = edge_blur(after.rgba[..., 0], inner)
    assert found == pytest.approx(edge_blur(soft[..., 0], EVERYWHERE), rel=0.25)
    before = figure(soft)
    assert np.array_equal(
        matched(before, sharp, Harmony(blur=True)).rgba[before.mask], before.rgba[before.mask]
    )


def test_a_plain_picture_has_neither_blur_nor_a_say() -> None:
    assert edge_blur(plain(9, 9, 9)[..., 0], EVERYWHERE) is None
    assert noise_sigma(plain(255, 255, 255)[..., 0], EVERYWHERE) is None
    assert noise_sigma(plain(9, 9, 9)[..., 0], ~EVERYWHERE) is None


def test_jpeg_leaves_its_mark() -> None:
    flat = figure(plain(200, 60, 40))
    assert (
        np.abs(
            matched(flat, checks(), Harmony(jpeg=30)).rgba[flat.mask].astype(int) - flat.rgba[flat.mask]
        ).max()
        <= 6
    )
    busy = figure(checks(noise=10))
    low, high = (
        np.abs(
            matched(busy, checks(), Harmony(jpeg=quality)).rgba[busy.mask].astype(int) - busy.rgba[busy.mask]
        ).mean()
        for quality in (20, 95)
    )
    assert low > 3 * high > 0


@pytest.mark.parametrize("wrong", [{"colour": 1.5}, {"colour": -0.1}, {"jpeg": 0}, {"jpeg": 101}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Harmony(**wrong)  # type: ignore[arg-type]
