"""`ccp:FOLDER`: full-body people with parsing from Clothing Co-Parsing (Yang, Luo and Lin, CVPR 2014).

Layout as published: `photos/NNNN.jpg`, `annotations/pixel-level/NNNN.mat` (a variable `groundtruth`), and
`label_list.mat` with the names of the 59 tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat

from mildbench.decoding import MAX_PIXELS
from mildbench.errors import UserError, did_you_mean
from mildbench.files import below, file_sha256
from mildbench.geometry import Box
from mildbench.scene import Provenance
from synth.material import Cutout, LeftOut, PersonRef, Rejected, Rejections
from synth.sources.base import PeopleSource, read_photo
from synth.sources.ccp_labels import CARRIED, CLASSES, to_cihp
from synth.sources.crop import cut_out, without_specks
from synth.sources.names import on_disk

ANNOTATIONS = "annotations/pixel-level"
BORDER = 2
"""A mask within so many pixels of the photo's border counts as cut by it."""
HEAD, HAIR = 0.14, 0.02
"""The head is so much of the stature, and hair or a hat is so much of it, at least."""
IN_ONE_PIECE = 0.95
"""Smallest share of a mask in one piece; in the few below it a garment was not annotated at all."""


class CcpPeople(PeopleSource):
    """Street fashion: one person a photo, head to toe, with CIHP-20 parsing and without keypoints.

    Args:
        path: the folder that holds `photos/`, `annotations/` and `label_list.mat`.
        min_height: smallest person taken, in pixels.
    """

    slow_to_list = True

    def __init__(self, path: str, min_height: int = 96) -> None:
        self.root = Path(path)
        self.name = "ccp"
        self.licence = "Apache-2.0"
        self.min_height = min_height
        self.rejections = Rejections()
        if not (self.root / ANNOTATIONS).is_dir():
            raise UserError(
                f"source ccp: {self.root} has no {ANNOTATIONS}: give the folder of Clothing Co-Parsing"
            )

    @cached_property
    def _tags(self) -> tuple[str, ...]:
        """Names of the tags, by value."""
        path = self.root / "label_list.mat"
        try:
            names = tuple(str(cell[0]) for cell in _variable(path, "label_list").ravel())
        except (Rejected, IndexError, TypeError) as error:
            raise UserError(
                f"source ccp: {path} cannot be read ({error}): restore it from the published data set"
            ) from None
        for name in names:
            if name not in CLASSES:
                raise UserError(
                    f"source ccp: {path} has an unknown tag {name!r}: {did_you_mean(name, CLASSES)}"
                )
        if names[:1] != ("null",) or set(names) != set(CLASSES):
            raise UserError(f"source ccp: {path} is not CCP's list of {len(CLASSES)} tags, 'null' first")
        return names

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        files = sorted(p for p in (self.root / ANNOTATIONS).glob("*.mat") if not p.name.startswith("."))
        if not files:
            raise UserError(f"source ccp: {self.root / ANNOTATIONS} holds no .mat files")
        return [ref for path in files for ref in self.checked(self._check, path.stem)]

    def _check(self, key: str) -> PersonRef:
        """The person; raises `LeftOut` if merely unsuitable, `Rejected` for a broken annotation."""
        tags = self._annotation(key)
        if not self.photo(key).is_file():
            raise Rejected("annotation without a photo", key)
        mask = tags > 0
        box = Box.around(mask)
        height, width = mask.shape
        stature = box.height
        within = (
            box.top >= BORDER
            and box.bottom <= height - BORDER
            and box.left >= BORDER
            and box.right <= width - BORDER
        )
        if stature < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        if not within:
            raise LeftOut("cut by the image's border")
        if without_specks(mask).sum() < IN_ONE_PIECE * mask.sum():
            raise LeftOut("in pieces")
        top = tags[box.top : box.top + round(HEAD * stature)]
        hair = np.isin(top, [self._tags.index(name) for name in ("hair", "hat")])
        if np.count_nonzero(hair) < HAIR * np.count_nonzero(top):
            raise LeftOut("no hair and no hat annotated: a part of the head is missing, or all")
        area = int(np.count_nonzero(mask))
        return PersonRef(key, f"ccp/{key}", stature, carries=bool(self._carried(tags)), area=area)

    def _annotation(self, key: str) -> np.ndarray:
        """uint8[H, W], indices of `_tags`, not all 0; raises `Rejected`."""
        tags = _variable(self._annotation_file(key), "groundtruth")
        if tags.ndim != 2 or tags.dtype.kind not in "uif":
            raise Rejected("annotation is not a matrix of numbers", key)
        if not ((tags >= 0) & (tags < len(self._tags)) & (tags % 1 == 0)).all():
            raise Rejected("annotation has values that are no tags", key)
        if not tags.any():
            raise Rejected("empty mask", key)
        return tags.astype(np.uint8)

    def _carried(self, tags: np.ndarray) -> tuple[str, ...]:
        return tuple(name for name in CARRIED if (tags == self._tags.index(name)).any())

    def photo(self, key: str) -> Path:
        return on_disk(below(self.root, f"photos/{key}.jpg", "CCP photo"))

    def files(self, key: str) -> Sequence[Path]:
        return [self.photo(key), self._annotation_file(key), self.root / "label_list.mat"]

    def _annotation_file(self, key: str) -> Path:
        return below(self.root, f"{ANNOTATIONS}/{key}.mat", "CCP annotation")

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        tags = self._annotation(key)
        path = self.photo(key)
        image = read_photo(path)
        if image.shape[:2] != tags.shape:
            raise Rejected("annotation of another size than its photo", key)
        tags = np.where(without_specks(tags > 0), tags, 0).astype(np.uint8)
        crop = cut_out(image, tags > 0, to_cihp(tags, self._tags), scale)
        provenance = Provenance(self.name, f"photos/{key}.jpg", file_sha256(path), self.licence, key)
        unknown, carried = np.zeros((17, 3), np.float32), self._carried(tags)
        return Cutout(crop.rgba, crop.parsing, unknown, provenance, carried, scale=crop.scale)


def _variable(path: Path, name: str) -> Any:
    """One variable of a MATLAB file; raises `Rejected`. Nothing in such a file is executed."""
    try:
        shapes = {found: shape for found, shape, _ in whosmat(path)}
        if name not in shapes:
            raise Rejected(f"annotation without {name!r}", path.name)
        if np.prod(shapes[name], dtype=np.float64) > MAX_PIXELS:  # refused before it is unpacked
            raise Rejected("annotation too large", path.name)
        return loadmat(path, variable_names=[name])[name]
    except Rejected:
        raise
    except Exception as error:  # on broken bytes scipy raises nearly anything
        raise Rejected("annotation unreadable", f"{path.name}: {error}") from None
