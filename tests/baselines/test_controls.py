"""The controls: the input, the truth, and OpenCV's two."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from batches import batch

from baselines.controls import AmodalOracle, Copy, Oracle, Visible
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


def people(samples):
    """`samples` with three people, 2 in front of 1 in front of 0; 2 is to be erased."""
    whole = np.zeros((3, *samples.images.shape[1:3]), bool)
    whole[0, 5:25, 5:25], whole[1, 5:25, 20:35], whole[2, 5:25, 30:45] = True, True, True
    seen = whole.copy()
    seen[0] &= ~(whole[1] | whole[2])
    seen[1] &= ~whole[2]
    count = len(samples)
    return (
        replace(samples, instances=(seen,) * count, targets=((2,),) * count, amodal=(whole,) * count),
        whole,
        seen,
    )


def test_amodal_controls_return_people_as_they_are_and_as_they_are_seen():
    samples, whole, seen = people(batch(truths=True))
    for outcome, truth in zip(AmodalOracle().run(samples), samples.truths, strict=True):
        assert np.array_equal(outcome.image, truth)
        # 0 is still half hidden in the truth, and 2 is gone from it.
        assert set(outcome.layers) == {1}
        assert np.array_equal(outcome.layers[1][..., 3] == 255, whole[1])
        assert np.array_equal(outcome.layers[1][whole[1], :3], truth[whole[1]])
    for outcome, image in zip(Visible().run(samples), samples.images, strict=True):
        assert np.array_equal(outcome.image, image)
        assert set(outcome.layers) == {0, 1}
        assert all(np.array_equal(outcome.layers[person][..., 3] == 255, seen[person]) for person in (0, 1))


def test_nobody_else_is_shown_people_whole():
    assert batch().amodal is None
    strangers = batch(truths=True)
    assert all(outcome.layers == {} for outcome in AmodalOracle().run(strangers))
    assert all(outcome.layers == {} for outcome in Visible().run(strangers))


def test_oracle_without_a_truth_is_a_clear_error():
    for oracle in (Oracle(), AmodalOracle()):
        with pytest.raises(UserError, match="without one"):
            oracle.run(batch())


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
