"""The torchvision back end on random weights of the real architectures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import detection

from mildbench.annotators.base import AnnotatorSpec, Picture
from mildbench.annotators.torchvision import WEIGHTS, Torchvision
from mildbench.errors import UserError


def pictures() -> list[Picture]:
    """Two of one size with two and no people, and a larger one."""
    rng = np.random.default_rng(0)
    boxes = np.array([[5, 10, 35, 60], [40, 20, 70, 60]], np.float32)
    return [
        Picture("two", rng.integers(0, 256, (64, 80, 3), dtype=np.uint8), boxes),
        Picture("none", rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)),
        Picture("large", rng.integers(0, 256, (96, 96, 3), dtype=np.uint8), boxes[:1]),
    ]


def small(annotator: Torchvision, part: str) -> Torchvision:
    """Loaded, and shown small pictures: on a CPU the 800 px of the paper take seconds each."""
    annotator.load(part)
    transform = annotator._networks[WEIGHTS[part]].transform
    transform.min_size, transform.max_size = (64,), 96
    return annotator


def unsure(annotator: Torchvision) -> Torchvision:
    """Finds a few of whatever it is asked for, as random weights are sure of nothing."""
    network = annotator._networks[WEIGHTS["people"]]
    network.roi_heads.score_thresh = 0.0
    network.roi_heads.detections_per_img = 40
    network.rpn._post_nms_top_n = {"training": 20, "testing": 20}
    return annotator


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("weights")
    built = {
        "pose": detection.keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None),
        "people": detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None),
    }
    for part, network in built.items():
        torch.save(network.state_dict(), root / f"{part}.pth")
    return {part: root / f"{part}.pth" for part in built}


def test_a_pose_for_every_box_inside_its_box(files: dict[str, Path]) -> None:
    annotator = small(Torchvision(pose=str(files["pose"])), "pose")
    together = annotator.pose(pictures())
    assert [poses.shape for poses in together] == [(2, 17, 3), (0, 17, 3), (1, 17, 3)]
    for picture, poses in zip(pictures(), together, strict=True):
        np.testing.assert_allclose(annotator.pose([picture])[0], poses, atol=1e-3)
        for box, points in zip(picture.boxes, poses, strict=True):
            assert (points[:, :2] >= box[:2] - 1).all()
            assert (points[:, :2] <= box[2:] + 1).all()
            assert ((points[:, 2] >= 0) & (points[:, 2] <= 1)).all()


@pytest.mark.slow
def test_people_are_masks_of_the_picture(files: dict[str, Path]) -> None:
    annotator = unsure(small(Torchvision(people=str(files["people"]), score=0.0), "people"))
    together = annotator.people(pictures())
    for picture, found in zip(pictures(), together, strict=True):
        assert found.masks.shape == (len(found.scores), *picture.image.shape[:2])
        assert found.masks.dtype == bool
        assert found.masks.any(axis=(1, 2)).all()
        np.testing.assert_array_equal(annotator.people([picture])[0].masks, found.masks)
    assert Torchvision(score=2.0)._score == 2.0


@pytest.mark.slow
def test_objects_are_what_is_no_person_by_the_same_network(files: dict[str, Path]) -> None:
    annotator = unsure(small(Torchvision(people=str(files["people"]), score=0.0), "people"))
    network = annotator._networks[WEIGHTS["people"]]
    annotator.load("objects")
    assert annotator._networks == {WEIGHTS["objects"]: network}
    together = annotator.objects(pictures())
    assert any(found.names for found in together)
    for picture, found in zip(pictures(), together, strict=True):
        assert found.masks.shape == (len(found.names), *picture.image.shape[:2])
        assert found.masks.dtype == bool
        assert "person" not in found.names
        assert annotator.objects([picture])[0].names == found.names


def test_weights_that_are_missing_or_of_another_network_are_named(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "cache"))
    shared = tmp_path / "checkpoints" / "keypointrcnn_resnet50_fpn_coco-fc266e95.pth"
    shared.parent.mkdir()
    for content in (None, b"<html>"):  # torch does not check what it has
        if content:
            shared.write_bytes(content)
        with pytest.raises(
            UserError, match="keypointrcnn weights missing: mildbench weights fetch keypointrcnn"
        ):
            AnnotatorSpec.parse("torchvision").create("pose")
    with pytest.raises(UserError, match="no weights of maskrcnn_resnet50_fpn_v2"):
        AnnotatorSpec.parse(f"torchvision:people={files['pose']}").create("people")
    with pytest.raises(UserError, match="gives no parsing: use one of"):
        AnnotatorSpec.parse("torchvision").create("parsing")
