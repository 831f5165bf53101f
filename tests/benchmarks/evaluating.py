"""How two workers scale over one, for a method's predictions and for scores.

    python tests/benchmarks/evaluating.py --dataset data/demo --method mild --limit 64

One worker and two take turns, each in a folder of its own, and medians are shown: other load on the machine then falls
on both. Workers' start (Python, torch, the method) is part of the time on the clock, and shown beside it. CPU seconds
say what was computed; where they differ much between one and two, the machine was not idle.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mildbench as mb
from mildbench.evaluation import runner
from mildbench.executors import ProcessExecutor, Spec
from mildbench.method import MethodSpec

WORKERS = (1, 2)


def cpu() -> float:
    """Seconds of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def start(spec: Spec) -> None:
    """What a worker does before its first sample."""
    MethodSpec.parse(spec["method"]).create("cpu").load()


def start_all(specs: list[Spec]) -> None:
    """As many workers as there are specs."""
    list(ProcessExecutor(len(specs)).run(start, specs))


class Stages:
    """Clock and CPU seconds of each stage, by its name and the number of workers."""

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, int], list[tuple[float, float]]] = {}
        self.workers = 1

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            began, used = time.perf_counter(), cpu()
            result = work(*arguments, **options)
            spent = (time.perf_counter() - began, cpu() - used)
            self.seconds.setdefault((name, self.workers), []).append(spent)
            return result

        return timed

    def show(self) -> None:
        """`start` is the first."""
        for name in dict.fromkeys(name for name, _ in self.seconds):
            one, two = (
                [statistics.median(column) for column in zip(*self.seconds[name, workers], strict=True)]
                for workers in WORKERS
            )
            print(
                f"{name:<8} one worker {one[0]:7.1f} s (CPU {one[1]:7.1f}), two {two[0]:7.1f} s (CPU {two[1]:7.1f}): "
                f"{one[0] / two[0]:.2f} times as fast"
            )
            if name == "start":
                starts = one[0], two[0]
            else:
                print(
                    f"{'':<8} without the start {(one[0] - starts[0]) / (two[0] - starts[1]):.2f} times as fast"
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", default="mild", help="NAME or NAME:OPTION=VALUE,...")
    parser.add_argument("--metric", action="append", help="repeatable; default: psnr and ssim")
    parser.add_argument("--task", default="erase-one")
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    stages = Stages()
    runner.predict = stages.timed("predict", runner.predict)
    runner.score = stages.timed("score", runner.score)
    for _ in range(arguments.repeats):
        for stages.workers in WORKERS:
            specs = [{"method": arguments.method}] * stages.workers
            stages.timed("start", start_all)(specs)
            with tempfile.TemporaryDirectory() as folder:
                mb.evaluate(
                    Path(arguments.dataset),
                    arguments.method,
                    task=arguments.task,
                    metrics=arguments.metric or ("psnr", "ssim"),
                    device="cpu",
                    limit=arguments.limit,
                    out=folder,
                    executor="process",
                    workers=stages.workers,
                )
    stages.show()


if __name__ == "__main__":
    main()
