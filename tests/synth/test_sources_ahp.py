"""Amodal Human Perception: the published layout is read, and what cannot be used is named and counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mildbench.errors import UserError
from mildbench.labels import UNLABELLED
from synth.material import Rejected
from synth.sources.ahp import AhpPeople
from synth.sources.base import PEOPLE, open_source

SIZE = (240, 160)


def body(top: int = 20, bottom: int = 220, left: int = 50, right: int = 110) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def put(root: Path, name: str, mask: np.ndarray) -> None:
    """A photo and its mask, red on black as loaders read it."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    Image.fromarray(cv2.resize(noise, SIZE[::-1])).save(root / "JPEGImages" / f"{name}.jpg")
    colours = np.zeros((*mask.shape, 3), np.uint8)
    colours[mask, 0] = 128
    Image.fromarray(colours).save(root / "Annotations" / f"{name}.png")


@pytest.fixture
def ahp(tmp_path: Path) -> Path:
    """One person, `a`, in the list `train`; none of use in `val`."""
    for folder in ("JPEGImages", "Annotations", "ImageSets"):
        (tmp_path / folder).mkdir()
    put(tmp_path, "a", body())
    (tmp_path / "ImageSets" / "train.txt").write_text("a\n\na\n")
    (tmp_path / "ImageSets" / "val.txt").write_text("")
    return tmp_path


def test_a_person_is_cut_out_whole(ahp: Path) -> None:
    source = open_source(f"ahp:{ahp}", PEOPLE)
    (ref,) = source.people()
    assert (ref.key, ref.height, ref.area) == ("a", 200, 200 * 60)
    cutout = source.cutout("a")
    assert np.array_equal(cutout.parsing == UNLABELLED, cutout.rgba[..., 3] >= 128)
    assert abs(int(np.count_nonzero(cutout.parsing)) - 200 * 60) < 0.05 * 200 * 60
    assert not cutout.keypoints.any()
    assert str(ahp) not in str(cutout.provenance)
    assert {path.name for path in source.files("a")} == {"a.jpg", "a.png"}


@pytest.mark.parametrize("values", [1, 255])
def test_a_mask_in_grey_or_with_a_palette_marks_the_same(ahp: Path, values: int) -> None:
    picture = Image.fromarray(body().astype(np.uint8) * values)
    if values == 1:
        picture.putpalette([0, 0, 0, 128, 0, 0])
    picture.save(ahp / "Annotations" / "a.png")
    (ref,) = AhpPeople(str(ahp)).people()
    assert ref.area == 200 * 60


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: put(root, "a", np.zeros(SIZE, bool)), "empty mask"),
        (lambda root: (root / "Annotations" / "a.png").unlink(), "listed without a mask"),
        (lambda root: (root / "Annotations" / "a.png").write_bytes(b"<html>"), "mask unreadable"),
        (lambda root: (root / "JPEGImages" / "a.jpg").unlink(), "mask without a photo"),
    ],
)
def test_what_is_broken_is_rejected_by_name(ahp: Path, spoil: Callable[[Path], None], reason: str) -> None:
    spoil(ahp)
    source = AhpPeople(str(ahp))
    assert source.people() == []
    assert source.rejections.counts == {reason: 1}


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (body(top=180), "lower than 96 px"),
        (body(top=0), "cut by the image's border"),
        (body(right=160), "cut by the image's border"),
        (body(bottom=240), "cut by the image's lower border"),
    ],
)
def test_what_does_not_suit_is_left_out(ahp: Path, mask: np.ndarray, reason: str) -> None:
    put(ahp, "a", mask)
    source = AhpPeople(str(ahp))
    assert source.people() == []
    assert source.left_out == {reason: 1}
    assert not source.rejections.counts


def test_a_photo_that_does_not_fit_rejects_the_cutout(ahp: Path) -> None:
    source = AhpPeople(str(ahp))
    Image.new("RGB", (10, 10)).save(ahp / "JPEGImages" / "a.jpg")
    with pytest.raises(Rejected, match="another size"):
        source.cutout("a")
    (ahp / "JPEGImages" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(Rejected, match="unreadable"):
        source.cutout("a")


def test_a_folder_of_another_kind_is_one_line(ahp: Path) -> None:
    with pytest.raises(UserError, match="has no ImageSets"):
        AhpPeople(str(ahp / "ImageSets"))
    with pytest.raises(UserError, match="no split 'test'; it has train, val"):
        AhpPeople(str(ahp), split="test")
    with pytest.raises(UserError, match="names nobody"):
        AhpPeople(str(ahp), split="val").people()
    (ahp / "ImageSets" / "train.txt").write_text("../../etc/passwd\n")
    with pytest.raises(UserError, match="leaves the folder"):
        AhpPeople(str(ahp)).people()
