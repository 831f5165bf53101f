"""Run shards: thin, interchangeable engines behind one function.

Work is cut into shards, each a pure function of a JSON spec, so any engine, any number of workers and any
restart give the same bytes. An engine only decides where the function runs.
"""

from __future__ import annotations

import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from mildbench.errors import UserError
from mildbench.registry import Registry

Spec = dict[str, Any]
"""A shard's JSON value: all that its work depends on."""
Work = Callable[[Spec], Any]
"""A module-level function, so that it can be pickled by name."""


class Executor(ABC):
    """An engine. `workers` is how many shards run at a time."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise UserError(f"--workers {workers} is not positive: give at least 1")
        self.workers = workers

    @abstractmethod
    def run(self, work: Work, specs: Sequence[Spec]) -> Iterator[Any]:
        """Yield `work(spec)` for every spec as it completes, in any order.

        An exception of one shard stops the run after the shards in flight; what is done stays done.
        """


class SerialExecutor(Executor):
    """One shard after another in this process: for debugging and for tests."""

    def run(self, work: Work, specs: Sequence[Spec]) -> Iterator[Any]:
        yield from map(work, specs)


class ProcessExecutor(Executor):
    """Worker processes on this machine."""

    def run(self, work: Work, specs: Sequence[Spec]) -> Iterator[Any]:
        # Spawned, not forked: OpenCV's and torch's thread pools do not survive a fork.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(min(self.workers, max(len(specs), 1)), context, initializer=_start_worker)
        try:
            futures = [pool.submit(work, spec) for spec in specs]
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed (out of memory?): what is done is kept; "
                "run the same command again, with fewer --workers if memory is short"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it lets shards in flight finish


EXECUTORS: Registry[Executor] = Registry("executor", "executors")
