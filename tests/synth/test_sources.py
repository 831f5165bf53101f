"""Sources: what they take, what they refuse and why, and that a cut-out is where its mask was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mildbench.errors import UserError
from mildbench.images import read_rgb
from synth.cutout import refine
from synth.material import Rejected
from synth.sources.base import BACKGROUNDS, PEOPLE, open_source
from synth.sources.coco import CocoBackgrounds, CocoPeople
from synth.sources.folder import FolderBackgrounds, FolderPeople


def edit(root: Path, **changes: Any) -> CocoPeople:
    """A COCO source whose only person has some fields changed."""
    path = root / "annotations" / "person_keypoints_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0].update(changes)
    path.write_text(json.dumps(content))
    return CocoPeople(str(root))


def test_coco_people_keep_pose_and_place(coco: Path) -> None:
    source = CocoPeople(str(coco))
    (ref,) = source.people()
    cutout = source.cutout(ref.key)
    image = read_rgb(coco / "train2017" / "000000000001.jpg")
    rows, columns = np.nonzero(cutout.parsing)
    # The nose was annotated at (110, 60); the same pixel of the photo must lie under it in the crop.
    x, y = cutout.keypoints[0, :2].astype(int)
    assert cutout.rgba[y, x, 3] == 255
    assert np.array_equal(cutout.rgba[y, x, :3], image[60, 110])
    assert abs(np.ptp(rows) + 1 - 160) <= 4
    assert abs(np.ptp(columns) + 1 - 40) <= 4
    assert cutout.provenance.licence == "CC-BY"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"keypoints": [float("nan")] * 51}, "keypoints broken or not finite"),
        ({"keypoints": [1, 2]}, "keypoints broken or not finite"),
        ({"keypoints": [110, 60, 0.9] * 17}, "keypoints whose visibility is not 0, 1 or 2"),
        ({"keypoints": [900, 10, 2] * 17}, "keypoint outside the image"),
        ({"segmentation": [[100, 50, 900, 50, 140, 210]]}, "polygon out of the image's bounds"),
        ({"segmentation": [[100, 50, 140]]}, "broken polygon"),
        ({"segmentation": []}, "no segmentation"),
        ({"segmentation": {"size": [5, 5], "counts": "abc"}}, "mask of another size than its image"),
        ({"image_id": 77}, "annotation without an image"),
    ],
)
def test_broken_coco_annotations_are_counted_by_reason(
    coco: Path, changes: dict[str, Any], reason: str
) -> None:
    source = edit(coco, **changes)
    assert source.people() == []
    assert source.rejections.counts == {reason: 1}


def test_unsuitable_coco_people_are_not_called_broken(coco: Path) -> None:
    source = edit(coco, segmentation=[[0, 50, 40, 50, 40, 210, 0, 210]], keypoints=[20, 100, 2] * 17)
    assert source.people() == []
    assert not source.rejections.counts
    assert source.left_out == {"cut by the image's border": 1}
    assert source.people() == []
    assert source.left_out == {"cut by the image's border": 1}, "counted once, however often it is asked"


def test_coco_image_problems_reject_the_cutout(coco: Path) -> None:
    source = CocoPeople(str(coco))
    path = coco / "train2017" / "000000000001.jpg"
    cv2.imwrite(str(path), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(Rejected, match="another size"):
        source.cutout("1")
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(Rejected, match="unreadable"):
        source.cutout("1")


@pytest.mark.parametrize(
    ("name", "reason"), [("../../secret.jpg", "leaves the folder"), (r"a\u0000b.jpg", "no path of a file")]
)
def test_coco_file_names_cannot_leave_the_folder(coco: Path, name: str, reason: str) -> None:
    path = coco / "annotations" / "person_keypoints_train2017.json"
    path.write_text(path.read_text().replace("000000000001.jpg", name))
    with pytest.raises(UserError, match=reason):
        CocoPeople(str(coco)).cutout("1")


def test_coco_backgrounds_hold_no_person(coco: Path) -> None:
    (ref,) = CocoBackgrounds(str(coco)).backgrounds()
    assert ref.key == "2"


def test_real_coco_people_and_backgrounds(testdata: Path) -> None:
    """On real files: nothing broken, and the clean backgrounds are those the licence table counts 0 people in."""
    root = testdata / "coco_mini"
    people = CocoPeople(str(root))
    assert len(people.people()) >= 7
    assert not people.rejections.counts
    table = [line.split(",") for line in (testdata / "coco_licences.csv").read_text().splitlines()[1:]]
    clean = {Path(row[0]).name for row in table if row[1] == "0" and row[0].startswith("coco_mini/")}
    backgrounds = CocoBackgrounds(str(root), min_side=1)
    assert {f"{int(ref.key):012d}.jpg" for ref in backgrounds.backgrounds()} == clean


def test_folder_people_from_alpha_and_from_masks(cutouts: Path, tmp_path: Path) -> None:
    source = FolderPeople(str(cutouts))
    ref = source.people()[0]
    assert (source.cutout(ref.key).rgba[..., 3] > 0).any()
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    mask = np.zeros((200, 100), np.uint8)
    mask[20:180, 30:70] = 255
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((200, 100, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "masks" / "a.png"), mask)
    cv2.imwrite(str(tmp_path / "images" / "b.png"), np.zeros((50, 50, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "masks" / "b.png"), mask)
    cv2.imwrite(str(tmp_path / "images" / "c.png"), np.zeros((50, 50, 3), np.uint8))
    paired = FolderPeople(str(tmp_path))
    assert [ref.key for ref in paired.people()] == ["images/a.png"]
    assert set(paired.rejections.counts) == {
        "mask of another size than its image",
        "image without a mask of its name",
    }


def pair(root: Path, image: str, mask: str | None, height: int) -> None:
    """A photo with somebody of this height in its mask, if it has one."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(exist_ok=True)
    person = np.zeros((200, 100), np.uint8)
    person[20 : 20 + height, 30:70] = 255
    Image.new("RGB", (100, 200), (90, 90, 90)).save(root / "images" / image)
    if mask is not None:
        Image.fromarray(person).save(root / "masks" / mask)


def test_photos_of_one_stem_have_their_own_masks_or_none(tmp_path: Path) -> None:
    pair(tmp_path, "p.png", "p.png", 160)
    pair(tmp_path, "p.jpg", "p.jpg", 120)
    pair(tmp_path, "only.JPG", "only.PNG", 100)
    pair(tmp_path, "whose.jpg", "whose.png", 100)
    pair(tmp_path, "whose.bmp", None, 100)
    source = FolderPeople(str(tmp_path))
    heights = {ref.key: ref.height for ref in source.people()}
    assert heights == {"images/only.JPG": 100, "images/p.jpg": 120, "images/p.png": 160}
    assert source.rejections.counts == {"image without a mask of its name": 2}


def test_inverted_masks_cut_nobody_out(tmp_path: Path) -> None:
    for name, height in (("a.png", 160), ("b.png", 160), ("c.png", 160)):
        pair(tmp_path, name, name, height)
    for name, marked in (("b.png", None), ("c.png", 255)):
        path = tmp_path / "masks" / name
        mask = np.array(Image.open(path))
        Image.fromarray(255 - mask if marked is None else np.full_like(mask, marked)).save(path)
    source = FolderPeople(str(tmp_path))
    assert [ref.key for ref in source.people()] == ["images/a.png"]
    assert source.rejections.counts == {
        "mask around the picture's border: inverted?": 1,
        "mask over the whole picture": 1,
    }


def test_names_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    for image, mask in (("e\u0301.png", "\u00e9.png"), ("\u5199\u771f.png",) * 2, ("\u7167\u7247.png",) * 2):
        pair(tmp_path, image, mask, 160)
    source = FolderPeople(str(tmp_path))
    keys = [ref.key for ref in source.people()]
    assert sorted(keys) == ["images/\u00e9.png", "images/\u5199\u771f.png", "images/\u7167\u7247.png"]
    assert len({ref.group for ref in source.people()}) == 3
    assert source.cutout(keys[0]).rgba.shape[0] >= 158


def test_names_that_differ_in_unicode_form_alone_are_one_and_the_other_is_counted(tmp_path: Path) -> None:
    for name in ("e\u0301.png", "\u00e9.png"):
        Image.fromarray(np.full((200, 100, 4), 255, np.uint8)).save(tmp_path / name)
    source = FolderBackgrounds(str(tmp_path))
    source.backgrounds()
    assert source.left_out == {"file whose name is another's in another Unicode form": 1}


def test_a_mask_of_several_people_is_no_cut_out(tmp_path: Path) -> None:
    pair(tmp_path, "a.png", "a.png", 160)
    people = np.zeros((200, 100), np.uint8)
    people[20:180, 10:40], people[20:180, 60:90] = 1, 2
    Image.fromarray(people).save(tmp_path / "masks" / "a.png")
    source = FolderPeople(str(tmp_path))
    assert not source.people()
    assert [*source.rejections.counts] == ["mask of several people: give each a picture and a mask"]


def test_hidden_files_are_counted_and_left_alone(tmp_path: Path) -> None:
    pair(tmp_path, "a.png", "a.png", 160)
    for folder in ("images", "masks"):
        (tmp_path / folder / "._a.png").write_bytes(b"\0\5\x16\7")
    people = FolderPeople(str(tmp_path))
    assert len(people.people()) == 1
    assert not people.rejections.counts
    assert people.left_out == {"file hidden or no picture": 2}
    backgrounds = FolderBackgrounds(str(tmp_path / "images"))
    assert [ref.key for ref in backgrounds.backgrounds()] == ["a.png"]
    assert backgrounds.left_out == {"file hidden or no picture": 1}


def test_folder_backgrounds(backgrounds: Path, tmp_path: Path) -> None:
    source = FolderBackgrounds(str(backgrounds))
    assert len(source.backgrounds()) == 9
    with pytest.raises(UserError, match="holds no pictures"):
        FolderBackgrounds(str(tmp_path)).backgrounds()
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(Rejected, match="unreadable"):
        FolderBackgrounds(str(tmp_path)).background("x.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cocoo:/data", "did you mean 'coco'"),
        ("/data/coco", "no scheme"),
        ("coco:/data?spilt=train", "did you mean 'split'"),
        ("coco:/data?min_height=tall", "is not a int"),
        ("coco:/does/not/exist", "does not exist"),
        ("mannequin:here", "takes no path"),
    ],
)
def test_source_uris_are_checked(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_source(text, PEOPLE)


def test_skimage_backgrounds_are_there() -> None:
    source = open_source("skimage:", BACKGROUNDS)
    for ref in source.backgrounds():
        assert source.background(ref.key).image.shape[2] == 3


def test_a_refined_matte_stays_in_its_band_and_loses_the_old_background() -> None:
    """A red disc on blue: labels stay within the band, and edge colours are red, not purple."""
    yy, xx = np.mgrid[:200, :200]
    distance = np.hypot(yy - 100, xx - 100)
    coverage = np.clip(60.5 - distance, 0, 1)[..., None]
    image = (coverage * (220, 30, 30) + (1 - coverage) * (20, 30, 230)).astype(np.uint8)
    rng = np.random.default_rng(0)
    coarse = distance + cv2.GaussianBlur(rng.normal(0, 12, (200, 200)), (0, 0), 6) < 60
    rgba = refine(image, coarse)
    band = 2
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    label = rgba[..., 3] >= 128
    assert not (label & ~(cv2.dilate(coarse.astype(np.uint8), disc) > 0)).any()
    assert not ((cv2.erode(coarse.astype(np.uint8), disc) > 0) & ~label).any()
    edge = (rgba[..., 3] > 30) & (rgba[..., 3] < 250) & (distance < 61)
    halo_before = np.abs(image[edge].astype(int) - (220, 30, 30)).mean()
    halo_after = np.abs(rgba[edge][:, :3].astype(int) - (220, 30, 30)).mean()
    assert halo_after < 0.6 * halo_before
