"""Whether a data set still holds what its fingerprint stands for, before somebody computes from it."""

from __future__ import annotations

import os
from collections.abc import Collection
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
    names = _files(dataset, samples)
    listing = dataset.root / CHECKSUMS
    if listing.is_file() and file_sha256(listing) == dataset.info.checksums:
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


def _files(dataset: Dataset, samples: Collection[str]) -> set[str]:
    """The files that say what these samples are, by their names in `checksums.txt`."""
    found = {SAMPLES, *(annotation_file(split) for split in dataset.info.people)}
    for name in sorted(samples):  # mostly the order of the table, so that each part of it is read once
        with_files(dataset.row(name), lambda _, file: found.add(file.partition(MEMBER)[0]))
    return found


def _other_content(dataset: Dataset, samples: Collection[str]) -> str | None:
    for name, content in contents(dataset, samples):
        if content != dataset.row(name)["content_sha256"]:
            return f"sample {name} is another one"
    return None
