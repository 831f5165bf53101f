"""The process's stderr itself, which other libraries and processes write to without asking Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

_STDERR = 2


@contextmanager
def stderr_into(file: BinaryIO) -> Iterator[None]:
    """Meanwhile whatever is written to stderr, by this process or one that it starts, goes into `file`."""
    sys.stderr.flush()
    ours = os.dup(_STDERR)
    try:
        os.dup2(file.fileno(), _STDERR)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(ours, _STDERR)
        os.close(ours)
