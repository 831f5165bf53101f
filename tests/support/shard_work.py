"""Shards for testing executors: worker processes import this module by name, through PYTHONPATH."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import cv2
from processes import until
from threadpoolctl import threadpool_info

from mildbench.errors import UserError
from mildbench.executors import Spec
from mildbench.files import write_bytes
from mildbench.longwork import Made, Maker
from mildbench.progress import Advance

FOLDER = str(Path(__file__).parent)
"""Of this module, for PYTHONPATH."""


def square(spec: Spec) -> int:
    return int(spec["n"]) ** 2


def process_id(spec: Spec) -> int:
    return os.getpid()


def gpus(spec: Spec) -> str:
    """Those that the worker may use, told once `workers` of them are at work, so that each takes part."""
    meeting = Path("at-work")
    meeting.mkdir(exist_ok=True)
    (meeting / str(os.getpid())).touch()
    until(lambda: len(list(meeting.iterdir())) >= spec["workers"], f"{spec['workers']} workers are at work")
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
