"""Engines that need nothing installed: this process, or worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import c_bool
from itertools import cycle, islice
from typing import Any

import cv2

from mildbench.device import gpu_count
from mildbench.errors import UserError
from mildbench.executors.base import Executor, Spec, Work, tell_of_stopping
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
        stopping = context.RawValue(c_bool, False)  # no lock that a killed worker may leave shut
        pool = ProcessPoolExecutor(self.workers, context, _start_worker, (gpus, stopping))
        waiting: set[Future[Any]] = set()
        left = iter(specs)
        try:
            # One shard more than it is working on for each worker: none waits for this process.
            with one_thread_each():  # the first `submit` starts all workers
                waiting = {pool.submit(_do, work, spec) for spec in islice(left, 2 * self.workers)}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(_do, work, spec) for spec in islice(left, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process was killed (out of memory?): what is done is kept; "
                "run the same command again, with fewer --workers if memory is short"
            ) from None
        finally:
            workers = list((pool._processes or {}).values())
            stopping.value = True
            if any(not future.done() for future in waiting):
                tell_of_stopping()
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


_stopping: c_bool
"""In a worker, shared with all: no shard may begin."""


def _start_worker(gpus: Any, stopping: c_bool) -> None:
    global _stopping
    _stopping = stopping
    if gpus is not None:
        os.environ[GPUS] = gpus.get()  # before torch looks for any
    cv2.setNumThreads(1)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it lets shards in flight finish
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _do(work: Work, spec: Spec) -> Any:
    """In a worker: a pool hands out more than one shard a worker, and takes none back."""
    return None if _stopping.value else work(spec)


def _end_with_parent() -> None:
    """A pool's worker would wait for ever, and keep its memory, after its parent was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
