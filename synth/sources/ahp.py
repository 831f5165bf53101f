"""`ahp:FOLDER`: complete people of Amodal Human Perception (Zhou et al., CVPR 2021), who hide each other once pasted.

Layout as public loaders read it: `JPEGImages/NAME.jpg`, `Annotations/NAME.png` (a mask of one person, black elsewhere)
and `ImageSets/SPLIT.txt` with a name a line. Nobody covers these people, so their masks are the whole of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.files import below, file_sha256
from mildbench.geometry import Box
from mildbench.masks import marks_around, read_mask
from mildbench.scene import Provenance
from synth.material import Cutout, LeftOut, PersonRef, Rejected, Rejections
from synth.sources.base import PeopleSource, read_photo
from synth.sources.crop import cut_out, without_specks
from synth.sources.names import on_disk

LICENCE = "not stated where it was looked for: ask its authors before publishing pictures"
BORDER = 2
"""A mask within so many pixels of the photo's border counts as cut by it."""


class AhpPeople(PeopleSource):
    """Real people whom nothing covers, one a photo, without keypoints and parsing.

    Args:
        path: the folder that holds `JPEGImages/`, `Annotations/` and `ImageSets/`.
        split: the list of names, `ImageSets/SPLIT.txt`.
        min_height: smallest person taken, in pixels.
    """

    def __init__(self, path: str, split: str = "train", min_height: int = 96) -> None:
        self.root = Path(path)
        self.name = f"ahp?split={split}"
        self.licence = LICENCE
        self.min_height = min_height
        self.rejections = Rejections()
        lists = self.root / "ImageSets"
        if not lists.is_dir():
            raise UserError(
                f"source ahp: {self.root} has no ImageSets: give the folder with JPEGImages, Annotations, ImageSets"
            )
        self._list = below(self.root, f"ImageSets/{split}.txt", "AHP list")
        if not self._list.is_file():
            have = ", ".join(sorted(file.stem for file in lists.glob("*.txt"))) or "none"
            raise UserError(f"source ahp: {self.root} has no split {split!r}; it has {have}")

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        try:
            lines = self._list.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise UserError(
                f"source ahp: {self._list} is no list of names: restore it from the published data set"
            ) from None
        names = dict.fromkeys(line.strip() for line in lines if line.strip())
        if not names:
            raise UserError(f"source ahp: {self._list} names nobody")
        return [ref for name in names for ref in self.checked(self._check, name)]

    def _check(self, key: str) -> PersonRef:
        """The person; raises `LeftOut` if merely unsuitable, `Rejected` for what cannot be used."""
        mask = self._mask(key)
        if not self.photo(key).is_file():
            raise Rejected("mask without a photo", key)
        box = Box.around(without_specks(mask))
        height, width = mask.shape
        if box.height < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        if box.top < BORDER or box.left < BORDER or box.right > width - BORDER:
            raise LeftOut("cut by the image's border")
        # Where the photo ends below the hips or knees there is no telling how tall they are.
        if box.bottom > height - BORDER:
            raise LeftOut("cut by the image's lower border")
        return PersonRef(key, f"ahp/{key}", box.height, area=int(np.count_nonzero(mask)))

    def _mask(self, key: str) -> np.ndarray:
        """bool[H, W], not empty; raises `Rejected`."""
        path = self._mask_file(key)
        if not path.is_file():
            raise Rejected("listed without a mask", key)
        try:
            mask = read_mask(path).marked
        except UserError as error:
            raise Rejected("mask unreadable", str(error)) from None
        if not mask.any():
            raise Rejected("empty mask", key)
        if mask.all() or marks_around(mask):
            raise Rejected("mask around the picture's border: inverted?", key)
        return mask

    def photo(self, key: str) -> Path:
        return on_disk(below(self.root, f"JPEGImages/{key}.jpg", "AHP photo"))

    def files(self, key: str) -> Sequence[Path]:
        return [self.photo(key), self._mask_file(key)]

    def _mask_file(self, key: str) -> Path:
        return on_disk(below(self.root, f"Annotations/{key}.png", "AHP mask"))

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        mask, path = self._mask(key), self.photo(key)
        image = read_photo(path)
        if image.shape[:2] != mask.shape:
            raise Rejected("mask of another size than its photo", key)
        crop = cut_out(image, without_specks(mask), scale=scale)
        provenance = Provenance(self.name, f"JPEGImages/{key}.jpg", file_sha256(path), self.licence, key)
        unknown = np.zeros((17, 3), np.float32)
        return Cutout(crop.rgba, crop.parsing, unknown, provenance, scale=crop.scale)
