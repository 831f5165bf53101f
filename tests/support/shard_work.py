"""Shards for testing executors: worker processes import this module by name, through PYTHONPATH."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import cv2
from processes import wait
from threadpoolctl import threadpool_info

import synth.build
from mildbench.errors import UserError
from mildbench.executors import Spec
from mildbench.files import write_bytes
from mildbench.longwork import Made, Maker
from mildbench.progress import Advance
from synth.build import Scenes

FOLDER = str(Path(__file__).parent)
"""Of this module, for PYTHONPATH."""


def square(spec: Spec) -> int:
    return int(spec["n"]) ** 2


def process_id(spec: Spec) -> int:
    return os.getpid()


def gpus(spec: Spec) -> str:
    """Those that the worker may use, seen after a while, so that each worker takes part."""
    time.sleep(0.5)
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


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


class Squares(Maker):
    """A file a shard with the squares of its numbers; tells of its first sample early."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened = 0
        self.made: list[int] = []

    def open(self) -> None:
        self.opened += 1

    def make(self, spec: Spec, advance: Advance) -> Made:
        self.made.append(spec["number"])
        advance(1)
        name = f"{spec['number']}.txt"
        text = " ".join(str(n * n) for n in spec["items"])
        return Made({"last": spec["items"][-1]}, {name: write_bytes(self.root / name, text.encode())})


class DyingOnce(Scenes):
    """The first worker to get here dies in the middle of its shard's files."""

    def make(self, spec: Spec, advance: Advance) -> Made:
        if _first(self.out.parent / "died"):
            write = Path.write_bytes

            def write_half(self: Path, data: bytes) -> int:
                write(self, data[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
                return 0

            Path.write_bytes = write_half  # type: ignore[method-assign]
        return super().make(spec, advance)


class AllButOneShard(Scenes):
    """The second shard kills its worker, once."""

    def make(self, spec: Spec, advance: Advance) -> Made:
        if spec["number"] == 8 and _first(self.out.parent / "died"):
            die(spec)
        return super().make(spec, advance)


class AShardAndAHalf(Scenes):
    """Stops for ever in the middle of the second shard, and says so by a file called `half` beside the output."""

    def make(self, spec: Spec, advance: Advance) -> Made:
        if spec["number"] == 8:
            write, scenes = synth.build.write_scene, iter(range(4))

            def write_or_stop(*arguments: Any, **options: Any) -> Any:
                if next(scenes, None) is None:
                    (self.out.parent / "half").touch()
                    while True:
                        time.sleep(0.01)
                return write(*arguments, **options)

            synth.build.write_scene = write_or_stop  # type: ignore[assignment]
        return super().make(spec, advance)


class TwoShardsAndWait(Scenes):
    """All but the first two shards wait at the gate beside the output."""

    def make(self, spec: Spec, advance: Advance) -> Made:
        if spec["number"] >= 16:
            wait(self.out.parent / "gate", spec["number"])
        return super().make(spec, advance)


def _first(marker: Path) -> bool:
    """Whether this is the first process to get here."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
