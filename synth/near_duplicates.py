"""Pictures that are nearly the same, which must not be in two splits: a perceptual hash and a fast search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import cv2
import numpy as np

from synth import exact

DISTANCE = 4
"""Hashes that differ in at most so many of their 64 bits are called near-duplicates."""
BANDS = DISTANCE + 1


def difference_hash(image: np.ndarray) -> int:
    """64 bits that survive scaling, compression and small colour changes (dHash, Krawetz 2013).

    Bit (row, column) says whether brightness rises from one of 9x8 cells to its right neighbour.

    Args:
        image: uint8[H, W, 3].
    """
    cells = exact.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8))
    rises = cells[:, 1:] > cells[:, :-1]
    return int.from_bytes(np.packbits(rises).tobytes(), "big")


def alike(hashes: Mapping[str, int]) -> list[list[str]]:
    """Names of pictures whose hashes are near, directly or through others, in lists of two or more, sorted.

    Of 5 bands of bits, two hashes that differ in 4 bits share at least one: only those that share a band are
    compared, so the search does not grow with the square of the pictures.
    """
    buckets: dict[tuple[int, int], list[str]] = defaultdict(list)
    width = -(-64 // BANDS)
    first: dict[str, str] = {}  # of those found alike; a forest whose roots come first

    def root(name: str) -> str:
        while name in first:
            name = first[name]
        return name

    for name in sorted(hashes):
        for band in range(BANDS):
            bits = (hashes[name] >> (band * width)) & ((1 << width) - 1)
            bucket = buckets[band, bits]
            for other in bucket:
                if (hashes[other] ^ hashes[name]).bit_count() <= DISTANCE:
                    low, high = sorted((root(other), root(name)))
                    if low != high:
                        first[high] = low
            bucket.append(name)
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(hashes):
        found[root(name)].append(name)
    return [names for names in found.values() if len(names) > 1]
