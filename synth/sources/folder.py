"""`folder:DIR`: people from RGBA cut-outs or image + mask pairs; backgrounds from a plain folder of pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.geometry import Box
from mildbench.images import read_rgb, read_rgba
from mildbench.labels import UNLABELLED
from mildbench.listing import PICTURES, list_pictures
from mildbench.masks import marks_around, read_mask
from mildbench.scene import Provenance
from synth.material import Background, BackgroundRef, Cutout, LeftOut, PersonRef, Rejected, Rejections
from synth.sources.base import BackgroundSource, PeopleSource, read_photo
from synth.sources.crop import cut_out
from synth.sources.names import same_file

LICENCE = "as the owner of the folder states"
CUT = 1.5
"""Whoever is cut by their picture's lower edge would be so many times as tall: they show about down to the thighs."""
OTHERS = "file hidden or no picture"
TWINS = "file whose name is another's in another Unicode form"


def _folder(path: str) -> Path:
    if not path:
        raise UserError("source folder: no folder given: write folder:PATH")
    return Path(path)


class _Pictures:
    """The pictures under a folder."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(
                f"source folder: {root} does not exist or is not a folder: give an existing folder of pictures"
            )
        listing = list_pictures(root, deep=True)
        if not listing.pictures:
            raise UserError(f"source folder: {root} holds no pictures ({', '.join(sorted(PICTURES))})")
        self.files = {same_file(path.relative_to(root).as_posix()): path for path in listing.pictures}
        """By their path under the folder, with slashes and in one Unicode form, in order."""
        self.left_out = +Counter({OTHERS: listing.others, TWINS: len(listing.pictures) - len(self.files)})
        """Why -> how many files."""


class FolderPeople(PeopleSource):
    """People as pictures on disk.

    Either RGBA files (`DIR/*.png`, the alpha channel is the cut-out), or, where `DIR/images` and `DIR/masks`
    exist, photos with a mask of the same name, or of the same stem where only one photo and one mask have it.
    Neither knows pose or parsing.

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

    @cached_property
    def _pictures(self) -> _Pictures:
        return _Pictures(self.root / "images" if self._paired else self.root)

    @cached_property
    def _mask_pictures(self) -> _Pictures:
        return _Pictures(self.root / "masks")

    @cached_property
    def _files(self) -> dict[str, Path]:
        """Key -> picture."""
        folder = "images" if self._paired else ""
        return {str(PurePosixPath(folder, name)): path for name, path in self._pictures.files.items()}

    def people(self) -> Sequence[PersonRef]:
        self.left_out.clear()
        self.left_out.update(self._pictures.left_out)
        if self._paired:
            self.left_out.update(self._mask_pictures.left_out)
        found = []
        for key in self._files:
            found += self.checked(self._check, key)
        return found

    def _check(self, key: str) -> PersonRef:
        """The person; raises `LeftOut` if merely too small, `Rejected` for what cannot be used."""
        mask = self._mask(key)
        rows = np.flatnonzero(mask.any(axis=1))
        if rows.size < self.min_height:
            raise LeftOut(f"lower than {self.min_height} px")
        cut = bool(rows[-1] >= mask.shape[0] - 1) and self._paired
        height = int(rows[-1] - rows[0] + 1)
        whole = round(CUT * height) if cut else None
        return PersonRef(
            key, f"{self.name}/{key}", height, cut, whole=whole, area=int(np.count_nonzero(mask))
        )

    @cached_property
    def _masks(self) -> dict[str, Path]:
        """Key of a photo -> its mask, for those that have one."""
        masks = dict(self._mask_pictures.files)
        names = [key.removeprefix("images/") for key in self._files]
        found = {f"images/{name}": masks.pop(name) for name in names if name in masks}
        photos_of, masks_of = _by_stem(n for n in names if f"images/{n}" not in found), _by_stem(masks)
        for stem, (name, *others) in photos_of.items():
            if not others and len(masks_of.get(stem, ())) == 1:
                found[f"images/{name}"] = masks.pop(masks_of[stem][0])
        return found

    def _mask(self, key: str) -> np.ndarray:
        """bool[H, W]; raises `Rejected` for what cannot be used."""
        path = self._files[key]
        try:
            if not self._paired:
                mask = read_rgba(path, "cut-out")[..., 3] >= 128
            else:
                if key not in self._masks:
                    raise Rejected("image without a mask of its name", key)
                found = read_mask(self._masks[key])
                if found.numbers.max() > 1:
                    raise Rejected("mask of several people: give each a picture and a mask", key)
                mask = found.marked
                if mask.shape != read_rgb(path).shape[:2]:
                    raise Rejected("mask of another size than its image", key)
        except UserError as error:
            raise Rejected("image unreadable or without alpha", str(error)) from None
        if not mask.any():
            raise Rejected("empty mask", key)
        if mask.all():
            raise Rejected("mask over the whole picture", key)
        if marks_around(mask):
            raise Rejected("mask around the picture's border: inverted?", key)
        return mask

    def photo(self, key: str) -> Path | None:
        return self._files[key] if self._paired else None

    def files(self, key: str) -> Sequence[Path]:
        return [self._files[key], self._masks[key]] if self._paired else [self._files[key]]

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        path = self._files[key]
        mask = self._mask(key)
        if self._paired:
            rgba = cut_out(read_rgb(path), mask, scale=scale).rgba
        else:
            rgba, scale = read_rgba(path), 1.0  # with its edge already, whatever its size
        if not (rgba[..., 3] >= 128).any():
            raise Rejected("person too thin to cut out", key)
        rgba = rgba[Box.around(rgba[..., 3]).place]
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

    @cached_property
    def _pictures(self) -> _Pictures:
        return _Pictures(self.root)

    def backgrounds(self) -> Sequence[BackgroundRef]:
        self.left_out.clear()
        self.left_out.update(self._pictures.left_out)
        return [BackgroundRef(key, f"{self.name}/{key}") for key in self._pictures.files]

    def photo(self, key: str) -> Path:
        return self._pictures.files[key]

    def background(self, key: str) -> Background:
        path = self.photo(key)
        image = read_photo(path)
        if min(image.shape[:2]) < self.min_side:
            raise Rejected(f"image smaller than {self.min_side} px", key)
        return Background(image, Provenance(self.name, key, file_sha256(path), self.licence))


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    """Paths without their endings -> the paths."""
    found = defaultdict[str, list[str]](list)
    for name in names:
        found[str(PurePosixPath(name).with_suffix(""))].append(name)
    return found
