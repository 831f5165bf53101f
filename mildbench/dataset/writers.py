"""The two formats, as writers behind one interface: loose files, or WebDataset's tar files.

`folder`: `SPLIT/KIND/SAMPLE.png` (`.jpg` where a split is stored so); a background that many scenes use is stored once.

`webdataset`: `SPLIT/SPLIT-NNNNNN.tar` with the members `SAMPLE.PART.png` and, last of a sample, `SAMPLE.json` (its
row of `samples.parquet`), as the `webdataset` library groups them. A shard of a build makes one tar file for each
split in it. A tar file must be whole in itself, so every sample carries its own background: a data set of
`background_views` crops is larger by about one composite a scene than as a folder.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from mildbench.dataset.storage import MEMBER
from mildbench.dataset.tarfiles import TarWriter, writing
from mildbench.errors import UserError, did_you_mean
from mildbench.files import file_sha256, replacing, write_bytes

Format = Literal["folder", "webdataset"]
SCENES: dict[Format, int] = {"folder": 8, "webdataset": 64}
"""Scenes in a shard: small enough that little is lost when one is cut off. A tar file should also not be tiny:
64 scenes of 512 px are some 60 MB."""


class ShardWriter(AbstractContextManager["ShardWriter"], ABC):
    """Stores the files of some consecutive samples; on leaving the context they are all in place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, str] = {}
        """Files that this shard alone makes: name -> sha256. Complete once the context is left."""
        self.shared: dict[str, str] = {}
        """Files that other shards may make too, with the same content."""

    @abstractmethod
    def add(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        """Store a picture; returns the name by which `Storage` reads it.

        `part` is `composite`, `layer-1`, `layer-1.labels` and the like: after a dash, which of several. `suffix` is
        `.png` or `.jpg`, as the data is.
        """

    @abstractmethod
    def add_shared(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        """The same for a file whose content other samples may have too."""

    @abstractmethod
    def end(self, row: dict[str, Any]) -> None:
        """All files of a sample are stored; `row` is its row of `samples.parquet`."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class FolderShard(ShardWriter):
    """Each file is written at once, atomically."""

    def add(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        folder, dash, which = part.partition("-")
        name = f"{split}/{folder}s/{sample}-{which}" if dash else f"{split}/{folder}/{sample}"
        name += suffix
        self.files[name] = write_bytes(self.root / name, data)
        return name

    def add_shared(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        # Named by content: whoever writes it writes the same bytes, so workers need not agree who does.
        name = f"{split}/{part}/{sha256[:20]}{suffix}"
        path = self.root / name
        if not path.is_file() or file_sha256(path) != sha256:
            write_bytes(path, data)
        self.shared[name] = sha256
        return name

    def end(self, row: dict[str, Any]) -> None:
        """Nothing to do: the row will be in `samples.parquet`."""


class TarShard(ShardWriter):
    """One tar file a split; all of them take their place when the shard is whole."""

    def __init__(self, root: Path, numbers: dict[str, int]) -> None:
        super().__init__(root)
        self._numbers = numbers
        self._open: dict[str, TarWriter] = {}
        self._stack = ExitStack()

    def add(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        return self._add(split, f"{sample}.{part}{suffix}", data)

    def add_shared(self, split: str, sample: str, part: str, data: bytes, suffix: str = ".png") -> str:
        return self.add(split, sample, part, data, suffix)

    def end(self, row: dict[str, Any]) -> None:
        text = json.dumps(row, separators=(",", ":"), allow_nan=False)
        self._add(row["split"], f"{row['id']}.json", text.encode())

    def _add(self, split: str, member: str, data: bytes) -> str:
        name = f"{split}/{split}-{self._numbers[split]:06d}.tar"
        if name not in self._open:
            temporary = self._stack.enter_context(replacing(self.root / name))
            self._open[name] = self._stack.enter_context(writing(temporary))
        self._open[name].add(member, data)
        return f"{name}{MEMBER}{member}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            self.files = {name: file_sha256(self.root / name) for name in self._open}


def new_shard(format: Format, root: Path, numbers: dict[str, int]) -> ShardWriter:
    """A writer of the format. `numbers` gives the number of the shard's tar file for each split in it."""
    return FolderShard(root) if format == "folder" else TarShard(root, numbers)


def check_format(name: str) -> Format:
    """The format of that name; raises `UserError` for an unknown one."""
    for known in SCENES:
        if known == name:
            return known
    raise UserError(f"unknown format {name!r}: {did_you_mean(name, SCENES)}")
