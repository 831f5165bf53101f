"""The controls: the input, the truth, and OpenCV's two."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from batches import batch

from baselines.controls import Copy, Oracle
from baselines.opencv import NavierStokes, Telea
from mildbench.errors import UserError
from mildbench.method import MethodSpec


def test_copy_returns_the_input():
    samples = batch()
    for outcome, image in zip(Copy().run(samples), samples.images, strict=True):
        assert np.array_equal(outcome.image, image)


def test_oracle_returns_the_truth():
    samples = batch(truths=True)
    for outcome, truth in zip(Oracle().run(samples), samples.truths, strict=True):
        assert np.array_equal(outcome.image, truth)
    assert "truth" in Oracle.info.capabilities


def test_oracle_without_a_truth_is_a_clear_error():
    with pytest.raises(UserError, match="without one"):
        Oracle().run(batch())


@pytest.mark.parametrize("method", [Telea, NavierStokes])
@pytest.mark.parametrize("size", [(40, 56), (33, 17)])
def test_opencv_fills_the_mask_and_nothing_else(method, size):
    samples = batch(3, *size)
    for outcome, image, mask in zip(method().run(samples), samples.images, samples.masks, strict=True):
        assert outcome.error is None
        assert np.array_equal(outcome.image[~mask], image[~mask])
        assert not np.array_equal(outcome.image[mask], image[mask])


@pytest.mark.parametrize("radius", ["-1", "0", "101", "nan", "inf"])
@pytest.mark.parametrize("method", ["telea", "navier-stokes"])
def test_opencv_refuses_a_radius_that_it_would_move(method, radius):
    with pytest.raises(UserError, match=rf"{method}: the radius is .*: give 1 to 100 pixels"):
        MethodSpec(method, {"radius": radius}).create()


@pytest.mark.parametrize("method", [Telea, NavierStokes])
def test_opencv_never_reads_inside_the_mask(method):
    samples = batch(1)
    samples.images[samples.masks] = 0
    black = method().run(samples)[0].image
    samples.images[samples.masks] = 255
    assert np.array_equal(method().run(samples)[0].image, black)


@pytest.mark.parametrize("method", [Telea, NavierStokes])
def test_opencv_treats_the_channels_alike(method):
    samples = batch(1)
    rgb = method().run(samples)[0].image
    bgr = cv2.inpaint(
        cv2.cvtColor(samples.images[0], cv2.COLOR_RGB2BGR),
        samples.masks[0].astype(np.uint8),
        3.0,
        method.flag,
    )
    assert np.array_equal(rgb, cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


@pytest.mark.parametrize("method", [Telea, NavierStokes])
@pytest.mark.parametrize("everything", [True, False])
def test_opencv_with_everything_or_nothing_masked(method, everything):
    samples = batch(1)
    samples.masks[:] = everything
    outcome = method().run(samples)[0]
    assert outcome.error is None
    assert outcome.image.shape == samples.images[0].shape
    if not everything:
        assert np.array_equal(outcome.image, samples.images[0])
