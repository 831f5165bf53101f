"""Which files of a folder are pictures, and what a sample made of one is called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mildbench.files import walk

PICTURES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .webp .bmp .tif .tiff .gif .avif .heic .heif".split()  # noqa: SIM905
)
"""Endings of pictures, in lower case; a file may have them in any."""
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
"""What systems leave behind, in lower case."""


@dataclass(frozen=True)
class Listing:
    """What a folder holds."""

    pictures: list[Path]
    """Sorted by name."""
    others: int
    """Files that were left alone: hidden (`._x.jpg` too) or no pictures."""


def list_pictures(root: Path, *, deep: bool = False) -> Listing:
    """The pictures in a folder; with `deep`, in those below it as well, but for hidden ones."""
    pictures, others = [], 0
    for _, files in islice(walk(root), None if deep else 1):
        for path in files:
            parts = path.relative_to(root).parts
            hidden = any(part.startswith(".") or part.lower() in _JUNK for part in parts)
            # A pipe, which is no file, would be waited for without end.
            if hidden or path.suffix.lower() not in PICTURES or not path.is_file():
                others += 1
            else:
                pictures.append(path)
    return Listing(sorted(pictures), others)


def stem_of(path: Path) -> str:
    """A file's name without its ending, one accented letter one character: macOS takes them apart."""
    return unicodedata.normalize("NFC", path.stem)


def sample_id(name: str) -> str:
    """`name` as far as an id can be: letters and digits of any script, `-` and `_`; anything else becomes `_`.

    An id is part of file names and of WebDataset's keys, which end at the first dot.
    """
    return re.sub(r"[^\w-]+", "_", unicodedata.normalize("NFC", name))
