"""`cihp:FOLDER`: people with parsing from Crowd Instance-level Human Parsing (Gong et al., ECCV 2018).

Layout as published, for one split: `Images/ID.jpg`, `Category_ids/ID.png` (CIHP-20 labels) and `Human_ids/ID.png`
(who each pixel belongs to, 0 for nobody). The CIHP_PGN repository's `images/` and `labels/`, without people's
ids, are read too: then only a piece of the label map that is clearly one person is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.files import below, file_sha256
from mildbench.geometry import Box
from mildbench.images import read_labels
from mildbench.labels import PARSING, UNLABELLED
from mildbench.scene import Provenance
from synth.material import Cutout, LeftOut, PersonRef, Rejected, Rejections
from synth.sources.base import PeopleSource, read_photo
from synth.sources.crop import cut_out, without_specks
from synth.sources.names import on_disk

LICENCE = "CIHP's terms: non-commercial research and education"
IMAGES, LABELS, PEOPLE_IDS = ("Images", "images"), ("Category_ids", "labels"), ("Human_ids",)
BORDER = 2
"""A mask within so many pixels of the image border counts as cut by it."""
IN_ONE_PIECE = 0.95
"""Smallest share of a mask in one piece; bars and other people cut the others in two."""
ENTANGLED = 0.15
"""Somebody with a larger share of the outline against other people is partly hidden, or hides and is fused."""
FEET = 0.1
"""Somebody with a shoe, a sock or a bare leg in the lowest share of their rows stands on feet that can be seen."""
HEADS_TALL = 6
"""So does somebody, in long trousers, who is so many heads tall: adults are 7 to 8, and 5.5 down to the knees."""

FOOT_LABELS = [PARSING.index(name) for name in ("socks", "left-leg", "right-leg", "left-shoe", "right-shoe")]
HEAD_LABELS = [PARSING.index(name) for name in ("hat", "hair", "sunglasses", "face")]
FACE = PARSING.index("face")
PART_OF_ANOTHER = 0.2
"""A patch of face or head smaller than this share of the largest one is a fragment of it, not a second head."""


class CihpPeople(PeopleSource):
    """People of crowded photos with CIHP-20 parsing and without keypoints.

    Args:
        path: the folder of one split, e.g. `.../instance-level_human_parsing/Training`.
        ids: a file inside the folder with the ids to use, one a line, e.g. `train_id.txt`; all if empty.
        min_height: smallest person taken, in pixels.
    """

    def __init__(self, path: str, ids: str = "", min_height: int = 96) -> None:
        self.root = Path(path)
        self.name = f"cihp:{self.root.name}"
        self.licence = LICENCE
        self.ids = ids
        self.min_height = min_height
        self.rejections = Rejections()
        self._images, self._labels = self._folder(IMAGES), self._folder(LABELS)
        self._owners = next((name for name in PEOPLE_IDS if (self.root / name).is_dir()), None)
        # The people of one image are asked for one after the other.
        self._masks = lru_cache(maxsize=4)(self._read)

    def _folder(self, names: tuple[str, ...]) -> str:
        for name in names:
            if (self.root / name).is_dir():
                return name
        raise UserError(
            f"source cihp: {self.root} has none of the folders {', '.join(names)}: give the folder of one split, "
            "e.g. instance-level_human_parsing/Training"
        )

    def _stems(self) -> list[str]:
        if not self.ids:
            files = (self.root / self._labels).iterdir()
            stems = sorted(
                path.stem for path in files if path.suffix.lower() == ".png" and not path.name.startswith(".")
            )
        else:
            try:
                stems = below(self.root, self.ids, "CIHP list of ids").read_text(encoding="utf-8-sig").split()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"source cihp: the list {self.ids} cannot be read ({error})") from None
        if not stems:
            raise UserError(
                f"source cihp: {self.root} holds no labels: {self.ids or self._labels + '/*.png'} is empty"
            )
        return stems

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        found: list[PersonRef] = []
        for stem in self._stems():
            try:
                labels, owners = self._masks(stem)
            except Rejected as rejected:
                self.rejections.add(rejected)
                continue
            for owner in np.unique(owners[owners > 0]).tolist():
                found += self.checked(self._check, f"{stem}/{owner}", labels, owners, owner)
        return found

    def _read(self, stem: str) -> tuple[np.ndarray, np.ndarray]:
        """uint8[H, W] CIHP-20 labels and int32[H, W] owners, 0 for nobody; raises `Rejected`."""
        labels = self._plane(self._labels, stem, "labels")
        if labels.max() >= len(PARSING):
            raise Rejected("labels that CIHP-20 does not have", stem)
        if self._owners is None:
            return labels, cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=8)[1]
        owners = self._plane(self._owners, stem, "human ids")
        if owners.shape != labels.shape:
            raise Rejected("human ids of another size than the labels", stem)
        return labels, owners.astype(np.int32)

    def _plane(self, folder: str, stem: str, what: str) -> np.ndarray:
        path = self._plane_file(folder, stem, what)
        try:
            return read_labels(path, what)
        except UserError as error:
            raise Rejected(f"{what} missing or unreadable", str(error)) from None

    def _plane_file(self, folder: str, stem: str, what: str) -> Path:
        return on_disk(below(self.root, f"{folder}/{stem}.png", f"CIHP {what}"))

    def _check(self, key: str, labels: np.ndarray, owners: np.ndarray, owner: int) -> PersonRef:
        """The person; raises `LeftOut` if merely unsuitable, `Rejected` for a piece that is several people."""
        mask = owners == owner
        box = Box.around(mask)
        stature = box.height
        if stature < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        own = np.where(mask, labels, 0)
        if self._owners is None and _heads(own) > 1:
            raise Rejected("several people in one piece, and no human ids", key)
        height, width = mask.shape
        cut_at_bottom = box.bottom > height - BORDER
        if box.top < BORDER or box.left < BORDER or box.right > width - BORDER:
            raise LeftOut("cut by the image's border")
        if not cut_at_bottom and not _down_to_the_feet(own, stature):
            raise LeftOut("no foot seen")
        if without_specks(mask).sum() < IN_ONE_PIECE * mask.sum():
            raise LeftOut("in pieces")
        if _share_against(mask, (owners > 0) & ~mask) > ENTANGLED:
            raise LeftOut("entangled with others")
        stem = key.partition("/")[0]
        return PersonRef(key, f"cihp/{stem}", stature, cut_at_bottom)

    def photo(self, key: str) -> Path:
        stem = key.partition("/")[0]
        return on_disk(below(self.root, f"{self._images}/{stem}.jpg", "CIHP image"))

    def files(self, key: str) -> Sequence[Path]:
        stem = key.partition("/")[0]
        drawn = [self._labels] if self._owners is None else [self._labels, self._owners]
        return [self.photo(key), *(self._plane_file(folder, stem, folder) for folder in drawn)]

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        stem, _, owner = key.partition("/")
        labels, owners = self._masks(stem)
        path = self.photo(key)
        image = read_photo(path)
        if image.shape[:2] != labels.shape:
            raise Rejected("labels of another size than their image", stem)
        mask = without_specks(owners == int(owner))
        # A pixel that is somebody's without a class is a gap between two annotated parts.
        own = np.where(mask & (labels == 0), UNLABELLED, labels).astype(np.uint8)
        crop = cut_out(image, mask, own, scale)
        provenance = Provenance(self.name, f"{self._images}/{stem}.jpg", file_sha256(path), self.licence, key)
        unknown = np.zeros((17, 3), np.float32)
        return Cutout(crop.rgba, crop.parsing, unknown, provenance, scale=crop.scale)


def _down_to_the_feet(labels: np.ndarray, stature: int) -> bool:
    """Does one person's uint8[H, W] labels, `stature` rows in all, reach the ground?"""
    end = Box.around(labels).bottom
    lowest = labels[end - 1 - round(FEET * stature) : end]
    head = int(np.isin(labels, HEAD_LABELS).any(axis=1).sum())
    return bool(np.isin(lowest, FOOT_LABELS).any()) or 0 < head * HEADS_TALL <= stature


def _heads(labels: np.ndarray) -> int:
    """How many heads or faces, whichever are more, uint8[H, W] CIHP-20 labels show."""
    return max(_patches(np.isin(labels, HEAD_LABELS)), _patches(labels == FACE))


def _patches(mask: np.ndarray) -> int:
    """How many pieces a bool[H, W] mask has, fragments left out."""
    boxes = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    sizes = boxes[1:, cv2.CC_STAT_AREA]
    return int((sizes >= PART_OF_ANOTHER * sizes.max(initial=0)).sum())


def _share_against(mask: np.ndarray, others: np.ndarray) -> float:
    """Share of the outline of bool[H, W] `mask` that lies within 3 px of `others`."""
    outline = mask & ~(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    near = cv2.dilate(others.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.count_nonzero(outline & near) / np.count_nonzero(outline)
