"""A cache with a budget of bytes, which keeps what would take longest to make again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, is_dataclass
from heapq import heappop, heappush
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

MEGABYTE = 2**20


@dataclass
class _Item:
    value: Any
    size: int
    worth: float
    """Seconds it took to make, per byte."""
    rank: tuple[float, int] = (0.0, 0)


class Cache:
    """Values by key, made when they are first asked for; the least worth keeping go when room is needed.

    GreedyDual-Size (Cao and Irani, "Cost-Aware WWW Proxy Caching Algorithms", USITS 1997). An item is worth the
    seconds that it took to make per byte that it takes up; each use lifts it that far above the level at which
    items go, and the level rises to the rank of whatever went last. So a rendering of a second outlives a photo
    that is read in ten milliseconds, yet what nobody asks for goes in the end; among equals it is the least
    recently used that goes.

    Args:
        budget: bytes that may be held; the last value made is held even where it alone is more.
        clock: seconds.
    """

    def __init__(self, budget: int, clock: Callable[[], float] = perf_counter) -> None:
        self._budget = budget
        self._clock = clock
        self._items: dict[Hashable, _Item] = {}
        self._order: list[tuple[tuple[float, int], Hashable]] = []
        """A heap. An item that was used since it was put here is sorted in anew when its turn comes."""
        self._level = 0.0
        self._uses = 0
        self.held = 0
        """Bytes of what is kept (see `size_of`)."""

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, from `make` where it is not kept; what `make` raises is raised each time."""
        if key in self._items:
            item = self._items[key]
            self._lift(item)
            return item.value
        start = self._clock()
        value = make()
        seconds, size = self._clock() - start, size_of(value)
        while self._items and self.held + size > self._budget:
            self._drop_one()
        item = self._items[key] = _Item(value, size, seconds / max(size, 1))
        self.held += size
        self._lift(item)
        heappush(self._order, (item.rank, key))
        return value

    def _lift(self, item: _Item) -> None:
        self._uses += 1
        item.rank = (self._level + item.worth, self._uses)

    def _drop_one(self) -> None:
        """Drop the item of the lowest rank, or find out that it has risen."""
        rank, key = heappop(self._order)
        item = self._items[key]
        if item.rank > rank:
            heappush(self._order, (item.rank, key))
            return
        del self._items[key]
        self.held -= item.size
        self._level = rank[0]


def size_of(value: object) -> int:
    """Bytes of an array or a file, or of those that a dataclass holds; other values count as nothing.

    A dataclass that will hold more than it does now says so by a property `nbytes`, as an array has.
    """
    if isinstance(value, bytes):
        return len(value)
    if (own := getattr(value, "nbytes", None)) is not None:
        return int(own)
    return sum(map(size_of, vars(value).values())) if is_dataclass(value) else 0
