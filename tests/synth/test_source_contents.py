"""A source is what it holds: a change that leaves names, sizes and times as they were is seen, in every source."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mildbench.errors import UserError
from mildbench.executors import SerialExecutor
from synth.build import build
from synth.material import BackgroundChoice, PersonChoice
from synth.pools import Pool
from synth.recipe import Recipe
from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED, Source, open_source
from synth.survey import Survey, files_of, photos_of


def content(source: Source, role: str) -> str:
    """The fingerprint that a build takes for this source."""
    if role == "people":
        choices = [PersonChoice(0, ref) for ref in source.people()]
    else:
        refs = source.backgrounds() if hasattr(source, "backgrounds") else source.images()
        choices = [BackgroundChoice(0, ref) for ref in refs]
    assert choices
    survey = Survey.of(photos_of(choices, [source]), files_of(choices, [source]))
    (described,) = Pool(role, [source], choices).describe(survey)
    return described.fingerprint


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Other bytes under the same name, size and time."""
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(change(data))
    os.truncate(path, before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.read_bytes() != data


def last_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_any_photo_of_a_folder_counts(tmp_path: Path, backgrounds: Path) -> None:
    folder = Path(shutil.copytree(backgrounds, tmp_path / "b"))
    before = content(open_source(f"folder:{folder}", BACKGROUNDS), "backgrounds")
    assert content(open_source(f"folder:{folder}", BACKGROUNDS), "backgrounds") == before
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "b"))
    assert content(open_source(f"folder:{moved}", BACKGROUNDS), "backgrounds") == before
    rewrite(folder / "5.png", last_byte)
    assert content(open_source(f"folder:{folder}", BACKGROUNDS), "backgrounds") != before


def test_any_cutout_of_a_folder_counts(tmp_path: Path, cutouts: Path) -> None:
    folder = Path(shutil.copytree(cutouts, tmp_path / "c"))
    before = content(open_source(f"folder:{folder}", PEOPLE), "people")
    rewrite(folder / "07.png", last_byte)
    assert content(open_source(f"folder:{folder}", PEOPLE), "people") != before


@pytest.mark.parametrize("changed", ["images/0.png", "masks/0.png"])
def test_photos_and_masks_of_a_paired_folder_count(tmp_path: Path, changed: str) -> None:
    for name, channels in (("images", 3), ("masks", 1)):
        (tmp_path / name).mkdir()
        picture = np.zeros((120, 90, channels), np.uint8)
        picture[10:110, 20:70] = 255
        cv2.imwrite(str(tmp_path / name / "0.png"), picture)
    before = content(open_source(f"folder:{tmp_path}", PEOPLE), "people")
    pixels = cv2.imread(str(tmp_path / changed), cv2.IMREAD_UNCHANGED)
    pixels[60, 40] = 200
    cv2.imwrite(str(tmp_path / changed), pixels)
    assert content(open_source(f"folder:{tmp_path}", PEOPLE), "people") != before


@pytest.mark.parametrize(
    ("kind", "change", "seen"),
    [
        ("person_keypoints", lambda c: c["annotations"][0]["segmentation"][0].__setitem__(0, 101), True),
        ("person_keypoints", lambda c: c["annotations"][0]["keypoints"].__setitem__(0, 111), True),
        ("person_keypoints", lambda c: c["licenses"][0].update(name="CC-ND"), True),
        ("person_keypoints", lambda c: c.update(info={"year": 2042}), False),
    ],
)
def test_coco_annotations_of_a_person_count(
    coco: Path, kind: str, change: Callable[[dict[str, Any]], object], seen: bool
) -> None:
    before = content(open_source(f"coco:{coco}", PEOPLE), "people")
    path = coco / "annotations" / f"{kind}_train2017.json"
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said, indent=2))
    assert (content(open_source(f"coco:{coco}", PEOPLE), "people") != before) == seen


def test_coco_photos_count(coco: Path) -> None:
    people, backgrounds = (
        content(open_source(f"coco:{coco}", registry), role)
        for registry, role in ((PEOPLE, "people"), (BACKGROUNDS, "backgrounds"))
    )
    rewrite(coco / "train2017" / f"{1:012d}.jpg", last_byte)
    assert content(open_source(f"coco:{coco}", PEOPLE), "people") != people
    assert content(open_source(f"coco:{coco}", BACKGROUNDS), "backgrounds") == backgrounds
    rewrite(coco / "train2017" / f"{2:012d}.jpg", last_byte)
    assert content(open_source(f"coco:{coco}", BACKGROUNDS), "backgrounds") != backgrounds


def test_labels_and_ids_of_cihp_count(tmp_path: Path) -> None:
    for folder in ("Images", "Category_ids", "Human_ids"):
        (tmp_path / folder).mkdir()
    labels, ids = np.zeros((300, 200), np.uint8), np.zeros((300, 200), np.uint8)
    labels[20:60, 80:120], labels[60:240, 70:130], labels[240:280, 70:130] = 13, 5, 18
    ids[20:280, 70:130] = labels[20:280, 70:130] > 0
    cv2.imwrite(str(tmp_path / "Images" / "1.jpg"), np.dstack([labels * 9] * 3))
    cv2.imwrite(str(tmp_path / "Category_ids" / "1.png"), labels)
    cv2.imwrite(str(tmp_path / "Human_ids" / "1.png"), ids)
    found = {content(open_source(f"cihp:{tmp_path}", PEOPLE), "people")}
    for path, pixels in (("Category_ids/1.png", labels), ("Human_ids/1.png", ids)):
        pixels[100, 100] = 7 if pixels is labels else 0
        cv2.imwrite(str(tmp_path / path), pixels)
        found.add(content(open_source(f"cihp:{tmp_path}", PEOPLE), "people"))
    rewrite(tmp_path / "Images" / "1.jpg", last_byte)
    found.add(content(open_source(f"cihp:{tmp_path}", PEOPLE), "people"))
    assert len(found) == 4


def test_annotations_of_ccp_count(testdata: Path, tmp_path: Path) -> None:
    root = tmp_path / "ccp"
    (root / "photos").mkdir(parents=True)
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    shutil.copy(testdata / "ccp" / "label_list.mat", root)
    for photo in sorted((testdata / "ccp" / "photos").glob("*.jpg"))[:12]:
        shutil.copy(photo, root / "photos")
        tags = Path("annotations", "pixel-level", f"{photo.stem}.mat")
        shutil.copy(testdata / "ccp" / tags, root / tags)
    source = open_source(f"ccp:{root}", PEOPLE)
    before, key = content(source, "people"), source.people()[0].key
    path = root / "annotations" / "pixel-level" / f"{key}.mat"
    tags = loadmat(path)["groundtruth"]
    rows, columns = np.nonzero(tags)
    tags[rows[len(rows) // 2], columns[len(rows) // 2]] = 0
    savemat(path, {"groundtruth": tags})
    assert content(open_source(f"ccp:{root}", PEOPLE), "people") != before


def test_segmentations_of_panoptic_pictures_count(tmp_path: Path) -> None:
    drawn = tmp_path / "annotations" / "panoptic_val"
    drawn.mkdir(parents=True)
    (tmp_path / "val").mkdir()
    cv2.imwrite(str(drawn / "1.png"), np.dstack([np.zeros((260, 260, 2)), np.full((260, 260), 5)]))
    cv2.imwrite(str(tmp_path / "val" / "1.jpg"), np.full((260, 260, 3), 90, np.uint8))
    said = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 260, "height": 260}],
        "annotations": [
            {"image_id": 1, "file_name": "1.png", "segments_info": [{"id": 5, "category_id": 9}]}
        ],
        "categories": [{"id": 9, "name": "wall", "isthing": 0}],
    }
    path = tmp_path / "annotations" / "panoptic_val.json"
    path.write_text(json.dumps(said))
    found = {content(open_source(f"coco:{tmp_path}", SEGMENTED), "backgrounds")}
    rewrite(drawn / "1.png", last_byte)
    found.add(content(open_source(f"coco:{tmp_path}", SEGMENTED), "backgrounds"))
    said["categories"][0]["name"] = "floor"
    path.write_text(json.dumps(said))
    found.add(content(open_source(f"coco:{tmp_path}", SEGMENTED), "backgrounds"))
    assert len(found) == 3


@pytest.mark.parametrize("role", ["cutouts", "backgrounds"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_build_whose_sources_hold_something_else_is_refused(
    recipe: Recipe, drawn: tuple[Path, Path], tmp_path: Path, role: str, finished: bool
) -> None:
    """Half old and half new is worse than a stop, and so is the old one called finished."""
    people, backgrounds = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in drawn)
    changing = recipe.model_copy(
        update={"people": [f"folder:{people}"], "backgrounds": [f"folder:{backgrounds}"]}
    )

    def stop(count: int) -> None:
        if not finished:
            raise KeyboardInterrupt

    if finished:
        build(changing, 0, tmp_path / "out", SerialExecutor(1), stop)
    else:
        with pytest.raises(KeyboardInterrupt):
            build(changing, 0, tmp_path / "out", SerialExecutor(1), stop)
    rewrite(sorted((tmp_path / role).iterdir())[0], last_byte)
    with pytest.raises(UserError, match="its sources have changed"):
        build(changing, 0, tmp_path / "out", SerialExecutor(1), lambda count: None)
