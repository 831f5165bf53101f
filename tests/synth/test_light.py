"""Light: figures follow the place's exposure and colour as far as asked, and shadows fall where they are told."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.fit import SizedFigure
from synth.fit import cast_shadow as contact
from synth.light import FADED, GAINS, LONGEST, Cast, Grade, grade_for, lay_shadow, relight, surroundings

SIDE = 200


def figure(colour: tuple[int, int, int] = (150, 120, 110), seed: int = 0) -> SizedFigure:
    """A standing figure, 100 px tall and 30 wide, of about one colour."""
    rng = np.random.default_rng(seed)
    parsing = np.zeros((120, 60), np.uint8)
    parsing[10:110, 15:45] = 255
    rgba = np.zeros((120, 60, 4), np.uint8)
    rgba[..., :3] = np.clip(np.array(colour) + rng.normal(0, 12, (120, 60, 3)), 0, 255)
    rgba[..., 3] = parsing
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:5] = 30, 20, 2
    return SizedFigure(rgba, parsing, keypoints, None, (29, 109))


def place(level: float, tint: tuple[float, float, float] = (1, 1, 1), seed: int = 1) -> np.ndarray:
    """uint8[SIDE, SIDE, 3]: a rough grey ground in coloured light."""
    rng = np.random.default_rng(seed)
    grey = np.clip(level * rng.uniform(0.5, 1.5, (SIDE, SIDE, 1)), 0, 240)
    return np.clip(grey * np.array(tint), 0, 255).astype(np.uint8)


ORIGIN = (60, 40)


def seen(one: SizedFigure) -> np.ndarray:
    """float64[3]: the mean colour of a figure."""
    return one.rgba[..., :3][one.mask].mean(axis=0)


def lit(one: SizedFigure, image: np.ndarray, strength: float) -> SizedFigure:
    return relight(one, grade_for(one, image, ORIGIN, strength))


def test_no_grade_changes_nothing() -> None:
    assert np.array_equal(Grade().table(), np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    assert grade_for(figure(), place(20), ORIGIN, 0) == Grade()


def test_only_colours_change() -> None:
    before = figure()
    after = lit(before, place(20, (1, 0.8, 0.5)), 1)
    assert np.array_equal(after.rgba[..., 3], before.rgba[..., 3])
    assert after.parsing is before.parsing
    assert after.keypoints is before.keypoints
    assert after.foot == before.foot


def test_ordinary_light_leaves_people_as_they_are() -> None:
    before = figure((130, 130, 130))
    after = lit(before, place(125), 1)
    assert np.abs(seen(after) - seen(before)).max() < 8


@settings(max_examples=25, deadline=None)
@given(level=st.integers(4, 40), seed=st.integers(0, 99))
def test_night_makes_a_night_person(level: int, seed: int) -> None:
    before = figure(seed=seed)
    after = lit(before, place(level, seed=seed), 1)
    assert seen(after).mean() < 3.2 * level + 12  # skin and clothes are brighter than the ground
    half = lit(before, place(level, seed=seed), 0.5)
    assert seen(after).mean() < seen(half).mean() < seen(before).mean()


@settings(max_examples=25, deadline=None)
@given(first=st.integers(5, 110), second=st.integers(5, 110), strength=st.floats(0.2, 1))
def test_a_darker_place_never_makes_a_brighter_person(first: int, second: int, strength: float) -> None:
    dark, bright = sorted((first, second))
    assert (
        seen(lit(figure(), place(dark), strength)).mean()
        <= seen(lit(figure(), place(bright), strength)).mean() + 1
    )


@pytest.mark.parametrize(
    ("tint", "channel"), [((1, 0.88, 0.75), 0), ((1.0, 0.7, 0.3), 0), ((0.85, 0.95, 1), 2)]
)
def test_coloured_light_colours_people(tint: tuple[float, float, float], channel: int) -> None:
    before = figure((130, 130, 130))
    weak, strong = (seen(lit(before, place(120, tint), strength)) for strength in (0.4, 1))
    other = 2 - channel
    assert strong[channel] - strong[other] > weak[channel] - weak[other] + 3 > 5


def test_a_blue_sky_does_not_make_blue_people() -> None:
    image = place(110)
    image[:110] = (70, 130, 220)
    before = figure((130, 130, 130))
    assert np.ptp(seen(lit(before, image, 1))) < 8


def test_haze_lifts_black() -> None:
    hazy = (160 + place(100) // 6).astype(np.uint8)
    before = figure((12, 12, 12))
    assert seen(lit(before, hazy, 1)).mean() > seen(lit(before, place(120), 1)).mean() + 60


@settings(max_examples=40, deadline=None)
@given(x=st.integers(-300, 300), y=st.integers(-300, 300), strength=st.floats(0, 1), seed=st.integers(0, 9))
def test_grades_keep_their_bounds_wherever_people_stand(x: int, y: int, strength: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    grade = grade_for(figure(), image, (x, y), strength)
    assert GAINS[0] / 3 <= min(grade.gains) <= max(grade.gains) <= GAINS[1] * 2
    assert 0 <= grade.black < grade.white <= 255
    assert (np.diff(grade.table().astype(int), axis=0) >= 0).all()
    assert surroundings(image, (x, y), 100).size


def test_a_strength_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 0\.\.1"):
        grade_for(figure(), place(100), ORIGIN, 1.2)


casts = st.builds(
    Cast,
    st.floats(-LONGEST, LONGEST),
    st.floats(-0.6, 0.6),
    st.floats(0.3, 1),
)


@settings(max_examples=40, deadline=None)
@given(casts)
def test_a_cast_shadow_moves_nothing_but_the_layer(cast: Cast) -> None:
    before = figure()
    after = lay_shadow(before, cast)
    assert after.shadow is not None
    assert after.shadow.shape == after.parsing.shape == after.rgba.shape[:2]
    dx, dy = after.foot[0] - before.foot[0], after.foot[1] - before.foot[1]
    window = np.s_[dy : dy + 120, dx : dx + 60]
    assert np.array_equal(after.rgba[window], before.rgba)
    assert np.array_equal(after.parsing[window], before.parsing)
    assert np.count_nonzero(after.parsing) == np.count_nonzero(before.parsing)
    assert np.allclose(after.keypoints[:5, :2] - before.keypoints[:5, :2], (dx, dy))
    assert not after.keypoints[5:].any()
    assert after.shadow.max() <= round(cast.opacity * 255)
    edge = [after.shadow[0], after.shadow[-1], after.shadow[:, 0], after.shadow[:, -1]]
    assert max(int(side.max()) for side in edge) <= 4  # all of it has room


@settings(max_examples=40, deadline=None)
@given(casts)
def test_a_shadow_falls_where_it_is_told(cast: Cast) -> None:
    after = lay_shadow(figure(), cast)
    assert after.shadow is not None
    weight = after.shadow.astype(float)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    x, y = (float((weight * at).sum() / weight.sum()) for at in (columns, rows))
    # It fades on its way, so its middle lies before the middle of the silhouette.
    along = (1 / 2 - (1 - FADED) / 3) / (1 - (1 - FADED) / 2)
    assert x - after.foot[0] == pytest.approx(100 * cast.across * along, abs=4 + 14 * abs(cast.across))
    assert after.foot[1] - y == pytest.approx(100 * cast.away * along, abs=6 + 14 * abs(cast.away))


@settings(max_examples=20, deadline=None)
@given(casts)
def test_mirrored_light_casts_a_mirrored_shadow(cast: Cast) -> None:
    one = lay_shadow(figure(), cast).shadow
    other = lay_shadow(figure(), replace(cast, across=-cast.across)).shadow
    assert one is not None
    assert other is not None
    assert one.shape == other.shape
    assert np.abs(one.astype(int) - other[:, ::-1].astype(int)).mean() < 1.5


def test_a_contact_shadow_is_kept() -> None:
    touching = contact(figure(), 0.5)
    both, cast = lay_shadow(touching, Cast(0.8, 0.2, 0.5)), lay_shadow(figure(), Cast(0.8, 0.2, 0.5))
    assert touching.shadow is not None
    assert both.shadow is not None
    assert cast.shadow is not None
    assert (both.shadow >= cast.shadow).all()
    dx, dy = both.foot[0] - 29, both.foot[1] - 109
    assert (both.shadow[dy : dy + 120, dx : dx + 60] >= touching.shadow).all()


def test_no_opacity_is_no_shadow() -> None:
    before = figure()
    assert lay_shadow(before, Cast(1, 0.2, 0)) is before


@given(st.floats(0, 1), st.floats(0, 9), st.floats(0, 3))
def test_directions_are_turns(azimuth: float, length: float, foreshortening: float) -> None:
    cast = Cast.of(azimuth, length, foreshortening, 0.5)
    opposite = Cast.of(azimuth + 0.5, length, foreshortening, 0.5)
    assert cast.across == pytest.approx(-opposite.across, abs=2e-4)
    assert cast.away == pytest.approx(-opposite.away, abs=2e-4)
    assert Cast.of(0, 1, 0.3, 0.5) == Cast(0, 0.3, 0.5)
    assert Cast.of(0.25, 1, 0.3, 0.5).across == 1


def test_impossible_shadows_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        Cast(3, 0, 0.5)
    with pytest.raises(ValueError, match="opacity"):
        Cast(1, 0, 1.5)


def test_the_same_bytes_without_fast_code() -> None:
    image, before = place(40, (1, 0.9, 0.7)), contact(figure(), 0.4)

    def make() -> list[np.ndarray | None]:
        after = lay_shadow(lit(before, image, 0.8), Cast(0.7, 0.2, 0.5))
        return [after.rgba, after.shadow]

    fast = make()
    cv2.setUseOptimized(False)
    try:
        slow = make()
    finally:
        cv2.setUseOptimized(True)
    for one, other in zip(fast, slow, strict=True):
        assert one is not None
        assert np.array_equal(one, other)
