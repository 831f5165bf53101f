"""Tar files as WebDataset wants them: written with the same bytes every time, read at random, nothing trusted."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mildbench.errors import UserError

MAX_MEMBER = 2**30
"""Bytes; a larger member is refused."""
Index = dict[str, tuple[int, int]]
"""Member name -> (offset of its content, its size), in bytes."""


class TarWriter:
    """Appends members; the archive's bytes depend on their names and contents alone."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, data: bytes) -> None:
        """Append a file. Raises `UserError` for a name that has no place in a tar file or leaves it."""
        if len(name.encode()) > tarfile.LENGTH_NAME:
            raise UserError(
                f"{name!r} is too long for a tar file ({tarfile.LENGTH_NAME} bytes): rename the sample"
            )
        if not _is_safe(name):
            raise UserError(f"{name!r} leaves the tar file: rename the sample")
        member = tarfile.TarInfo(name)  # mode 0644, time 0, owner 0 without a name
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


@contextmanager
def writing(path: Path) -> Iterator[TarWriter]:
    """A `TarWriter` on a new file, which is whole only when this ends without an error."""
    # USTAR has no place for times with fractions, long names or sparse files: nothing varies, little can lie.
    with (
        path.open("wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        yield TarWriter(tar)


def read_index(path: Path) -> Index:
    """Where a tar file's members are, from its headers alone: one small read a member.

    Raises `UserError` for a file that is missing, cut off or broken, and for a member that is no plain file,
    has a name that leaves the archive, comes twice or is larger than `MAX_MEMBER`.
    """
    index: Index = {}
    try:
        with path.open("rb") as stream:
            end = stream.seek(0, io.SEEK_END)
            offset = 0
            while True:
                stream.seek(offset)
                block = stream.read(tarfile.BLOCKSIZE)
                if block == bytes(tarfile.BLOCKSIZE):
                    return index
                name, size = _member(block)
                start = offset + tarfile.BLOCKSIZE
                if name in index:
                    raise ValueError(f"the member {name!r} comes twice")
                if start + size > end:
                    raise ValueError(f"the member {name!r} is cut off")
                index[name] = (start, size)
                offset = start + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    except FileNotFoundError:
        raise UserError(f"tar file not found: {path}") from None
    except (tarfile.HeaderError, ValueError) as error:
        raise UserError(f"tar file {path} is broken or unsafe: {error}; refused") from None


def _member(block: bytes) -> tuple[str, int]:
    member = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    if not _is_safe(member.name):
        raise ValueError(f"the member name {member.name!r} leaves the archive")
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise ValueError(f"the member {member.name!r} is not a plain file")
    if not 0 <= member.size <= MAX_MEMBER:
        raise ValueError(f"the member {member.name!r} claims {member.size} bytes")
    return member.name, member.size


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name
