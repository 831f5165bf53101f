"""What an engine is.

Work is cut into shards, each a pure function of a JSON spec, so any engine, any number of workers and any
restart give the same bytes. An engine only decides where the function runs.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mildbench.device import gpu_count
from mildbench.errors import UserError
from mildbench.progress import tell
from mildbench.registry import Registry

Spec = dict[str, Any]
"""A shard's JSON value: all that its work depends on."""
Work = Callable[[Spec], Any]
"""What is done to a shard; it can be pickled. A worker keeps what it has loaded for one shard until the next."""


class Executor(ABC):
    """An engine.

    Args:
        workers: how many shards run at a time.
        gpu: each worker needs a GPU, which torch is to call `cuda`.
    """

    def __init__(self, workers: int, *, gpu: bool = False) -> None:
        if workers < 1:
            raise UserError(f"--workers {workers} is not positive: give at least 1")
        self.workers = workers
        self.gpu = gpu

    @abstractmethod
    def run(self, work: Work, specs: Iterable[Spec]) -> Iterator[Any]:
        """Yield `work(spec)` for every spec as it completes, in any order.

        Specs are drawn as they are needed, so that millions of them need no memory. An exception of one shard
        stops the run, and so does closing the iterator (Ctrl-C): no other shard begins, what is done stays done.

        Raises:
            UserError: the engine cannot be reached, or lost a worker for good.
        """


def tell_of_stopping() -> None:
    """Said where a run is stopped whose shards in flight finish, once it is sure that no other begins."""
    tell("finishing the shards in flight; Ctrl-C again stops at once", show=True)


EXECUTORS: Registry[Executor] = Registry("executor", "executors", Executor)


def engine(name: str | None, workers: int | None = None, device: str = "cpu") -> Executor:
    """An engine by name.

    Args:
        name: one of `EXECUTORS`; None for `serial`, or `process` where several workers are asked for.
        workers: None for as many as this machine has cores, or GPUs where they are to use these.
        device: what workers compute on: cpu, cuda or cuda:N.

    Raises:
        UserError: an unknown name, a missing package, a bad number, several workers for `serial`, and for one GPU by
            number.
    """
    several = workers not in (None, 1)
    name = name or ("process" if several else "serial")
    kind = EXECUTORS.load(name)
    if name == "serial":
        if several:
            raise UserError(
                f"executor 'serial' has one worker, not {workers}: say --executor process, or leave it out"
            )
        return kind(1)
    if ":" in device:
        raise UserError(
            f"device {device!r} is one GPU, executor {name!r} has a worker for each: say --device cuda, or "
            "--executor serial"
        )
    gpu = device == "cuda"
    usual = gpu_count() if gpu else os.cpu_count()
    return kind(workers if workers is not None else usual or 1, gpu=gpu)
