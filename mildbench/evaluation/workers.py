"""Who scores batches: threads, each with a batch of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

Keep = Callable[[], None]
"""The end of a batch's work, which only the calling thread may do: it touches what all batches share."""


class Workers:
    """Batches under way, at most one more than there are threads."""

    def __init__(self, pool: Executor, count: int) -> None:
        self._pool = pool
        self._most = count + 1
        self._waiting: deque[Future[Keep]] = deque()

    def start(self, function: Callable[[Any], Keep], batch: Any) -> None:
        """Run `function(batch)` in a thread; what it returns is called by this one, in order."""
        self._waiting.append(self._pool.submit(function, batch))
        if len(self._waiting) >= self._most:
            self._waiting.popleft().result()()

    def finish(self) -> None:
        """Wait for every batch."""
        while self._waiting:
            self._waiting.popleft().result()()


@contextmanager
def workers_for(device: str, count: int) -> Iterator[Workers]:
    """One thread for a GPU, `count` of them on a CPU.

    On a CPU a batch has one thread, and batches run side by side. The other way round (torch's default) each
    of many small operations waits for the slower core: beside other work that took ten times as long.
    """
    if device != "cpu":
        with ThreadPoolExecutor(1) as pool:
            yield Workers(pool, 1)
        return
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield Workers(pool, count)
    finally:
        torch.set_num_threads(before)
