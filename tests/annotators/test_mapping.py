"""Foreign labels as ours."""

from __future__ import annotations

import numpy as np
import pytest

from mildbench.annotators.mapping import (
    BODYPIX_PARTS,
    BODYPIX_TO_CIHP,
    CLOTHES_TO_CIHP,
    DENSEPOSE_PARTS,
    DENSEPOSE_TO_CIHP,
    REGIONS,
    coco17,
    coco_panoptic_things,
    parsing_lookup,
)
from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS, PARSING, UNLABELLED


def test_every_body_part_has_a_class_and_keeps_its_side() -> None:
    lookup = parsing_lookup(BODYPIX_PARTS, BODYPIX_TO_CIHP)
    assert len(BODYPIX_PARTS) == len(lookup) == 24
    assert len(set(BODYPIX_PARTS)) == 24
    for part, label in zip(BODYPIX_PARTS, lookup, strict=True):
        target = PARSING[label]
        for side in ("left", "right"):
            if target.startswith(side):
                assert part.startswith(side)
    assert PARSING[lookup[10]] == "left-arm"  # the left hand
    assert PARSING[lookup[23]] == "right-shoe"


def test_densepose_charts_map_as_body_parts_do() -> None:
    lookup = parsing_lookup(DENSEPOSE_PARTS, DENSEPOSE_TO_CIHP)
    # From DensePose's documentation: the charts of each of its 14 coarse parts.
    documented = {
        "torso": (1, 2),
        "right-hand": (3,),
        "left-hand": (4,),
        "left-foot": (5,),
        "right-foot": (6,),
        "right-upper-leg": (7, 9),
        "left-upper-leg": (8, 10),
        "right-lower-leg": (11, 13),
        "left-lower-leg": (12, 14),
        "left-upper-arm": (15, 17),
        "right-upper-arm": (16, 18),
        "left-lower-arm": (19, 21),
        "right-lower-arm": (20, 22),
        "head": (23, 24),
    }
    assert len(DENSEPOSE_PARTS) == 25
    assert PARSING[lookup[0]] == "background"
    for name, charts in documented.items():
        assert {DENSEPOSE_PARTS[chart] for chart in charts} == {name}
        bodypix = next(part for part in BODYPIX_PARTS if name.replace("head", "face") in part)
        assert {PARSING[lookup[chart]] for chart in charts} == {BODYPIX_TO_CIHP[bodypix]}


def test_clothes_labels_map_by_name_whatever_their_order() -> None:
    names = list(CLOTHES_TO_CIHP)
    forward = parsing_lookup(names, CLOTHES_TO_CIHP)
    backward = parsing_lookup(names[::-1], CLOTHES_TO_CIHP)
    np.testing.assert_array_equal(forward, backward[::-1])
    assert forward[names.index("Bag")] == forward[names.index("Belt")] == UNLABELLED
    assert PARSING[forward[names.index("Left-leg")]] == "left-leg"
    assert forward[0] == 0
    same_name = {name for name in names if name.lower() in PARSING}
    assert len(same_name) == 16
    assert all(PARSING[forward[names.index(name)]] == name.lower() for name in same_name)


def test_a_model_of_other_classes_is_refused() -> None:
    with pytest.raises(UserError, match="label 'sofa'"):
        parsing_lookup(["Background", "sofa"], CLOTHES_TO_CIHP)


def test_keypoints_map_by_name() -> None:
    assert coco17(KEYPOINTS) == list(range(17))
    halpe = [*KEYPOINTS, "head", "neck", "hip", "left_big_toe"]
    assert coco17(halpe) == list(range(17))
    vitpose = [
        "Nose",
        *(name.replace("left_", "L_").replace("right_", "R_").title() for name in KEYPOINTS[1:]),
    ]
    assert coco17(vitpose) == list(range(17))
    shuffled = list(KEYPOINTS[::-1])
    assert [shuffled[place] for place in coco17(shuffled)] == list(KEYPOINTS)
    with pytest.raises(UserError, match="no keypoint 'left_ear'"):
        coco17([name for name in KEYPOINTS if name != "left_ear"])


def test_panoptic_things_are_cocos_eighty() -> None:
    things = coco_panoptic_things(["person", *(f"c{k}" for k in range(132))])
    assert sum(things) == 80
    assert things[0]
    assert not things[132]
    with pytest.raises(UserError, match="150 categories"):
        coco_panoptic_things(["wall"] * 150)


def test_the_regions_cover_the_people_once() -> None:
    classes = [name for names in REGIONS.values() for name in names]
    assert sorted(classes) == sorted(PARSING[1:])
