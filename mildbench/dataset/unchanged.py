"""Whether a data set still holds what its fingerprint stands for, before somebody computes from it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mildbench.dataset.content import contents
from mildbench.dataset.parts import with_files
from mildbench.dataset.schema import CHECKSUMS, SAMPLES, annotation_file
from mildbench.dataset.storage import MEMBER
from mildbench.dataset.validate import check_file, check_fingerprint, checksums
from mildbench.errors import UserError
from mildbench.files import file_sha256

if TYPE_CHECKING:
    from mildbench.dataset.reader import Dataset


def require_unchanged(dataset: Dataset, samples: Collection[str]) -> None:
    """Raise `UserError` unless these samples (ids) are what they were when the data set was written.

    Files are compared with `checksums.txt`. Where one differs, contents decide: a copy whose pictures were compressed
    anew is the same data set.
    """
    names = {SAMPLES, *_files(dataset, samples)}
    if file_sha256(dataset.root / CHECKSUMS) == dataset.info.checksums:
        listed = [(name, sha256) for name, sha256 in checksums(dataset.root) if name in names]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing leaves the interpreter alone
            problems = pool.map(lambda entry: check_file(dataset.root, *entry), listed)
            if len(listed) == len(names) and not any(problems):
                return
    problem = next(iter(check_fingerprint(dataset)), None) or _other_content(dataset, samples)
    if problem:
        raise UserError(
            f"data set {dataset.root}: {problem}: it was changed after it was made; restore it, or make it again "
            "(mildbench validate lists everything)"
        )


def _files(dataset: Dataset, samples: Collection[str]) -> Iterator[str]:
    """The files that hold these samples, by their names in `checksums.txt`."""
    found: list[str] = []
    for row in dataset.rows():
        if row["id"] in samples:
            with_files(row, lambda _, name: found.append(name.partition(MEMBER)[0]))
    yield from found
    yield from (annotation_file(split) for split in dataset.info.people)


def _other_content(dataset: Dataset, samples: Collection[str]) -> str | None:
    for name, content in contents(dataset, samples):
        if content != dataset.row(name)["content_sha256"]:
            return f"sample {name} is another one"
    return None
