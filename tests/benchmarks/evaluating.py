"""How two workers scale over one, for a method's predictions and for scores.

    python tests/benchmarks/evaluating.py --dataset data/demo --method sd-inpaint --limit 256

One worker and two take turns, each in a folder of its own, and medians are shown: other load on the machine then falls
on both. Samples per second count from the first shard that is done to the last: starting Python, torch and the method
is paid once. CPU seconds, start included, say what was computed; on a busy machine the clock says little.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mildbench as mb
from mildbench.evaluation import runner
from mildbench.executors import Executor, Spec
from mildbench.longwork import LongWork
from mildbench.progress import Advance

WORKERS = (1, 2)


def cpu() -> float:
    """Seconds of this process and of the children that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Stages:
    """Of each stage, by its name and the number of workers: samples per second, clock and CPU seconds."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        self.workers = 1
        self._ticks: list[tuple[float, int]] = []
        self._run = LongWork.run

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            began, used = time.perf_counter(), cpu()
            result = work(*arguments, **options)
            (first, _), *others = self._ticks
            rate = sum(samples for _, samples in others) / (others[-1][0] - first)
            spent = (rate, time.perf_counter() - began, cpu() - used)
            self.found.setdefault((name, self.workers), []).append(spent)
            return result

        return timed

    def run(self, work: LongWork, executor: Executor, specs: Iterable[Spec], advance: Advance) -> None:
        """In place of `LongWork.run`: notes when shards are done."""
        self._ticks = []

        def tick(samples: int) -> None:
            self._ticks.append((time.perf_counter(), samples))
            advance(samples)

        self._run(work, executor, specs, tick)

    def show(self) -> None:
        for name in dict.fromkeys(name for name, _ in self.found):
            medians = [
                [statistics.median(column) for column in zip(*self.found[name, workers], strict=True)]
                for workers in WORKERS
            ]
            for workers, (rate, clock, used) in zip(WORKERS, medians, strict=True):
                print(
                    f"{name:<8} {workers} worker(s): {rate:6.2f} samples/s, {clock:.1f} s, CPU {used:.1f} s"
                )
            print(f"{name:<8} two are {medians[1][0] / medians[0][0]:.2f} times as fast as one")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", default="sd-inpaint", help="NAME or NAME:OPTION=VALUE,...")
    parser.add_argument("--metric", action="append", help="repeatable; default: psnr and ssim")
    parser.add_argument("--task", default="erase-one")
    parser.add_argument("--limit", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    stages = Stages()

    def run(work: LongWork, executor: Executor, specs: Iterable[Spec], advance: Advance) -> None:
        stages.run(work, executor, specs, advance)

    LongWork.run = run  # type: ignore[method-assign]
    runner.predict = stages.timed("predict", runner.predict)
    runner.score = stages.timed("score", runner.score)
    for _ in range(arguments.repeats):
        for stages.workers in WORKERS:
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
