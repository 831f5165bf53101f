"""Reading ahead: the next items are on their way while one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    pool: Executor, read: Callable[[Item], Result], items: Iterable[Item], depth: int
) -> Iterator[Result]:
    """`map(read, items)`, in order, with at most `depth` results in memory or on their way."""
    source = iter(items)
    waiting = [pool.submit(read, item) for item in islice(source, depth)]
    while waiting:
        result = waiting.pop(0).result()
        waiting.extend(pool.submit(read, item) for item in islice(source, 1))
        yield result
