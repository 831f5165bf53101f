"""The same pixels give the same bytes wherever in memory they lie.

Some SIMD code (Intel's IPP behind `cv2.magnitude`) rounds differently at other alignments; a threshold then turns a
last bit into visible pixels, and a resumed build differs from an unbroken one once in thousands of scenes.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from synth.blend import BLENDS
from synth.cutout import refine
from synth.fit import SizedFigure, cast_shadow
from synth.harmonise import Harmony, harmonise
from synth.looks import Surroundings, look_of_clothes

OFFSETS = (0, 4, 16, 20, 32, 48)


def at(array: np.ndarray, offset: int) -> np.ndarray:
    """A copy whose first byte lies `offset` bytes (whole items) after a multiple of 64."""
    offset -= offset % array.itemsize
    memory = np.empty(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.fixture
def figure() -> SizedFigure:
    rng = np.random.default_rng(0)
    rgba = np.zeros((151, 93, 4), np.uint8)
    cv2.ellipse(rgba, (46, 70), (30, 62), 0, 0, 360, (120, 80, 60, 255), -1, cv2.LINE_AA)
    texture = cv2.resize(rng.integers(0, 90, (40, 25, 3), dtype=np.uint8), (93, 151))
    rgba[..., :3] = cv2.add(rgba[..., :3], texture)
    parsing = np.where(rgba[..., 3] >= 128, 255, 0).astype(np.uint8)
    return SizedFigure(rgba, parsing, np.zeros((17, 3), np.float32), None, (46, 131))


@pytest.fixture
def canvas() -> np.ndarray:
    rng = np.random.default_rng(1)
    smooth = cv2.resize(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8), (200, 200))
    return cv2.add(smooth, rng.integers(0, 6, (200, 200, 3), dtype=np.uint8))


def test_cut_outs(canvas: np.ndarray) -> None:
    mask = np.hypot(*np.mgrid[-100:100, -100:100]) < 60
    assert len({refine(at(canvas, offset), at(mask, offset)).tobytes() for offset in OFFSETS}) == 1


def test_shadows_harmony_and_blends(figure: SizedFigure, canvas: np.ndarray) -> None:
    settings = Harmony(colour=0.5, noise=True, blur=True, jpeg=80)
    for name in BLENDS.names():
        found = set()
        for offset in OFFSETS:
            moved = replace(figure, rgba=at(figure.rgba, offset), parsing=at(figure.parsing, offset))
            moved = cast_shadow(moved, 0.5)
            rng = np.random.default_rng(3)
            moved = harmonise(moved, at(canvas, offset), (40, 30), settings, rng)
            blended = BLENDS.load(name)().blend(moved, at(canvas, offset), (40, 30))
            assert blended.shadow is not None
            found.add(blended.rgba.tobytes() + blended.shadow.tobytes())
        assert len(found) == 1, name


def test_camouflage(figure: SizedFigure, canvas: np.ndarray) -> None:
    window = np.s_[30:181, 40:133]
    distances = {
        Surroundings(at(canvas, offset)).distance(
            look_of_clothes(replace(figure, rgba=at(figure.rgba, offset))), at(figure.mask, offset), window
        )
        for offset in OFFSETS
    }
    assert len(distances) == 1
