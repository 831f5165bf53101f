"""Where a data set's files are: loose, or members of tar files. Readers need not know which."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from mildbench.dataset.tarfiles import Index, read_index
from mildbench.errors import UserError
from mildbench.files import inside

MEMBER = "!"
"""`train/train-000003.tar!00000012.composite.png` is a member of a tar file."""
_INDEXES = 64
"""Tar files whose index is kept: some 10^5 names."""


def open_table(path: Path) -> pq.ParquetFile:
    """A table to read row groups of; raises what pyarrow does for a broken one."""
    return pq.ParquetFile(path if isinstance(path, Path) else path.open("rb"))


class Storage:
    """The files under a data set's folder, by the names that `samples.parquet` has for them.

    Safe to read from several threads at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._index = lru_cache(maxsize=_INDEXES)(self._read_index)

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises `UserError` when it is missing, and for a name that leaves the folder or a tar file that is unsafe.
        """
        file, bang, member = name.partition(MEMBER)
        if not bang:
            return self._path(file).read_bytes()
        index = self._index(file)
        if member not in index:
            raise UserError(f"data set {self.root}: {name} is missing: rebuild it")
        offset, size = index[member]
        with self._path(file).open("rb") as stream:  # anew: a shared one has one position for all threads
            stream.seek(offset)
            return stream.read(size)

    def _path(self, name: str) -> Path:
        path = inside(self.root, name, f"data set {self.root}")
        if not path.is_file():  # a pipe would be waited for without end
            raise UserError(f"data set {self.root}: {name} is missing or no plain file: rebuild it")
        return path

    def _read_index(self, file: str) -> Index:
        return read_index(self._path(file))
