"""Foreign labels as ours: COCO-17 keypoints and CIHP-20 parsing, mapped by name in this one place.

Left and right are always the person's own. What CIHP-20 has no class for becomes 255 (`UNLABELLED`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS, PARSING, UNLABELLED

BODYPIX_PARTS: tuple[str, ...] = (
    "left-face", "right-face",
    "left-upper-arm-front", "left-upper-arm-back", "right-upper-arm-front", "right-upper-arm-back",
    "left-lower-arm-front", "left-lower-arm-back", "right-lower-arm-front", "right-lower-arm-back",
    "left-hand", "right-hand", "torso-front", "torso-back",
    "left-upper-leg-front", "left-upper-leg-back", "right-upper-leg-front", "right-upper-leg-back",
    "left-lower-leg-front", "left-lower-leg-back", "right-lower-leg-front", "right-lower-leg-back",
    "left-foot", "right-foot",
)  # fmt: skip
"""BodyPix's 24 body parts, index = channel."""

DENSEPOSE_PARTS: tuple[str, ...] = (
    "background", "torso", "torso", "right-hand", "left-hand", "left-foot", "right-foot",
    "right-upper-leg", "left-upper-leg", "right-upper-leg", "left-upper-leg",
    "right-lower-leg", "left-lower-leg", "right-lower-leg", "left-lower-leg",
    "left-upper-arm", "right-upper-arm", "left-upper-arm", "right-upper-arm",
    "left-lower-arm", "right-lower-arm", "left-lower-arm", "right-lower-arm",
    "head", "head",
)  # fmt: skip
"""DensePose's background and 24 charts of the body's surface, index = channel I; most parts have two."""

_LIMBS = {
    "face": "face",
    "head": "face",
    "upper-arm": "upper-clothes",
    "lower-arm": "{side}-arm",
    "hand": "{side}-arm",
    "torso": "upper-clothes",
    "upper-leg": "pants",
    "lower-leg": "pants",
    "foot": "{side}-shoe",
}
"""A body part knows no clothes: each gets the class that most often covers it on dressed people."""


def _as_clothes(parts: Sequence[str]) -> dict[str, str]:
    """Body part -> CIHP-20, by the limb in its name and the side that it begins with."""
    return {
        part: target.format(side=part.partition("-")[0])
        for part in parts
        for limb, target in _LIMBS.items()
        if limb in part
    }


BODYPIX_TO_CIHP: dict[str, str] = _as_clothes(BODYPIX_PARTS)
DENSEPOSE_TO_CIHP: dict[str, str] = {"background": "background", **_as_clothes(DENSEPOSE_PARTS)}

CLOTHES_TO_CIHP: dict[str, str | None] = {
    "Background": "background",
    "Hat": "hat",
    "Hair": "hair",
    "Sunglasses": "sunglasses",
    "Upper-clothes": "upper-clothes",
    "Skirt": "skirt",
    "Pants": "pants",
    "Dress": "dress",
    "Belt": None,
    "Left-shoe": "left-shoe",
    "Right-shoe": "right-shoe",
    "Face": "face",
    "Left-leg": "left-leg",
    "Right-leg": "right-leg",
    "Left-arm": "left-arm",
    "Right-arm": "right-arm",
    "Bag": None,
    "Scarf": "scarf",
}
"""The 18 ATR labels that SegFormer clothes models speak (`mattmdjaga/segformer_b2_clothes`)."""

REGIONS: dict[str, tuple[str, ...]] = {
    "head": ("hat", "hair", "sunglasses", "face"),
    "trunk": ("upper-clothes", "dress", "coat", "torso-skin", "scarf"),
    "arms": ("glove", "left-arm", "right-arm"),
    "legs": ("socks", "pants", "skirt", "left-leg", "right-leg"),
    "feet": ("left-shoe", "right-shoe"),
}
"""CIHP-20 merged into what a model of body parts can tell apart."""

_FOREIGN_NAMES = {"Left-foot": "Left-shoe", "Right-foot": "Right-shoe"}


def parsing_lookup(names: Sequence[str], table: Mapping[str, str | None]) -> np.ndarray:
    """uint8[len(names)]: a model's label -> CIHP-20, through a table by name.

    Raises `UserError` for a label that the table does not know: a model with other classes is another model.
    """
    known = [_FOREIGN_NAMES.get(name, name) for name in names]
    if unknown := [name for name in known if name not in table]:
        raise UserError(
            f"the parsing model has the label {unknown[0]!r}, which has no CIHP-20 class here: "
            f"use a model with the labels {', '.join(table)}"
        )
    targets = [table[name] for name in known]
    return np.array(
        [UNLABELLED if target is None else PARSING.index(target) for target in targets], dtype=np.uint8
    )


def coco17(names: Sequence[str]) -> list[int]:
    """Where the COCO-17 keypoints are in a model's list, by name (`left_eye`, `Left Eye`, `L_Eye`).

    COCO-WholeBody (133), Halpe (26 and 136) and COCO itself contain them. Raises `UserError` for a model that
    lacks one, such as a hand model.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(_keypoint_name(name), place)
    if absent := [name for name in KEYPOINTS if name not in places]:
        raise UserError(
            f"the pose model has no keypoint {absent[0]!r}: use one trained on COCO, COCO-WholeBody or Halpe"
        )
    return [places[name] for name in KEYPOINTS]


def _keypoint_name(name: str) -> str:
    plain = name.lower().replace(" ", "_").replace("-", "_")
    for short, side in (("l_", "left_"), ("r_", "right_")):
        if plain.startswith(short):
            return side + plain.removeprefix(short)
    return plain


def coco_panoptic_things(names: Sequence[str]) -> tuple[bool, ...]:
    """Which of a COCO panoptic model's 133 categories are countable: the first 80, as COCO orders them.

    Raises `UserError` for a model of other categories.
    """
    if len(names) != 133 or names[0] != "person":
        raise UserError(
            f"the panoptic model has {len(names)} categories: use one trained on COCO panoptic (133)"
        )
    return tuple(place < 80 for place in range(133))
