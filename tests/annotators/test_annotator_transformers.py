"""The transformers back end on random weights of the real architectures, small: the path is the shipped one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from mildbench.annotators.base import AnnotatorSpec, Picture
from mildbench.annotators.batches import Team
from mildbench.annotators.mapping import CLOTHES_TO_CIHP
from mildbench.annotators.segment import find_photos, segment
from mildbench.annotators.transformers import Transformers
from mildbench.errors import UserError
from mildbench.images import write_png
from mildbench.labels import KEYPOINTS, UNLABELLED
from mildbench.weights import tensors_sha256
from synth.sources.panoptic import PanopticImages


def pictures() -> list[Picture]:
    """Three of two sizes, with no, one and two people; the last two people touch."""
    rng = np.random.default_rng(0)
    made = []
    for count, width in enumerate((60, 80, 80)):
        masks = np.zeros((count, 64, width), dtype=bool)
        for person in range(count):
            masks[person, 10:50, 5 + 30 * person : 40 + 30 * person] = True
        boxes = np.array([[5 + 30 * k, 10, 40 + 30 * k, 50] for k in range(count)], np.float32).reshape(-1, 4)
        image = rng.integers(0, 256, (64, width, 3), dtype=np.uint8)
        made.append(Picture(str(count), image, boxes, masks))
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")

    def saved(name: str, model: object, processor: object) -> Path:
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
        return root / name

    names = dict(enumerate(KEYPOINTS[::-1]))  # not in our order: the mapping is by name
    backbone = transformers.VitPoseBackboneConfig(
        image_size=(64, 48), patch_size=(16, 16), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    pose = transformers.VitPoseConfig(
        backbone_config=backbone, id2label=names, label2id={v: k for k, v in names.items()}
    )
    clothes = dict(enumerate(CLOTHES_TO_CIHP))
    parsing = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=16,
        id2label=clothes, label2id={v: k for k, v in clothes.items()},
    )  # fmt: skip
    labels = {k: "person" if k == 0 else f"thing {k}" for k in range(133)}
    swin = transformers.SwinConfig(
        image_size=64, embed_dim=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    panoptic = transformers.Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        dim_feedforward=16, num_attention_heads=2, encoder_layers=1, decoder_layers=2, num_queries=8,
        id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    segmenter = transformers.Mask2FormerForUniversalSegmentation(panoptic)
    with torch.no_grad():  # as drawn, every mask is too faint to be a segment
        segmenter.class_predictor.weight *= 50
        decoder = segmenter.model.transformer_module.decoder
        decoder.get_submodule("mask_predictor.mask_embedder.2.0").weight *= 1000
    return {
        "pose": saved(
            "pose",
            transformers.VitPoseForPoseEstimation(pose),
            transformers.VitPoseImageProcessor(size={"height": 64, "width": 48}),
        ),
        "parsing": saved(
            "parsing",
            transformers.SegformerForSemanticSegmentation(parsing),
            transformers.SegformerImageProcessor(size={"height": 64, "width": 64}),
        ),
        "segments": saved(
            "segments",
            segmenter,
            transformers.Mask2FormerImageProcessor(size={"height": 64, "width": 64}),
        ),
    }


def test_a_pose_for_every_box_and_none_depends_on_the_batch(folders: dict[str, Path]) -> None:
    annotator = Transformers(pose=str(folders["pose"]))
    annotator.load("pose")
    together = annotator.pose(pictures())
    assert [poses.shape for poses in together] == [(0, 17, 3), (1, 17, 3), (2, 17, 3)]
    for picture, poses in zip(pictures(), together, strict=True):
        np.testing.assert_allclose(annotator.pose([picture])[0], poses, atol=1e-3)
    # A model of another order of keypoints gives the same ones, reordered.
    order = annotator._joints
    assert order == list(range(16, -1, -1))
    annotator._joints = list(range(17))
    np.testing.assert_array_equal(annotator.pose(pictures())[2][:, ::-1], together[2])


def test_poses_lie_around_their_boxes(folders: dict[str, Path]) -> None:
    annotator = Transformers(pose=str(folders["pose"]))
    annotator.load("pose")
    poses = annotator.pose(pictures())[2]
    for box, points in zip(pictures()[2].boxes, poses, strict=True):
        centre, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
        assert (np.abs(points[:, :2] - centre) < 1.2 * extent).all()
        assert ((points[:, 2] >= 0) & (points[:, 2] <= 1)).all()


def test_parsing_fills_the_masks_and_nothing_else(folders: dict[str, Path]) -> None:
    annotator = Transformers(parsing=str(folders["parsing"]))
    annotator.load("parsing")
    together = annotator.parsing(pictures())
    for picture, labels in zip(pictures()[1:], together[1:], strict=True):
        assert picture.masks is not None
        np.testing.assert_array_equal(labels > 0, picture.masks.any(axis=0))
        assert set(np.unique(labels)) <= {0, *range(1, 20), UNLABELLED}
        np.testing.assert_array_equal(annotator.parsing([picture])[0], labels)


def test_panoptic_segments_and_the_people_among_them(folders: dict[str, Path]) -> None:
    annotator = Transformers(segments=str(folders["segments"]), score=0.0)
    annotator.load("people")
    for picture, segments, found in zip(
        pictures(), annotator.segments(pictures()), annotator.people(pictures()), strict=True
    ):
        assert segments.labels.shape == picture.image.shape[:2]
        assert segments.labels.max() < len(segments.names) == len(segments.things)
        people = [place for place, name in enumerate(segments.names) if name == "person"]
        seen = np.isin(segments.labels, people)
        np.testing.assert_array_equal(
            found.masks.any(axis=0) if len(found.masks) else np.zeros_like(seen), seen
        )


def test_photos_are_segmented_for_our_own_source(folders: dict[str, Path], tmp_path: Path) -> None:
    for picture in pictures():
        write_png(tmp_path / "photos" / f"{picture.id}.png", picture.image)
    spec = AnnotatorSpec.parse(f"transformers:segments={folders['segments']},score=0")
    team = Team.create(segments=spec)
    out = tmp_path / "out"
    photos = find_photos(tmp_path / "photos", out)
    info = segment(photos, out, "s", spec, team, licence="none", batch_size=2, advance=lambda count: None)
    assert not info["failed"]
    assert info["segments"]["options"] == {"segments": "segments", "score": "0"}
    assert [len(sha256) for sha256 in info["segments"]["weights"].values()] == [64]
    source = PanopticImages(str(out), min_side=1)
    assert team.segments is not None
    wanted = team.segments.segments(pictures())
    refs = {int(ref.key) - 1 for ref in source.images()}
    assert refs == {place for place, seen in enumerate(wanted) if (seen.labels >= 0).any()} != set()
    for place in refs:
        read, seen = source.image(str(place + 1)), wanted[place]
        np.testing.assert_array_equal(read.image, pictures()[place].image)
        assert sum(segment.mask.sum() for segment in read.segments) == (seen.labels >= 0).sum()
        for found in read.segments:
            (label,) = np.unique(seen.labels[found.mask])
            assert (found.category, found.is_thing) == (seen.names[label], seen.things[label])


@pytest.fixture(scope="module")
def depth_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Depth Anything trained for metres and for no scale, ZoeDepth, and MiDaS's DPT."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("depth models")
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    dino = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=56, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    beit = transformers.BeitConfig(
        **small | {"num_hidden_layers": 4}, image_size=64, patch_size=16, use_relative_position_bias=True,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    anything = {"backbone_config": dino, "reassemble_hidden_size": 32, "neck_hidden_sizes": [8, 8, 16, 16],
                "fusion_hidden_size": 16, "head_hidden_size": 8}  # fmt: skip
    configs = {
        "metric": transformers.DepthAnythingConfig(**anything, depth_estimation_type="metric", max_depth=80),
        "relative": transformers.DepthAnythingConfig(**anything),
        "zoe": transformers.ZoeDepthConfig(
            backbone_config=beit, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, bottleneck_features=16,
            num_relative_features=8, bin_embedding_dim=16, num_attractors=[4, 2, 2, 1],
        ),
        "dpt": transformers.DPTConfig(**small, image_size=32, patch_size=16, backbone_out_indices=[0, 0, 1, 1],
                                      neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16),
    }  # fmt: skip
    processor = transformers.DPTImageProcessor(
        size={"height": 56, "width": 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    zoe = transformers.ZoeDepthImageProcessor(size={"height": 64, "width": 64})
    for name, config in configs.items():
        transformers.AutoModelForDepthEstimation.from_config(config).save_pretrained(root / name)
        (zoe if name == "zoe" else processor).save_pretrained(root / name)
    return {name: root / name for name in configs}


@pytest.mark.parametrize("name", ["metric", "zoe"])
def test_depth_is_what_the_library_gives(name: str, depth_folders: dict[str, Path]) -> None:
    annotator = Transformers(depth=str(depth_folders[name]))
    annotator.load("depth")
    pipeline = transformers.pipeline("depth-estimation", model=str(depth_folders[name]))
    for picture, depth in zip(pictures(), annotator.depth(pictures()), strict=True):
        assert (depth.dtype, depth.shape) == (np.float32, picture.image.shape[:2])
        wanted = pipeline(Image.fromarray(picture.image))["predicted_depth"].numpy()
        np.testing.assert_array_equal(depth, wanted)
        assert depth.std() > 0
        np.testing.assert_array_equal(annotator.depth([picture])[0], depth)


@pytest.mark.parametrize("name", ["relative", "dpt"])
def test_depth_that_is_no_metres_is_refused_with_the_remedy(
    name: str, depth_folders: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=r"gives relative depth.*name a metric model, e\.g\. ") as caught:
        AnnotatorSpec.parse(f"transformers:depth={depth_folders[name]}").create("depth")
    assert "\n" not in str(caught.value)


def test_weights_are_told_apart_by_their_tensors(folders: dict[str, Path]) -> None:
    annotator = Transformers(pose=str(folders["pose"]))
    annotator.load("pose")
    (before,) = annotator.weights().values()
    model, _ = annotator._models["pose"]
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert len(before) == 64
    assert tensors_sha256(model) != before


def test_a_model_that_is_not_here_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"usyd-community/vitpose-nothing.*not in the local cache.*hf download"
    ):
        AnnotatorSpec.parse("transformers:pose=usyd-community/vitpose-nothing").create("pose")
    with pytest.raises(UserError, match="not in the local cache"):
        AnnotatorSpec.parse(f"transformers:parsing={tmp_path}").create("parsing")
