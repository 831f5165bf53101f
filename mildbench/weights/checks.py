"""Whether what is on disk is what the manifest says: sizes at a glance, sha256 in full."""

from __future__ import annotations

from pathlib import Path

from mildbench.errors import UserError
from mildbench.files import file_sha256, read_json, write_json
from mildbench.weights.manifest import AnyEntry, CheckpointFile, HubCheckpoint, WeightsFile

HTML_PAGE = "it is an HTML page, not weights"

RECORD = "fetched.json"
"""In a checkpoint's folder: where it came from, and the sha256 of every file as it came."""

_hashed: dict[tuple[Path, int, int], str] = {}
"""(path, size, mtime in ns) -> sha256, so that half a gigabyte is not hashed twice in one process."""


def problem(entry: AnyEntry, path: Path, *, in_full: bool = True) -> str | None:
    """Why the file or folder `path` is not what `entry` describes, or None if it is.

    Without `in_full` nothing is hashed.
    """
    if isinstance(entry, HubCheckpoint):
        return _folder_problem(entry, path, in_full=in_full)
    if wrong := size_problem(entry, path):
        return wrong
    return digest_problem(entry, sha256_of(path)) if in_full else None


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file, computed once in a process while the file stays as it is."""
    facts = path.stat()
    key = (path, facts.st_size, facts.st_mtime_ns)
    if key not in _hashed:
        _hashed[key] = file_sha256(path)
    return _hashed[key]


def size_problem(entry: WeightsFile | CheckpointFile, path: Path) -> str | None:
    """What the size alone says against the file `path`."""
    size = path.stat().st_size
    if entry.size is None or size == entry.size:
        return None
    # An error page saved under the weights' name is the usual accident; say so rather than two sizes.
    with path.open("rb") as stream:
        return HTML_PAGE if is_html(stream.read(64)) else f"it has {size:,} bytes, not {entry.size:,}"


def digest_problem(entry: WeightsFile | CheckpointFile, sha256: str) -> str | None:
    """What the sha256 (hex) says against a file."""
    if entry.sha256 is None or sha256 == entry.sha256:
        return None
    return f"its sha256 is {sha256[:12]}..., not {entry.sha256[:12]}..."


def is_html(head: bytes) -> bool:
    """Whether a file that starts with `head` is a web page; no weights file starts so."""
    return head.lstrip().startswith(b"<")


def file_problem(file: CheckpointFile, folder: Path, *, in_full: bool = True) -> str | None:
    """What is wrong with one file of a checkpoint's folder, by what the manifest knows of it."""
    path = folder / file.path
    if not path.is_file():
        return f"{file.path} is missing"
    wrong = size_problem(file, path)
    if wrong is None and in_full and file.sha256 is not None:
        wrong = digest_problem(file, sha256_of(path))
    return None if wrong is None else f"{file.path}: {wrong}"


def write_record(checkpoint: HubCheckpoint, folder: Path, source: str) -> None:
    """Note where a complete folder came from and what its files are, for all checks to come."""
    digests = {file.path: sha256_of(folder / file.path) for file in checkpoint.files}
    write_json(folder / RECORD, {"source": source, "sha256": digests})


def recorded(folder: Path) -> dict[str, str]:
    """Path -> sha256 (hex) of a checkpoint's files as they were first fetched; empty without a record."""
    if not (folder / RECORD).is_file():
        return {}
    content = read_json(folder / RECORD, "record of a fetched checkpoint")
    digests = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(digests, dict):
        raise UserError(
            f"{folder / RECORD} is not a record of a fetched checkpoint: delete the folder, fetch again"
        )
    return digests


def _folder_problem(checkpoint: HubCheckpoint, folder: Path, *, in_full: bool) -> str | None:
    if not folder.is_dir():
        return "it is not a folder"
    try:
        first = recorded(folder)
    except UserError as error:
        return str(error)
    for file in checkpoint.files:
        if wrong := file_problem(file, folder, in_full=in_full):
            return wrong
        if file.sha256 is None:
            if file.path not in first:
                return f"{RECORD} does not say what {file.path} was when it was fetched"
            if in_full and sha256_of(folder / file.path) != first[file.path]:
                return f"{file.path} is not what was fetched at first"
    return None
