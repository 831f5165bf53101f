"""Import a paired benchmark: folders of inputs, masks and true answers, as many public ones are published."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mildbench.dataset.content import sample_sha256
from mildbench.dataset.index import IndexWriter
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.schema import SAMPLE_SCHEMA, DatasetInfo, SourceInfo
from mildbench.dataset.writers import FolderShard, ShardWriter
from mildbench.errors import UserError
from mildbench.files import file_sha256
from mildbench.images import encode_png, read_rgb
from mildbench.scene import Provenance

SPLIT = "test"
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
"""What counts as a picture; other files in the folders are left alone."""


@dataclass(frozen=True)
class Folder:
    """One of the three folders.

    `pattern` has one `*`, which stands for what a file's stem shares with its partners': `*_mask` finds
    `photo1_mask.png` for `photo1.jpg`. Files that do not fit it are left alone.
    """

    role: str
    path: Path
    pattern: str = "*"

    def pictures(self) -> dict[str, Path]:
        """Common part of the stem -> file. Raises `UserError` for a missing folder and for ambiguous names."""
        if not self.path.is_dir():
            raise UserError(f"{self.role} folder not found: {self.path}")
        if self.pattern.count("*") != 1:
            raise UserError(f"the pattern {self.pattern!r} of the {self.role} folder needs exactly one *")
        before, _, after = self.pattern.partition("*")
        found: dict[str, Path] = {}
        for path in sorted(self.path.iterdir()):
            stem = path.stem
            fits = stem.startswith(before) and stem.endswith(after) and len(stem) > len(before + after)
            if path.suffix.lower() not in PICTURES or not fits:
                continue
            key = stem[len(before) : len(stem) - len(after)]
            if key in found:
                raise UserError(
                    f"{self.role} folder {self.path}: {found[key].name} and {path.name} are both named {key!r}: "
                    "keep one"
                )
            found[key] = path
        return found


@dataclass(frozen=True)
class Pair:
    """The files of one sample."""

    id: str
    """The common part of the stems, in letters, digits, `-` and `_`."""
    image: Path
    mask: Path
    truth: Path


def find_pairs(images: Folder, masks: Folder, truth: Folder) -> list[Pair]:
    """The partners in three folders, sorted by name. Raises `UserError` when there are none or some lack one."""
    folders = (images, masks, truth)
    pictures = [folder.pictures() for folder in folders]
    names = sorted(set().union(*pictures))
    if not names:
        raise UserError(f"{images.path} has no pictures with a stem like {images.pattern!r}")
    lonely = [name for name in names if not all(name in found for found in pictures)]
    if lonely:
        folder = next(f for f, found in zip(folders, pictures, strict=True) if lonely[0] not in found)
        raise UserError(
            f"{len(lonely)} of {len(names)} samples lack a partner; the first, {lonely[0]!r}, has no {folder.role} "
            f"in {folder.path}: add it, remove the others, or give --images-pattern, --masks-pattern, --truth-pattern"
        )
    ids: dict[str, str] = {}
    for name in names:
        # An id becomes part of file names and of WebDataset's keys, which end at the first dot.
        safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
        if ids.setdefault(safe, name) != name:
            raise UserError(
                f"the samples {ids[safe]!r} and {name!r} would both be called {safe!r}: rename one"
            )
    return [Pair(safe, *(found[name] for found in pictures)) for safe, name in ids.items()]


def import_pairs(
    pairs: Sequence[Pair], out: Path, *, name: str, licence: str, advance: Callable[[int], None]
) -> DatasetInfo:
    """Make a data set of pairs, in its one split `test`; pictures are stored losslessly.

    Args:
        pairs: from `find_pairs`.
        out: folder to make; it must not exist, or be empty.
        name: the data set's name.
        licence: the terms of the pictures.
        advance: called with the number of pairs just done.

    Raises `UserError` naming the first pair that cannot be used and how many there are; nothing is left behind.
    """
    source = SourceInfo(role="pairs", name=name, licence=licence, items=len(pairs), rejected={})
    description: dict[str, Any] = {
        "name": name,
        "source": "pairs",
        "description": f"{len(pairs)} pairs of pictures with and without what their masks mark.",
        "format": "folder",
        "seed": None,
        "size": None,
        "recipe": {},
        "sources": [source.model_dump()],
    }
    unusable: list[str] = []
    with (
        new_folder(out) as folder,
        IndexWriter(folder, description, [SPLIT]) as index,
        FolderShard(folder) as shard,
    ):
        for pair in pairs:
            try:
                planes = _read(pair)
            except UserError as error:
                unusable.append(str(error))
            else:
                if not unusable:  # after the first, only to count the others
                    index.add(_write(shard, pair, *planes, name, licence))
            advance(1)
        if unusable:
            raise UserError(
                f"{len(unusable)} of {len(pairs)} pairs cannot be used; the first: {unusable[0]}: mend or remove "
                "them; nothing was imported"
            )
        index.add_files(shard.files, shard.shared)
        return index.finish({})


def _read(pair: Pair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8[H, W, 3] input, bool[H, W] mask, uint8[H, W, 3] truth."""
    image, truth = read_rgb(pair.image, "input"), read_rgb(pair.truth, "truth")
    # Read as a colour picture: masks come as grey, palette, red or with an alpha channel that means nothing.
    mask = read_rgb(pair.mask, "mask").max(axis=2) > 127
    for what, path, shape in (("mask", pair.mask, mask.shape), ("truth", pair.truth, truth.shape[:2])):
        if shape != image.shape[:2]:
            sizes = f"{shape[1]}x{shape[0]}, its input {image.shape[1]}x{image.shape[0]}"
            raise UserError(f"{what} {path} is {sizes}")
    if not mask.any():
        raise UserError(f"mask {pair.mask} is empty: no pixel is above 127")
    return image, mask, truth


def _write(
    shard: ShardWriter,
    pair: Pair,
    image: np.ndarray,
    mask: np.ndarray,
    truth: np.ndarray,
    name: str,
    licence: str,
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SAMPLE_SCHEMA.names)
    marked = mask.astype(np.uint8) * 255
    row |= {
        "id": pair.id,
        "split": SPLIT,
        "width": image.shape[1],
        "height": image.shape[0],
        "mask_share": float(mask.mean()),
        "composite": shard.add(SPLIT, pair.id, "composite", encode_png(image)),
        "background": shard.add(SPLIT, pair.id, "background", encode_png(truth)),
        "mask": shard.add(SPLIT, pair.id, "mask", encode_png(marked)),
        "background_provenance": asdict(Provenance(name, pair.truth.name, file_sha256(pair.truth), licence)),
    }
    row["content_sha256"] = sample_sha256(row, {"composite": image, "background": truth, "mask": marked})
    shard.end(row)
    return row
