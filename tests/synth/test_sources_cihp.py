"""CIHP: people by their ids, or by pieces that are clearly one person; hidden legs and broken files are told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mildbench.errors import UserError
from mildbench.labels import PARSING, UNLABELLED
from synth.material import Rejected
from synth.sources.cihp import CihpPeople

SIZE = (300, 400)


def draw(labels: np.ndarray, ids: np.ndarray, owner: int, left: int, feet: bool = True) -> None:
    """A 200 px tall person, 60 px wide."""
    head, trunk, legs, shoes = slice(40, 70), slice(70, 150), slice(150, 230), slice(230, 240)
    for rows, name, columns in (
        (head, "face", slice(left + 18, left + 42)),
        (trunk, "coat", slice(left, left + 60)),
        (legs, "pants", slice(left + 5, left + 55)),
        (shoes, "left-shoe", slice(left + 5, left + 55)),
    ):
        if feet or name != "left-shoe":
            labels[rows, columns] = PARSING.index(name)
            ids[rows, columns] = owner


@pytest.fixture
def cihp(tmp_path: Path) -> Path:
    """One image 0001 of two people apart (1, 2), with people's ids."""
    labels, ids = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    draw(labels, ids, 1, 40)
    draw(labels, ids, 2, 220)
    save(tmp_path, labels, ids)
    noise = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    (tmp_path / "Images").mkdir()
    cv2.imwrite(str(tmp_path / "Images" / "0001.jpg"), cv2.resize(noise, SIZE[::-1]))
    (tmp_path / "train_id.txt").write_text("0001\n")
    return tmp_path


def save(root: Path, labels: np.ndarray, ids: np.ndarray | None) -> None:
    for folder, plane in (("Category_ids", labels), ("Human_ids", ids)):
        if plane is not None:
            (root / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(root / folder / "0001.png"), plane)


def without_ids(root: Path) -> None:
    (root / "Human_ids" / "0001.png").unlink()
    (root / "Human_ids").rmdir()


@pytest.mark.parametrize("with_ids", [True, False])
def test_people_apart_are_taken_with_their_parsing(cihp: Path, with_ids: bool) -> None:
    if not with_ids:
        without_ids(cihp)
    source = CihpPeople(str(cihp), ids="train_id.txt")
    assert [ref.key for ref in source.people()] == ["0001/1", "0001/2"]
    assert {ref.group for ref in source.people()} == {"cihp/0001"}
    cutout = source.cutout("0001/2")
    assert np.array_equal(cutout.parsing > 0, cutout.rgba[..., 3] >= 128)
    names = {PARSING[label] for label in np.unique(cutout.parsing)}
    assert names == {"background", "face", "coat", "pants", "left-shoe"}
    assert not cutout.keypoints.any()
    assert str(cihp) not in str(cutout.provenance)


def test_endings_may_be_in_any_case(cihp: Path) -> None:
    for name in ("Images/0001.jpg", "Category_ids/0001.png", "Human_ids/0001.png"):
        path = cihp / name
        path.rename(path.with_suffix(path.suffix.upper()))
    source = CihpPeople(str(cihp))
    assert [ref.key for ref in source.people()] == ["0001/1", "0001/2"]
    assert source.cutout("0001/2").rgba[..., 3].any()


def test_people_who_touch_need_ids(cihp: Path) -> None:
    labels, ids = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    draw(labels, ids, 1, 40)
    draw(labels, ids, 2, 95)
    save(cihp, labels, ids)
    # Told apart by ids, but so entangled that one may hide a part of the other.
    source = CihpPeople(str(cihp))
    assert source.people() == []
    assert not source.rejections.counts
    without_ids(cihp)
    source = CihpPeople(str(cihp))
    assert source.people() == []
    assert source.rejections.counts == {"several people in one piece, and no human ids": 1}


def test_hidden_legs_and_cut_sides_are_unsuitable(cihp: Path) -> None:
    labels, ids = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    draw(labels, ids, 1, 0)
    draw(labels, ids, 2, 120, feet=False)
    labels[200:], ids[200:] = 0, 0
    save(cihp, labels, ids)
    source = CihpPeople(str(cihp))
    assert source.people() == []
    assert not source.rejections.counts


def test_a_pixel_of_a_person_without_a_class_is_unlabelled(cihp: Path) -> None:
    labels, ids = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    draw(labels, ids, 1, 100)
    labels[100:120, 120:140] = 0
    save(cihp, labels, ids)
    assert (CihpPeople(str(cihp)).cutout("0001/1").parsing == UNLABELLED).sum() == 400


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda root: save(root, np.full(SIZE, 20, np.uint8), None), "labels that CIHP-20 does not have"),
        (
            lambda root: save(root, np.ones((9, 9), np.uint8), None),
            "human ids of another size than the labels",
        ),
        (
            lambda root: (root / "Category_ids" / "0001.png").write_bytes(b"x"),
            "labels missing or unreadable",
        ),
        (lambda root: (root / "Human_ids" / "0001.png").unlink(), "human ids missing or unreadable"),
    ],
)
def test_broken_annotations_are_named(cihp: Path, spoil: Callable[[Path], None], reason: str) -> None:
    spoil(cihp)
    source = CihpPeople(str(cihp))
    assert source.people() == []
    assert source.rejections.counts == {reason: 1}


def test_broken_images_reject_the_cutout(cihp: Path) -> None:
    source = CihpPeople(str(cihp))
    image = cihp / "Images" / "0001.jpg"
    cv2.imwrite(str(image), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(Rejected, match="another size"):
        source.cutout("0001/1")
    image.unlink()
    with pytest.raises(Rejected, match="missing"):
        source.cutout("0001/1")


def test_wrong_folders_and_lists_are_refused(cihp: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(UserError, match="give the folder of one split"):
        CihpPeople(str(tmp_path_factory.mktemp("empty")))
    with pytest.raises(UserError, match="leaves the folder"):
        CihpPeople(str(cihp), ids="../ids.txt").people()
    with pytest.raises(UserError, match="cannot be read"):
        CihpPeople(str(cihp), ids="ids.txt").people()
    (cihp / "train_id.txt").write_text("../../secret\n")
    with pytest.raises(UserError, match="leaves the folder"):
        CihpPeople(str(cihp), ids="train_id.txt").people()


def test_real_samples(testdata: Path) -> None:
    """Of the five crowded photos, one woman stands alone; the other pieces are several people."""
    source = CihpPeople(str(testdata / "cihp_samples"))
    (ref,) = source.people()
    assert ref.key == "0012008/2"
    assert source.rejections.counts == {"several people in one piece, and no human ids": 5}
    assert PARSING.index("coat") not in np.unique(source.cutout(ref.key).parsing)  # her coat is upper-clothes
    assert PARSING.index("face") in np.unique(source.cutout(ref.key).parsing)
