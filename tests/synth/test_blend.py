"""What every blend keeps, and what each of them is for."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from mildbench.scene import Layer, Person, Provenance, Scene, over
from synth.blend import Alpha, Blend, Feather, Poisson, Pyramid, backdrop, bake, clone, multiband
from synth.cutout import extend_colours
from synth.fit import SizedFigure

ALL = [Alpha(), Feather(), Poisson(), Pyramid()]
H, W = 96, 120


def figure(seed: int, height: int = 70, width: int = 40, shadow: bool = True) -> SizedFigure:
    """An ellipse with smooth random colours, a soft edge, black under alpha 0, and a shadow."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot((xx - width / 2) / (0.36 * width), (yy - height / 2) / (0.42 * height)) - 1
    alpha = np.clip(0.5 - away * width / 8, 0, 1)
    colours = cv2.resize(rng.integers(0, 256, (6, 4, 3), dtype=np.uint8), (width, height))
    rgba = np.dstack([colours, np.rint(alpha * 255).astype(np.uint8)])
    rgba[rgba[..., 3] == 0] = 0
    parsing = np.where(rgba[..., 3] >= 128, np.uint8(255), np.uint8(0))
    shade = np.where(yy > height * 0.8, 90, 0).astype(np.uint8) if shadow else None
    return SizedFigure(rgba, parsing, np.zeros((17, 3), np.float32), shade, (width // 2, height - 1))


def picture(seed: int) -> np.ndarray:
    return cv2.resize(np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8), (W, H))


def layer(blended: SizedFigure, origin: tuple[int, int], number: int = 1) -> Layer:
    person = Person(number, blended.keypoints, blended.parsing, Provenance("", "", "", ""))
    return Layer(blended.rgba, origin, person, blended.shadow)


def paint(blended: SizedFigure, canvas: np.ndarray, origin: tuple[int, int]) -> np.ndarray:
    painted = canvas.copy()
    layer(blended, origin).paint(painted)
    return painted


@pytest.mark.parametrize("blend", ALL, ids=lambda blend: type(blend).__name__)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(6, 110), st.integers(4, 90)),
    origin=st.tuples(st.integers(-130, 250), st.integers(-130, 220)),
    shadow=st.booleans(),
)
def test_every_blend_keeps_to_its_footprint(
    blend: Blend, seed: int, size: tuple[int, int], origin: tuple[int, int], shadow: bool
) -> None:
    before, canvas = figure(seed, *size, shadow=shadow), picture(seed)
    rgba, behind = before.rgba.copy(), canvas.copy()
    after = blend.blend(before, canvas, origin)
    assert np.array_equal(before.rgba, rgba)
    assert np.array_equal(canvas, behind)
    assert after.rgba.dtype == np.uint8
    assert after.rgba.shape == rgba.shape
    assert after.parsing is before.parsing
    assert after.keypoints is before.keypoints
    assert after.shadow is before.shadow
    assert np.array_equal(after.rgba, blend.blend(before, canvas, origin).rgba)
    assert (after.rgba[..., 3][before.mask] > 0).all()

    scene = Scene("s", canvas, (layer(after, origin),))
    outside = ~scene.footprint([1])
    composite = scene.composite()
    assert np.array_equal(composite[outside], canvas[outside])
    assert np.array_equal(composite, paint(after, canvas, origin))
    assert np.array_equal(scene.erase([1]).truth, canvas)


def test_feathering_moves_opacity_only_near_the_edge() -> None:
    before = figure(1, 400, 200)
    after = Feather().blend(before, picture(0), (0, 0))
    edge = (before.rgba[..., 3] > 0) & (before.rgba[..., 3] < 255)
    away = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    changed = after.rgba[..., 3] != before.rgba[..., 3]
    assert changed.any()
    assert away[changed].max() <= 2**0.5 * (3 * Feather.SIGMA * 400 + 1)
    # What became visible has the person's colours, not the black under alpha 0.
    seen = (before.rgba[..., 3] == 0) & (after.rgba[..., 3] > 0)
    assert np.array_equal(
        after.rgba[before.rgba[..., 3] > 0][:, :3], before.rgba[before.rgba[..., 3] > 0][:, :3]
    )
    assert after.rgba[seen][:, :3].any(axis=-1).mean() > 0.9


def textured(height: int, width: int) -> SizedFigure:
    """A figure whose gradients tell every offset apart."""
    base = figure(0, height, width, shadow=False)
    noise = np.random.default_rng(5).normal(0, 1, (height, width, 3))
    rgba = base.rgba.copy()
    rgba[..., :3] = np.clip(128 + 60 * cv2.GaussianBlur(noise, (0, 0), 1.0), 0, 255)
    return SizedFigure(rgba, base.parsing, base.keypoints, None, base.foot)


@pytest.mark.parametrize("size", [(60, 40), (61, 40), (60, 41), (61, 41)])
@pytest.mark.parametrize("origin", [(30, 20), (31, 21), (-20, 50), (100, -30)])
def test_poisson_neither_shifts_nor_loses_detail(size: tuple[int, int], origin: tuple[int, int]) -> None:
    before = textured(*size)
    canvas = np.full((H, W, 3), 120, np.uint8)
    after = Poisson().blend(before, canvas, origin)
    inner = cv2.erode(before.mask.astype(np.uint8), np.ones((5, 5))) > 0
    for axis in (0, 1):
        was = np.diff(before.rgba[..., :3].astype(int), axis=axis)
        now = np.diff(after.rgba[..., :3].astype(int), axis=axis)
        both = inner & np.roll(inner, -1, axis=axis)
        both = both[:-1] if axis == 0 else both[:, :-1]
        # The offset itself is a smooth surface; a shift by one pixel would give a mean of more than 15.
        assert np.abs(was - now)[both].mean() < 1
        assert np.abs(was - now)[both].max() <= 5
    assert (after.rgba[..., 3][before.mask] == 255).all()
    assert np.array_equal(after.rgba[..., 3][~before.mask], before.rgba[..., 3][~before.mask])


@pytest.mark.parametrize("seed", range(3))
def test_cloning_solves_poissons_equation(seed: int) -> None:
    """Against a direct solution of the sparse system, one equation a pixel."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(9, 24, 2).tolist()
    front, back = rng.integers(90, 140, (2, height, width, 3), dtype=np.uint8)
    mask = cv2.blur(rng.random((height, width)), (5, 5)) > 0.5
    system = sparse.lil_array((mask.size, mask.size))
    right = np.zeros((mask.size, 3))
    change = front.astype(float) - back
    for y, x in np.ndindex(height, width):
        here = y * width + x
        system[here, here] = 4
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width:
                system[here, v * width + u] = -1
                if mask[y, x] or mask[v, u]:
                    right[here] += change[y, x] - change[v, u]
    offset = spsolve(system.tocsc(), right).reshape(height, width, 3)
    answer = np.clip(back + offset, 0, 255)
    assert np.abs(clone(front, back, mask) - answer).max() <= 0.5 + 1e-5


def test_a_clone_without_a_mask_is_the_background() -> None:
    front, back = picture(1), picture(2)
    assert np.array_equal(clone(front, back, np.zeros((H, W), bool)), back)


def test_poisson_paste_is_where_the_layer_is() -> None:
    before, origin = textured(60, 40), (37, 19)
    after = Poisson().blend(before, picture(3), origin)
    painted = paint(after, picture(3), origin).astype(np.float32)
    template = before.rgba[20:40, 12:28, :3].astype(np.float32)
    match = cv2.matchTemplate(painted, template, cv2.TM_CCOEFF_NORMED)
    assert cv2.minMaxLoc(match)[3] == (37 + 12, 19 + 20)


def test_poisson_takes_on_the_surroundings() -> None:
    before = textured(60, 40)
    dark, bright = (
        Poisson().blend(before, np.full((H, W, 3), level, np.uint8), (30, 20)) for level in (60, 190)
    )
    means = [each.rgba[before.mask][:, :3].mean() for each in (dark, bright)]
    assert means[0] < means[1] - 1.5 * Poisson.FARTHEST


def test_poisson_makes_no_ghosts() -> None:
    """Dark clothes before a bright sky stay dark."""
    before = textured(60, 40)
    before = replace(before, rgba=np.dstack([before.rgba[..., :3] // 4, before.rgba[..., 3]]))
    after = Poisson().blend(before, np.full((H, W, 3), 250, np.uint8), (30, 20))
    moved = after.rgba[before.mask][:, :3].astype(int) - before.rgba[before.mask][:, :3]
    assert 0.9 * Poisson.FARTHEST < moved.mean() <= moved.max() <= Poisson.FARTHEST


def test_pyramid_bakes_the_blended_image() -> None:
    before, canvas, origin = figure(4), picture(9), (40, 15)
    after = Pyramid().blend(before, canvas, origin)
    behind, alpha = backdrop(before, canvas, origin), before.rgba[..., 3]
    wanted = np.clip(multiband(extend_colours(before.rgba)[..., :3], behind, alpha, Pyramid.LEVELS), 0, 255)
    painted = paint(after, canvas, origin)[15 : 15 + 70, 40 : 40 + 40]
    seen = before.rgba[..., 3] > 0
    assert np.abs(painted[seen] - wanted[seen]).max() <= 1.01


def test_bands_without_a_seam_give_either_picture() -> None:
    front, back = picture(1), picture(2)
    for alpha, answer in ((255, front), (0, back)):
        mixed = multiband(front, back, np.full((H, W), alpha, np.uint8), 5)
        assert np.array_equal(mixed, answer)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_baked_colours_give_what_was_wanted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    behind = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    wanted = np.clip(behind + rng.normal(0, 60, behind.shape) * rng.integers(0, 2, (12, 12, 1)), 0, 255)
    least = rng.choice(np.array([0, 77, 255], np.uint8), (12, 12))
    rgba = bake(wanted.astype(np.float32), behind, least)
    canvas = behind.copy()
    over(canvas, rgba[..., :3], rgba[..., 3])
    assert np.abs(canvas - wanted).max() <= 1.01
    assert (rgba[..., 3] >= least).all()


def test_the_backdrop_is_the_canvas_mirrored_beyond_the_frame() -> None:
    canvas, before = picture(0), figure(0, shadow=False)
    assert np.array_equal(backdrop(before, canvas, (10, 20)), canvas[20:90, 10:50])
    padded = cv2.copyMakeBorder(canvas, 50, 50, 50, 50, cv2.BORDER_REFLECT_101)
    assert np.array_equal(backdrop(before, canvas, (-30, -40)), padded[10:80, 20:60])
    dot = np.full((1, 1, 3), 7, np.uint8)
    assert (backdrop(before, dot, (-30, 5)) == 7).all()
