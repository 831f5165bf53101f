"""What a panoptic segmentation says of the surroundings of a hole, and segments as pictures."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from mildbench.annotators.base import Segments
from mildbench.annotators.panoptic import background_tag, encode_ids, segment_ids, segments_info
from mildbench.images import decode_rgb

SKY, GRASS, DOG, MORE_SKY = range(4)


def segments(labels: np.ndarray) -> Segments:
    return Segments(labels.astype(np.int32), ("sky", "grass", "dog", "sky"), (False, False, True, False))


def hole(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((100, 100), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_tag_is_what_covers_most_of_the_ring() -> None:
    labels = np.full((100, 100), SKY)
    labels[60:] = GRASS
    assert background_tag(segments(labels), hole(10, 40, 40, 60)) == "sky"
    assert background_tag(segments(labels), hole(55, 40, 95, 60)) == "grass"
    # Most of the picture, and all of the hole itself, count for nothing.
    labels[:] = GRASS
    labels[30:70, 30:70] = SKY
    labels[40:60, 40:60] = GRASS
    assert background_tag(segments(labels), hole(40, 40, 60, 60)) == "sky"


def test_things_and_what_is_not_recognised_have_no_say() -> None:
    labels = np.full((100, 100), DOG)
    labels[:35] = -1
    mask = hole(30, 30, 70, 70)
    assert background_tag(segments(labels), mask) is None
    labels[40:44, 70:72] = GRASS
    assert background_tag(segments(labels), mask) == "grass"


def test_segments_of_one_category_count_together() -> None:
    labels = np.full((100, 100), DOG)
    labels[30:38, 70:73], labels[40:48, 70:73], labels[50:60, 70:73] = SKY, MORE_SKY, GRASS
    assert background_tag(segments(labels), hole(30, 30, 70, 70)) == "sky"


def test_no_hole_and_no_surroundings_have_no_tag() -> None:
    labels = np.full((100, 100), SKY)
    assert background_tag(segments(labels), hole(0, 0, 0, 0)) is None
    assert background_tag(segments(labels), hole(0, 0, 100, 100)) is None


def test_segments_come_back_from_their_picture_whatever_their_number() -> None:
    labels = np.array([[-1, 0, 254, 255], [256, 65_534, 65_535, 70_000]], np.int32)
    drawn = decode_rgb(encode_ids(labels), "segments")
    np.testing.assert_array_equal(segment_ids(drawn) - 1, labels)
    assert drawn[0, 0].tolist() == [0, 0, 0]
    assert drawn[1, 3].tolist() == [70_001 % 256, 70_001 // 256 % 256, 70_001 // 65_536]


def test_area_and_box_are_those_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 4, (9, 13)).repeat(5, axis=0).repeat(3, axis=1)
    labels[labels == DOG] = SKY  # a category without a pixel is no segment
    found = segments_info(segments(labels))
    assert [info["label"] for info in found] == [SKY, GRASS, MORE_SKY]
    for info in found:
        run_lengths = coco_mask.encode(np.asfortranarray(labels == info["label"], dtype=np.uint8))
        assert info["id"] == info["label"] + 1
        assert info["area"] == coco_mask.area(run_lengths)
        assert info["bbox"] == coco_mask.toBbox(run_lengths).tolist()
