"""Engines that need nothing installed: this process, or worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import cycle, islice
from typing import Any

import cv2

from mildbench.device import gpu_count
from mildbench.errors import UserError
from mildbench.executors.base import Executor, Spec, Work
from mildbench.executors.environment import GPUS, one_thread_each


class SerialExecutor(Executor):
    """One shard after another in this process: for debugging and for tests."""

    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        yield from map(work, specs)


class ProcessExecutor(Executor):
    """Worker processes on this machine, dealt out over its GPUs. Ctrl-C lets the shards in flight finish."""

    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        # Spawned, not forked: OpenCV's and torch's thread pools do not survive a fork.
        context = multiprocessing.get_context("spawn")
        gpus = context.SimpleQueue() if self.gpu else None
        if gpus is not None:
            for gpu in islice(cycle(_visible_gpus()), self.workers):
                gpus.put(gpu)
        pool = ProcessPoolExecutor(self.workers, context, _start_worker, (gpus,))
        waiting: set[Future[Any]] = set()
        left = iter(specs)
        try:
            # One shard more than it is working on for each worker: none waits for this process.
            with one_thread_each():  # the first `submit` starts all workers
                waiting = {pool.submit(work, spec) for spec in islice(left, 2 * self.workers)}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(work, spec) for spec in islice(left, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed (out of memory?): what is done is kept; "
                "run the same command again, with fewer --workers if memory is short"
            ) from None
        finally:
            workers = list((pool._processes or {}).values())
            if any(not future.done() for future in waiting):
                sys.stderr.write("finishing the shards in flight; Ctrl-C again stops at once\n")
            try:
                pool.shutdown(wait=True, cancel_futures=True)
            except KeyboardInterrupt:
                # Left alone, the workers would be waited for once more when Python exits.
                for worker in workers:
                    worker.kill()
                raise


def _visible_gpus() -> list[str]:
    """As CUDA calls them: those that this process may use."""
    named = os.environ.get(GPUS, "")
    return [gpu for gpu in named.split(",") if gpu] or [str(number) for number in range(max(gpu_count(), 1))]


def _start_worker(gpus: Any) -> None:
    if gpus is not None:
        os.environ[GPUS] = gpus.get()  # before torch looks for any
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it lets shards in flight finish
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's worker would wait for ever, and keep its memory, after its parent was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
