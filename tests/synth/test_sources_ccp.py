"""Clothing Co-Parsing: every tag has a stated CIHP class, skin is divided by place, broken files are named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.labels import PARSING, UNLABELLED
from synth.material import Rejected
from synth.sources.ccp import CcpPeople
from synth.sources.ccp_labels import CARRIED, CLASSES, to_cihp

NAMES = ("null", *sorted(set(CLASSES) - {"null"}))
SIZE = (440, 200)
TOP, STATURE = 20, 400


def value(tag: str) -> int:
    return NAMES.index(tag)


def figure() -> np.ndarray:
    """uint8[440, 200]: 400 px tall, facing us; bare face, arms and legs, sleeveless top, shorts, shoes, a bag."""
    tags = np.zeros(SIZE, np.uint8)

    def box(tag: str, top: float, bottom: float, left: int, right: int) -> None:
        rows = slice(TOP + round(top * STATURE), TOP + round(bottom * STATURE))
        tags[rows, left:right] = value(tag)

    box("hair", 0, 0.05, 82, 118)
    box("skin", 0.05, 0.13, 86, 114)  # face
    box("skin", 0.13, 0.16, 93, 107)  # neck
    box("skin", 0.16, 0.2, 70, 130)  # shoulders
    box("top", 0.2, 0.45, 70, 130)
    box("skin", 0.2, 0.5, 55, 68)
    box("skin", 0.2, 0.5, 132, 145)
    box("shorts", 0.45, 0.55, 72, 128)
    box("skin", 0.55, 0.93, 74, 94)
    box("skin", 0.55, 0.93, 106, 126)
    box("shoes", 0.93, 1, 72, 95)
    box("shoes", 0.93, 1, 105, 128)
    box("bag", 0.5, 0.7, 136, 165)
    return tags


@pytest.fixture
def ccp(tmp_path: Path) -> Path:
    """One good photo, 0001."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "annotations" / "pixel-level").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (11, 5, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photos" / "0001.jpg"), cv2.resize(noise, SIZE[::-1]))
    annotate(tmp_path, "0001", figure())
    cells = np.empty((1, len(NAMES)), dtype=object)
    cells[0] = NAMES
    savemat(tmp_path / "label_list.mat", {"label_list": cells})
    return tmp_path


def annotate(root: Path, stem: str, tags: np.ndarray, name: str = "groundtruth") -> None:
    savemat(root / "annotations" / "pixel-level" / f"{stem}.mat", {name: tags}, do_compression=True)


def test_every_tag_is_mapped_to_cihp_classes(testdata: Path) -> None:
    cells = loadmat(testdata / "ccp" / "label_list.mat")["label_list"].ravel()
    published = {str(cell[0]) for cell in cells}
    assert len(published) == 59
    assert set(CLASSES) == published
    assert {name for classes in CLASSES.values() for name in classes} <= set(PARSING)
    assert all(CLASSES[name] == () for name in CARRIED)


def test_skin_and_shoes_are_divided_by_place() -> None:
    labels = to_cihp(figure(), NAMES)

    def at(share: float, column: int) -> str:
        label = int(labels[TOP + round(share * STATURE), column])
        return "none" if label == UNLABELLED else PARSING[label]

    assert at(0.08, 100) == "face"
    assert at(0.18, 100) == "torso-skin"
    # The figure faces us, so that what is at our right is the person's left.
    assert at(0.4, 60) == "right-arm"
    assert at(0.4, 140) == "left-arm"
    assert at(0.8, 80) == "right-leg"
    assert at(0.8, 120) == "left-leg"
    assert at(0.97, 80) == "right-shoe"
    assert at(0.97, 120) == "left-shoe"
    assert at(0.6, 150) == "none"
    assert at(0.3, 100) == "upper-clothes"
    assert np.array_equal(labels > 0, figure() > 0)


def test_what_could_be_hands_or_midriff_stays_without_a_class() -> None:
    tags = figure()
    tags[TOP + 160 : TOP + 176, 85:115] = value("skin")
    labels = to_cihp(tags, NAMES)
    assert (labels[TOP + 160 : TOP + 176, 85:115] == UNLABELLED).all()


def test_a_person_is_cut_out_with_labels_under_every_solid_pixel(ccp: Path) -> None:
    source = CcpPeople(str(ccp))
    (ref,) = source.people()
    assert (ref.height, ref.carries) == (STATURE, True)
    cutout = source.cutout(ref.key)
    assert np.array_equal(cutout.parsing > 0, cutout.rgba[..., 3] >= 128)
    assert cutout.carried == ("bag",)
    assert not cutout.keypoints.any()
    assert cutout.provenance.licence == "Apache-2.0"
    assert str(ccp) not in str(cutout.provenance)


def test_specks_beside_a_person_are_dropped_and_people_in_pieces_not_taken(ccp: Path) -> None:
    tags = figure()
    tags[40:46, 180:186] = value("bag")
    annotate(ccp, "0001", tags)
    source = CcpPeople(str(ccp))
    (ref,) = source.people()
    whole = figure()
    assert source.cutout(ref.key).rgba.shape[1] < np.ptp(np.nonzero(whole)[1]) + 60
    tags[TOP + 220 : TOP + 372] = 0
    annotate(ccp, "0001", tags)
    assert CcpPeople(str(ccp)).people() == []


def test_nobody_is_taken_without_a_head(ccp: Path) -> None:
    tags = figure()
    tags[tags == value("hair")] = 0
    annotate(ccp, "0001", tags)
    source = CcpPeople(str(ccp))
    assert source.people() == []
    assert source.left_out == {"no hair and no hat annotated: a part of the head is missing, or all": 1}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: annotate(root, "0001", np.zeros(SIZE, np.uint8)), "empty mask"),
        (lambda root: annotate(root, "0001", figure() + 90), "annotation has values that are no tags"),
        (lambda root: annotate(root, "0001", figure() * np.nan), "annotation has values that are no tags"),
        (lambda root: annotate(root, "0001", np.array(["a"])), "annotation is not a matrix of numbers"),
        (lambda root: annotate(root, "0001", figure(), "tags"), "annotation without 'groundtruth'"),
        (lambda root: (root / "photos" / "0001.jpg").unlink(), "annotation without a photo"),
        (lambda root: mat(root).write_bytes(mat(root).read_bytes()[:200]), "annotation unreadable"),
        (lambda root: mat(root).write_bytes(b"<html>not found</html>"), "annotation unreadable"),
        (lambda root: annotate(root, "0001", np.zeros((13400, 13400), np.uint8)), "annotation too large"),
    ],
)
def test_broken_annotations_are_named(ccp: Path, spoil: Callable[[Path], None], reason: str) -> None:
    spoil(ccp)
    source = CcpPeople(str(ccp))
    assert source.people() == []
    assert source.rejections.counts == {reason: 1}


def mat(root: Path) -> Path:
    return root / "annotations" / "pixel-level" / "0001.mat"


def test_broken_photos_reject_the_cutout(ccp: Path) -> None:
    source = CcpPeople(str(ccp))
    photo = ccp / "photos" / "0001.jpg"
    cv2.imwrite(str(photo), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(Rejected, match="another size"):
        source.cutout("0001")
    photo.write_bytes(b"no picture")
    with pytest.raises(Rejected, match="unreadable"):
        source.cutout("0001")


def test_photos_may_lie_behind_links(ccp: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    expected = CcpPeople(str(ccp)).cutout("0001").rgba
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "photos"
    shutil.move(ccp / "photos", elsewhere)
    (ccp / "photos").symlink_to(elsewhere)
    assert np.array_equal(CcpPeople(str(ccp)).cutout("0001").rgba, expected)


def test_a_folder_that_is_not_ccp_is_refused(ccp: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the folder of Clothing Co-Parsing"):
        CcpPeople(str(tmp_path / "photos"))
    (ccp / "label_list.mat").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"label_list\.mat cannot be read"):
        CcpPeople(str(ccp)).people()


def test_real_people(testdata: Path, tmp_path: Path) -> None:
    """A dozen real photos, one (0536) with an empty and one (0868) with an unfinished annotation."""
    stems = ["0536", "0868", *(f"{number:04d}" for number in range(1, 11))]
    for folder, suffix in (("photos", "jpg"), ("annotations/pixel-level", "mat")):
        (tmp_path / folder).mkdir(parents=True)
        for stem in stems:
            shutil.copy(testdata / "ccp" / folder / f"{stem}.{suffix}", tmp_path / folder)
    shutil.copy(testdata / "ccp" / "label_list.mat", tmp_path)
    source = CcpPeople(str(tmp_path))
    refs = source.people()
    assert [ref.key for ref in refs] == stems[2:]
    assert source.rejections.counts == {"empty mask": 1}
    for ref in refs:
        cutout = source.cutout(ref.key)
        image = read_rgb(tmp_path / "photos" / f"{ref.key}.jpg")
        assert cutout.rgba.shape[0] <= image.shape[0]
        face, shoes = cutout.parsing == PARSING.index("face"), np.isin(cutout.parsing, (18, 19))
        assert face.any()
        assert shoes.any()
        assert np.median(np.nonzero(face)[0]) < 0.2 * len(face)
        assert np.median(np.nonzero(shoes)[0]) > 0.75 * len(face)
