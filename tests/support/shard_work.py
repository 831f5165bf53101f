"""Shards for testing executors: worker processes import this module by name, through PYTHONPATH."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import cv2
from threadpoolctl import threadpool_info

import synth.build
from mildbench.errors import UserError
from mildbench.executors import Spec
from synth.build import run_shard

FOLDER = str(Path(__file__).parent)
"""Of this module, for PYTHONPATH."""


def square(spec: Spec) -> int:
    return int(spec["n"]) ** 2


def process_id(spec: Spec) -> int:
    return os.getpid()


def threads(spec: Spec) -> list[int]:
    """Sizes of the thread pools under numpy, OpenCV and torch's kind."""
    pools = threadpool_info()
    assert pools, "numpy brings none?"
    return [pool["num_threads"] for pool in pools] + [cv2.getNumThreads()]


def mistake(spec: Spec) -> int:
    raise UserError("shard 3: the folder /x is missing: give another")


def bug(spec: Spec) -> int:
    raise ZeroDivisionError("two\nlines")


def die(spec: Spec) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def build_shard_after_dying_once(spec: Spec) -> int:
    """The first worker to get here dies in the middle of its shard's files."""
    if _first(Path(spec["out"]).parent / "died"):
        write = Path.write_bytes

        def write_half(self: Path, data: bytes) -> int:
            write(self, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            return 0

        Path.write_bytes = write_half  # type: ignore[method-assign]
    return run_shard(spec)


def build_all_but_one_shard(spec: Spec) -> int:
    """The second shard kills its worker, once."""
    if spec["start"] == 8 and _first(Path(spec["out"]).parent / "died"):
        die(spec)
    return run_shard(spec)


def build_a_shard_and_a_half(spec: Spec) -> int:
    """Stops for ever in the middle of the second shard, and says so by a file called `half` beside the output."""
    if spec["start"] == 8:
        write, scenes = synth.build.write_scene, iter(range(4))

        def write_or_stop(*arguments: Any, **options: Any) -> Any:
            if next(scenes, None) is None:
                (Path(spec["out"]).parent / "half").touch()
                while True:
                    time.sleep(0.01)
            return write(*arguments, **options)

        synth.build.write_scene = write_or_stop  # type: ignore[assignment]
    return run_shard(spec)


def build_two_shards_and_wait(spec: Spec) -> int:
    """All but the first two shards wait beside the output for a file called `go`."""
    while spec["start"] >= 16 and not (Path(spec["out"]).parent / "go").exists():
        time.sleep(0.01)
    return run_shard(spec)


def _first(marker: Path) -> bool:
    """Whether this is the first process to get here."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
