"""Predictions read from a folder: one bad picture is one failed sample."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from batches import batch

from baselines.precomputed import Precomputed
from mildbench.errors import UserError
from mildbench.images import write_png
from mildbench.method import MethodSpec


@pytest.fixture
def folder(tmp_path):
    samples = batch(3)
    for name, image in zip(samples.sample_ids, samples.images, strict=True):
        write_png(tmp_path / f"{name}.png", 255 - image)
    return tmp_path


def run(folder, samples):
    method = Precomputed(str(folder))
    method.load()
    return method.run(samples)


def test_predictions_are_found_by_id(folder):
    samples = batch(3)
    order = [2, 0, 1]
    shuffled = replace(samples, sample_ids=tuple(samples.sample_ids[i] for i in order))
    for outcome, i in zip(run(folder, shuffled), order, strict=True):
        assert np.array_equal(outcome.image, 255 - samples.images[i])


def test_a_missing_prediction_fails_alone(folder):
    (folder / "sample-1.png").unlink()
    outcomes = run(folder, batch(3))
    assert [outcome.image is None for outcome in outcomes] == [False, True, False]
    assert "no prediction for sample-1" in outcomes[1].error


def test_other_formats_are_read_and_png_comes_first(folder):
    images = batch(3).images
    black = cv2.imencode(".jpg", np.zeros_like(images[0]))[1].tobytes()
    (folder / "sample-0.jpg").write_bytes(black)
    (folder / "sample-1.png").unlink()
    (folder / "sample-1.jpeg").write_bytes(black)
    first, second, _ = run(folder, batch(3))
    assert np.array_equal(first.image, 255 - images[0])
    assert not second.image.any()


def test_a_wrong_size_and_a_broken_file_fail_alone(folder):
    write_png(folder / "sample-0.png", np.zeros((20, 30, 3), np.uint8))
    (folder / "sample-2.png").write_bytes(b"<html>")
    outcomes = run(folder, batch(3))
    assert "30x20 pixels, the sample is 56x40" in outcomes[0].error
    assert outcomes[1].error is None
    assert "cannot be read" in outcomes[2].error


def test_a_transparent_picture_fails_alone_and_an_opaque_one_counts(folder):
    samples = batch(2)
    for number, alpha in enumerate((254, 255)):
        plane = np.full((*samples.images[0].shape[:2], 1), alpha, np.uint8)
        write_png(folder / f"sample-{number}.png", np.dstack((samples.images[number], plane)))
    failed, fine = run(folder, samples)
    assert "the prediction for sample-0 is transparent in places: save it without alpha" in failed.error
    assert np.array_equal(fine.image, samples.images[1])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ""])
def test_an_id_cannot_leave_the_folder(folder, name):
    write_png(folder.parent / "secret.png", batch(1).images[0])
    outcome = run(folder, replace(batch(1), sample_ids=(name,)))[0]
    assert outcome.image is None
    assert "refused" in outcome.error or "no prediction" in outcome.error


def test_the_folder_must_be_given_and_exist(tmp_path):
    with pytest.raises(UserError, match="directory=DIR"):
        Precomputed().load()
    with pytest.raises(UserError, match="predictions folder not found"):
        Precomputed(str(tmp_path / "nothing")).load()
    (tmp_path / "some.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="is a file: give a folder"):
        Precomputed(str(tmp_path / "some.zip")).load()


def test_options_are_read_from_the_command_line(monkeypatch, tmp_path):
    monkeypatch.setattr("mildbench.method.METHODS.load", lambda name: Precomputed)
    assert MethodSpec.parse(f"precomputed:directory={tmp_path}").create().directory == tmp_path


@pytest.mark.parametrize("suffix", [".PNG", ".Png", ".JPG", ".JPEG", ".WEBP"])
def test_a_suffix_may_be_in_capitals(folder, suffix):
    (folder / "sample-1.png").unlink()
    black = cv2.imencode(suffix.lower(), np.zeros_like(batch(3).images[0]))[1].tobytes()
    (folder / f"sample-1{suffix}").write_bytes(black)
    (folder / "._sample-1.PNG").write_bytes(b"what a Mac leaves behind")
    assert not run(folder, batch(3))[1].image.any()
