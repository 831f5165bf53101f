"""Shards for testing executors: worker processes import this module by name, through PYTHONPATH."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from mildbench.errors import UserError
from mildbench.executors import Spec
from synth.build import run_shard


def square(spec: Spec) -> int:
    return int(spec["n"]) ** 2


def process_id(spec: Spec) -> int:
    return os.getpid()


def mistake(spec: Spec) -> int:
    raise UserError("shard 3: the folder /x is missing: give another")


def bug(spec: Spec) -> int:
    raise ZeroDivisionError("two\nlines")


def die(spec: Spec) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def build_shard_after_dying_once(spec: Spec) -> int:
    """The first worker to get here dies in the middle of its shard's files."""
    marker = Path(spec["out"]).parent / "died"
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        first = False
    else:
        first = True
    if first:
        write = Path.write_bytes

        def write_half(self: Path, data: bytes) -> int:
            write(self, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        Path.write_bytes = write_half  # type: ignore[method-assign]
    return run_shard(spec)
