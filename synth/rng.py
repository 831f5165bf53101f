"""Counter-based randomness: a generator for any name, with no state shared between samples or workers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def generator(*key: object) -> np.random.Generator:
    """A Philox generator keyed by the sha256 of `key`: equal keys give equal streams, in any process."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def unit(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "little") / 2**48


def weighted(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """One of the keys, drawn by weight."""
    names = list(weights)
    shares = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def shuffled(rng: np.random.Generator, pool: Sequence[T]) -> Iterator[T]:
    """The pool in random order, without making a permutation of a million entries for a handful of draws."""
    seen: set[int] = set()
    while len(seen) < len(pool):
        position = int(rng.integers(len(pool)))
        if 2 * len(seen) > len(pool):  # few are left: list them rather than draw in vain
            rest = [index for index in range(len(pool)) if index not in seen]
            yield from (pool[rest[index]] for index in rng.permutation(len(rest)))
            return
        if position not in seen:
            seen.add(position)
            yield pool[position]
