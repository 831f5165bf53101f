"""`folder:DIR`: people from RGBA cut-outs or image + mask pairs; backgrounds from a plain folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.images import read_rgb, read_rgba
from mildbench.labels import UNLABELLED
from mildbench.listing import PICTURES, list_pictures
from mildbench.masks import read_mask
from mildbench.scene import Provenance
from synth.sources.base import (
    Background,
    BackgroundRef,
    BackgroundSource,
    Cutout,
    PeopleSource,
    PersonRef,
    Rejected,
    Rejections,
    read_photo,
)
from synth.sources.crop import cut_out

LICENCE = "as the owner of the folder states"


def _folder(path: str) -> Path:
    if not path:
        raise UserError("source folder: no folder given: write folder:PATH")
    return Path(path)


def _pictures(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UserError(
            f"source folder: {root} does not exist or is not a folder: give an existing folder of pictures"
        )
    found = list_pictures(root, deep=True).pictures
    if not found:
        raise UserError(f"source folder: {root} holds no pictures ({', '.join(sorted(PICTURES))})")
    return found


class FolderPeople(PeopleSource):
    """People as pictures on disk.

    Either RGBA files (`DIR/*.png`, the alpha channel is the cut-out), or, where `DIR/images` and `DIR/masks`
    exist, photos with a mask of the same stem (whatever it marks is the person). Neither knows pose or parsing.

    Args:
        path: the folder.
        min_height: smallest person taken, in pixels.
    """

    def __init__(self, path: str, min_height: int = 64) -> None:
        self.root = _folder(path)
        self.name = f"folder:{self.root.name}"
        self.licence = LICENCE
        self.min_height = min_height
        self.rejections = Rejections()
        self._paired = (self.root / "images").is_dir() and (self.root / "masks").is_dir()

    def people(self) -> Sequence[PersonRef]:
        files = _pictures(self.root / "images" if self._paired else self.root)
        found = []
        for path in files:
            key = str(path.relative_to(self.root))
            try:
                mask = self._mask(path)
            except Rejected as rejected:
                self.rejections.add(rejected)
                continue
            rows = np.flatnonzero(mask.any(axis=1))
            if rows.size >= self.min_height:
                cut = bool(rows[-1] >= mask.shape[0] - 1) and self._paired
                found.append(PersonRef(key, f"{self.name}/{key}", int(rows[-1] - rows[0] + 1), cut))
        return found

    @cached_property
    def _masks(self) -> dict[str, Path]:
        """Path under `masks`, without its ending -> file."""
        root = self.root / "masks"
        return {str(path.relative_to(root).with_suffix("")): path for path in _pictures(root)}

    def _mask(self, path: Path) -> np.ndarray:
        """bool[H, W]; raises `Rejected` for what cannot be used."""
        try:
            if not self._paired:
                mask = read_rgba(path, "cut-out")[..., 3] >= 128
            else:
                name = self._name_of(path)
                if name not in self._masks:
                    raise Rejected("image without a mask of the same name", path.name)
                mask = read_mask(self._masks[name]).marked
                if mask.shape != read_rgb(path).shape[:2]:
                    raise Rejected("mask of another size than its image", path.name)
        except UserError as error:
            raise Rejected("image unreadable or without alpha", str(error)) from None
        if not mask.any():
            raise Rejected("empty mask", path.name)
        return mask

    def photo(self, key: str) -> Path | None:
        return self.root / key if self._paired else None

    def files(self, key: str) -> Sequence[Path]:
        path = self.root / key
        return [path, self._masks[self._name_of(path)]] if self._paired else [path]

    def _name_of(self, path: Path) -> str:
        """What an image shares with its mask."""
        return str(path.relative_to(self.root / "images").with_suffix(""))

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        path = self.root / key
        mask = self._mask(path)
        if self._paired:
            rgba = cut_out(read_rgb(path), mask, scale=scale).rgba
        else:
            rgba, scale = read_rgba(path), 1.0  # with its edge already, whatever its size
        if not (rgba[..., 3] >= 128).any():
            raise Rejected("person too thin to cut out", key)
        rows, columns = np.flatnonzero(rgba[..., 3].any(axis=1)), np.flatnonzero(rgba[..., 3].any(axis=0))
        rgba = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        parsing = np.where(rgba[..., 3] >= 128, UNLABELLED, 0).astype(np.uint8)
        provenance = Provenance(self.name, key, file_sha256(path), self.licence)
        unknown = np.zeros((17, 3), np.float32)
        return Cutout(np.ascontiguousarray(rgba), parsing, unknown, provenance, scale=scale)


class FolderBackgrounds(BackgroundSource):
    """Every picture under a folder, taken to be free of people.

    Args:
        path: the folder.
        min_side: smallest picture taken, in pixels of the shorter side.
    """

    def __init__(self, path: str, min_side: int = 256) -> None:
        self.root = _folder(path)
        self.name = f"folder:{self.root.name}"
        self.licence = LICENCE
        self.min_side = min_side
        self.rejections = Rejections()

    def backgrounds(self) -> Sequence[BackgroundRef]:
        keys = [str(path.relative_to(self.root)) for path in _pictures(self.root)]
        return [BackgroundRef(key, f"{self.name}/{key}") for key in keys]

    def photo(self, key: str) -> Path:
        return self.root / key

    def background(self, key: str) -> Background:
        path = self.photo(key)
        image = read_photo(path)
        if min(image.shape[:2]) < self.min_side:
            raise Rejected(f"image smaller than {self.min_side} px", key)
        return Background(image, Provenance(self.name, key, file_sha256(path), self.licence))
