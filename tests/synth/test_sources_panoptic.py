"""COCO panoptic: every segment is a mask of its own, and what is broken is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mildbench.errors import UserError
from synth.material import Rejected
from synth.sources.coco import CocoBackgrounds
from synth.sources.panoptic import PanopticImages

PERSON, CROWD, WALL = 70_000, 300, 5


@pytest.fixture
def panoptic(tmp_path: Path) -> Path:
    """One image of a person, a crowd and a wall; the lowest rows are unlabelled."""
    drawn = tmp_path / "annotations" / "panoptic_val2017"
    drawn.mkdir(parents=True)
    (tmp_path / "val2017").mkdir()
    numbers = np.full((280, 320), WALL)
    numbers[100:200, 50:90] = PERSON
    numbers[100:200, 150:250] = CROWD
    numbers[270:] = 0
    rgb = np.dstack([numbers % 256, numbers // 256 % 256, numbers // 65536]).astype(np.uint8)
    cv2.imwrite(str(drawn / "1.png"), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "val2017" / "1.jpg"), np.full((280, 320, 3), 90, np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 320, "height": 280, "license": 4}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "1.png",
                "segments_info": [
                    {"id": PERSON, "category_id": 1, "iscrowd": 0},
                    {"id": CROWD, "category_id": 1, "iscrowd": 1},
                    {"id": WALL, "category_id": 199, "iscrowd": 0},
                ],
            }
        ],
        "categories": [
            {"id": 1, "name": "person", "isthing": 1},
            {"id": 199, "name": "wall", "isthing": 0},
        ],
        "licenses": [{"id": 4, "name": "CC-BY"}],
    }
    write(tmp_path, content)
    return tmp_path


def write(root: Path, content: Any) -> None:
    (root / "annotations" / "panoptic_val2017.json").write_text(json.dumps(content))


def read(root: Path) -> Any:
    return json.loads((root / "annotations" / "panoptic_val2017.json").read_text())


def test_segments_are_masks(panoptic: Path) -> None:
    source = PanopticImages(str(panoptic), "val2017")
    (ref,) = source.images()
    picture = source.image(ref.key)
    kinds = [(s.category, s.is_thing, s.is_crowd, int(s.mask.sum())) for s in picture.segments]
    assert kinds == [
        ("person", True, False, 4000),
        ("person", True, True, 10_000),
        ("wall", False, False, 270 * 320 - 14_000),
    ]
    assert not sum(s.mask.astype(int) for s in picture.segments)[270:].any()
    assert picture.provenance.licence == "CC-BY"
    assert str(panoptic) not in str(picture.provenance)
    assert PanopticImages(str(panoptic), "val2017", min_side=281).images() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_id": 9}, "annotation without an image"),
        ({"segments_info": []}, "annotation without segments"),
        ({"file_name": None}, "annotation without segments"),
        ({"segments_info": [{"id": 5}]}, "segment without id or category"),
        ({"segments_info": [{"id": 5, "category_id": 77}]}, "segment of an unknown category"),
    ],
)
def test_broken_annotations_are_named(panoptic: Path, changes: dict[str, Any], reason: str) -> None:
    content = read(panoptic)
    content["annotations"][0].update(changes)
    write(panoptic, content)
    source = PanopticImages(str(panoptic), "val2017")
    assert source.images() == []
    assert source.rejections.counts == {reason: 1}


def test_ids_may_be_text(panoptic: Path) -> None:
    content = read(panoptic)
    content["images"][0]["id"] = content["annotations"][0]["image_id"] = "photo-1"
    for segment in content["annotations"][0]["segments_info"]:
        segment.update(id=str(segment["id"]), category_id=str(segment["category_id"]))
    write(panoptic, content)
    source = PanopticImages(str(panoptic), "val2017")
    (ref,) = source.images()
    assert ref.key == "photo-1"
    assert [segment.id for segment in source.image(ref.key).segments] == [PERSON, CROWD, WALL]


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
@pytest.mark.parametrize("name", ["id", "image_id", "file_name", "segments_info", "name", "isthing", "width"])
def test_missing_fields_are_no_traceback(panoptic: Path, part: str, name: str) -> None:
    content = read(panoptic)
    there = content[part][0].pop(name, None) is not None
    write(panoptic, content)
    source = PanopticImages(str(panoptic), "val2017")
    assert bool(source.images()) != bool(source.rejections.counts)
    needed = name != "id" or part != "annotations"
    assert bool(source.images()) == (not (there and needed))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda png: png.unlink(), "segmentation missing"),
        (lambda png: png.write_bytes(b"x"), "segmentation missing or unreadable"),
        (lambda png: cv2.imwrite(str(png), np.zeros((9, 9, 3), np.uint8)), "another size than its image"),
        (lambda png: cv2.imwrite(str(png), np.zeros((280, 320, 3), np.uint8)), "listed and segments drawn"),
    ],
)
def test_broken_pictures_are_rejected(panoptic: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(panoptic / "annotations" / "panoptic_val2017" / "1.png")
    with pytest.raises(Rejected, match=message):
        PanopticImages(str(panoptic), "val2017").image("1")


def test_file_names_cannot_leave_the_folder(panoptic: Path) -> None:
    content = read(panoptic)
    content["annotations"][0]["file_name"] = "../../../secret.png"
    write(panoptic, content)
    with pytest.raises(UserError, match="leaves the folder"):
        PanopticImages(str(panoptic), "val2017").image("1")


def test_real_segmentations_cover_the_stated_areas(testdata: Path, tmp_path: Path) -> None:
    sample = testdata / "panoptic_sample" / "sample_data"
    (tmp_path / "annotations").mkdir()
    shutil.copy(sample / "panoptic_examples.json", tmp_path / "annotations" / "panoptic_x.json")
    shutil.copytree(sample / "panoptic_examples", tmp_path / "annotations" / "panoptic_x")
    shutil.copytree(sample / "input_images", tmp_path / "x")
    stated = json.loads((sample / "panoptic_examples.json").read_text())["annotations"]
    area = {(str(item["image_id"]), s["id"]): s["area"] for item in stated for s in item["segments_info"]}
    source = PanopticImages(str(tmp_path), "x")
    assert len(source.images()) == 2
    for ref in source.images():
        picture = source.image(ref.key)
        assert all(segment.mask.sum() == area[ref.key, segment.id] for segment in picture.segments)
        assert any(not segment.is_thing for segment in picture.segments)


@pytest.mark.parametrize("by_model", [False, True])
def test_backgrounds_need_a_word_for_people_unless_a_model_lists_what_it_found(
    panoptic: Path, by_model: bool
) -> None:
    content = read(panoptic)
    content["categories"][0]["name"] = "figure"
    content |= {"info": {"segments": "a model"}} if by_model else {}
    write(panoptic, content)
    source = CocoBackgrounds(str(panoptic), "val2017")
    if by_model:
        assert len(source.backgrounds()) == 1
    else:
        with pytest.raises(UserError, match="does not say where people are"):
            source.backgrounds()
