"""MoveNet, BodyPix, DeepLab and selfie segmentation on real photos; PersonLab's decoding on made-up heads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mildbench.annotators.base import Annotator, AnnotatorSpec, Picture, boxes_of
from mildbench.annotators.crops import Square
from mildbench.annotators.litert import reaches_edge
from mildbench.annotators.personlab import EDGES, Heads, assign, decode
from mildbench.annotators.quality import oks
from mildbench.errors import UserError
from mildbench.geometry import Box
from mildbench.images import read_rgb
from mildbench.labels import PARSING, UNLABELLED


@pytest.fixture(scope="module")
def litert(testdata: Path) -> Annotator:
    spec = AnnotatorSpec.parse(f"litert:models={testdata / 'weights'}")
    annotator = spec.create("pose")
    annotator.load("people")
    return annotator


def people_of(testdata: Path, most: int) -> list[tuple[Picture, np.ndarray, np.ndarray]]:
    """COCO photos with people of whom at least 10 keypoints are known: picture, keypoints [K, 17, 3], areas [K]."""
    root = testdata / "tiny_coco"
    content = json.loads((root / "annotations" / "person_keypoints_train2017.json").read_text())
    found = []
    for record in content["images"]:
        people = [a for a in content["annotations"] if a["image_id"] == record["id"] and not a["iscrowd"]]
        people = [a for a in people if a["num_keypoints"] >= 10]
        if not people or len(found) == most:
            continue
        image = read_rgb(root / "train2017" / record["file_name"])
        masks = np.zeros((len(people), *image.shape[:2]), np.uint8)
        for mask, person in zip(masks, people, strict=True):
            for polygon in person["segmentation"]:
                cv2.fillPoly(mask, [np.array(polygon).reshape(-1, 2).round().astype(np.int32)], 1)
        shown = masks > 0
        keypoints = np.array([a["keypoints"] for a in people], np.float32).reshape(-1, 17, 3)
        picture = Picture(record["file_name"], image, boxes_of(shown), shown)
        found.append((picture, keypoints, np.array([a["area"] for a in people])))
    return found


def test_poses_on_photos_are_far_above_chance(litert: Annotator, testdata: Path) -> None:
    rng = np.random.default_rng(0)
    found, chance = [], []
    for picture, truths, areas in people_of(testdata, 12):
        for poses, truth, area, box in zip(
            litert.pose([picture])[0], truths, areas, picture.boxes, strict=True
        ):
            found.append(oks(poses, truth, area))
            chance.append(oks(rng.uniform(box[:2], box[2:], (17, 2)), truth, area))
    assert len(found) >= 12
    assert np.mean(found) > 0.6
    assert np.mean(chance) < 0.15


@pytest.mark.slow
def test_people_in_photos_are_found_one_by_one(litert: Annotator, testdata: Path) -> None:
    ious = []
    for picture, _, _ in people_of(testdata, 2):
        (found,) = litert.people([Picture(picture.id, picture.image)])
        assert picture.masks is not None
        for mask in picture.masks[picture.masks.mean(axis=(1, 2)) > 0.02]:
            ious.append(max(((mask & m).sum() / (mask | m).sum() for m in found.masks), default=0.0))
    assert np.mean(ious) > 0.5


@pytest.mark.parametrize(("name", "kind"), [("000000084533", "motorcycle"), ("000000107438", "bicycle")])
def test_what_people_ride_is_found_by_cocos_name(
    litert: Annotator, testdata: Path, name: str, kind: str
) -> None:
    root = testdata / "coco_mini"
    litert.load("objects")
    image = read_rgb(root / "train2017" / f"{name}.jpg")
    (found,) = litert.objects([Picture(name, image)])
    content = json.loads((root / "annotations" / "instances_train2017.json").read_text())
    (number,) = [category["id"] for category in content["categories"] if category["name"] == kind]
    truth = np.zeros(image.shape[:2], np.uint8)
    for thing in content["annotations"]:
        if thing["image_id"] == int(name) and thing["category_id"] == number:
            outlines = [
                np.array(part).reshape(-1, 2).round().astype(np.int32) for part in thing["segmentation"]
            ]
            cv2.fillPoly(truth, outlines, 1)
    seen = np.any(
        [mask for mask, known in zip(found.masks, found.names, strict=True) if known == kind], axis=0
    )
    assert (seen & (truth > 0)).sum() > 0.6 * (seen | (truth > 0)).sum()
    assert "person" not in found.names


@pytest.mark.parametrize(
    ("box", "beyond"),
    [
        (Box(20, 20, 40, 40), False),
        (Box(20, 20, 40, 59), False),
        (Box(12, 20, 40, 40), True),
        (Box(20, 20, 60, 40), False),
        (Box(20, 20, 40, 61), True),
        (Box(20, 0, 40, 27), False),
    ],
)
def test_who_ends_at_an_edge_that_is_not_the_pictures_goes_on_beyond_it(box: Box, beyond: bool) -> None:
    view = Square(11, -20, 50) if box.top == 0 else Square(11, 12, 50)
    assert reaches_edge(box.filled((100, 60)), view) is beyond


@pytest.mark.slow
def test_parsing_on_a_photo_puts_the_parts_where_they_are(litert: Annotator, testdata: Path) -> None:
    heights: dict[str, list[float]] = {"face": [], "upper-clothes": [], "pants": []}
    for path in sorted((testdata / "ccp" / "photos").glob("*.jpg"))[:2]:
        image = read_rgb(path)
        (found,) = litert.people([Picture("", image)])
        masks = found.masks[:1]
        (labels,) = litert.parsing([Picture("", image, boxes_of(masks), masks)])
        np.testing.assert_array_equal(labels > 0, masks[0])
        assert (labels == UNLABELLED).sum() < 0.2 * masks.sum()
        for name, rows in heights.items():
            rows.append(float(np.nonzero(labels == PARSING.index(name))[0].mean()) / image.shape[0])
    face, upper, pants = (np.array(rows) for rows in heights.values())
    assert (face < upper).all()
    assert (upper < pants).all()


def test_a_batch_changes_nothing(litert: Annotator, testdata: Path) -> None:
    pictures = [picture for picture, _, _ in people_of(testdata, 3)]
    for together, picture in zip(litert.pose(pictures), pictures, strict=True):
        np.testing.assert_array_equal(together, litert.pose([picture])[0])


def test_missing_or_broken_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no movenet.*under .*: put it there, or .* say mildbench weights fetch movenet"
    ):
        AnnotatorSpec.parse(f"litert:models={tmp_path}").create("pose")
    (tmp_path / "movenet_lightning.tflite").write_bytes(b"<html>")
    with pytest.raises(UserError, match="not a TFLite model"):
        AnnotatorSpec.parse(f"litert:models={tmp_path}").create("pose")
    with pytest.raises(UserError, match=r"no option 'model': did you mean 'models'\?"):
        AnnotatorSpec.parse("litert:model=x").create("pose")


def drawn_heads(poses: list[np.ndarray], cells: int = 33, stride: int = 16) -> Heads:
    """Heads that say exactly where the people [17, 2] (y, x) are; whoever is nearest owns a cell."""
    grid = np.stack(np.mgrid[0:cells, 0:cells], axis=2)[..., None] * float(stride)
    stacked = np.stack(poses)  # [P, 17, 2]
    centre = stacked.mean(axis=1)
    owner = (
        (grid[..., 0, 0, None] - centre[:, 0]) ** 2 + (grid[..., 1, 0, None] - centre[:, 1]) ** 2
    ).argmin(axis=2)
    mine = np.moveaxis(stacked[owner], 3, 2)  # [N, N, 2, 17]
    to_joint = mine - grid
    scores = np.exp(-(to_joint**2).sum(axis=2) / (2 * 12.0**2)).astype(np.float32)
    parents, children = (np.array(side) for side in zip(*EDGES, strict=True))
    return Heads(
        keypoints=scores,
        short=to_joint.astype(np.float32),
        forward=(mine[..., children] - mine[..., parents]).astype(np.float32),
        backward=(mine[..., parents] - mine[..., children]).astype(np.float32),
        long=to_joint.astype(np.float32),
        stride=stride,
    )


def test_exact_heads_decode_to_the_people_they_were_drawn_from() -> None:
    rng = np.random.default_rng(1)
    body = rng.uniform((-120, -40), (120, 40), (17, 2))
    truth = [body + np.array([250, 120]), body * np.array([1, -1]) + np.array([260, 380])]
    heads = drawn_heads(truth)
    poses = decode(heads)
    assert len(poses) == 2
    for pose in poses:
        nearest = min(truth, key=lambda person: float(np.abs(person - pose.points).sum()))
        np.testing.assert_allclose(pose.points, nearest, atol=1.0)
    owner = assign(heads, poses, 512)
    left = [np.abs(pose.points[:, 1].mean() - 120) < 60 for pose in poses].index(True)
    assert owner.shape == (128, 128)
    assert (owner[:, :50] == left).mean() > 0.95
    assert (owner[:, 80:] == 1 - left).mean() > 0.95


def test_nobody_decodes_to_nobody() -> None:
    heads = drawn_heads([np.full((17, 2), 100.0)])
    silent = Heads(heads.keypoints * 0.2, heads.short, heads.forward, heads.backward, heads.long, 16)
    assert decode(silent) == []


def test_threads_share_an_annotator(litert: Annotator, testdata: Path) -> None:
    pictures = [picture for picture, _, _ in people_of(testdata, 4)]
    alone = [litert.pose([picture])[0] for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: litert.pose([picture])[0], pictures))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
