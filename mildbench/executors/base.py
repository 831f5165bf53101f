"""What an engine is.

Work is cut into shards, each a pure function of a JSON spec, so any engine, any number of workers and any
restart give the same bytes. An engine only decides where the function runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        """Yield `work(spec)` for every spec as it completes, in any order.

        Specs are drawn as they are needed, so that millions of them need no memory. An exception of one shard
        stops the run, and so does closing the iterator (Ctrl-C): what is done stays done.

        Raises:
            UserError: the engine cannot be reached, or lost a worker for good.
        """


EXECUTORS: Registry[Executor] = Registry("executor", "executors", Executor)
