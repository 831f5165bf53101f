"""Shards of scenes that die or wait, for testing builds; apart from `shard_work`, which workers import in no time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from processes import wait

import synth.build
from mildbench.executors import Spec
from mildbench.longwork import Made
from mildbench.progress import Advance
from synth.build import Scenes

FOLDER = str(Path(__file__).parent)
"""Of this module, for PYTHONPATH."""


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
            os.kill(os.getpid(), signal.SIGKILL)
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
