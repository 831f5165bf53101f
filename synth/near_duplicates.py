"""Pictures that are nearly the same and must not be in two splits: a perceptual hash and a fast search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

DISTANCE = 4
"""Hashes that differ in at most so many of their 64 bits are called near-duplicates."""
BANDS = DISTANCE + 1


@dataclass(frozen=True, order=True)
class Hashed:
    """One source picture that a data set uses."""

    role: str
    """`background` or `person`."""
    file: str
    split: str
    hash: int


def difference_hash(image: np.ndarray) -> int:
    """64 bits that survive scaling, compression and small colour changes (dHash, Krawetz 2013).

    Bit (row, column) says whether brightness rises from one of 9x8 cells to its right neighbour.

    Args:
        image: uint8[H, W, 3], or [H, W, 4] with straight alpha, laid on mid grey.
    """
    grey: np.ndarray = cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32)
    if image.shape[2] == 4:
        alpha = image[..., 3].astype(np.float32) / 255
        grey = alpha * grey + (1 - alpha) * 128
    cells = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    rises = cells[:, 1:] > cells[:, :-1]
    return int.from_bytes(np.packbits(rises).tobytes(), "big")


def across_splits(pictures: Iterable[Hashed]) -> list[tuple[Hashed, Hashed]]:
    """Pairs of one role, of different files in different splits, whose hashes are near.

    Of 5 bands of bits, two hashes that differ in 4 bits share at least one: only those that share a band are
    compared, so the search does not grow with the square of the pictures.
    """
    buckets: dict[tuple[str, int, int], list[Hashed]] = defaultdict(list)
    width = -(-64 // BANDS)
    pairs = set()
    for picture in sorted(set(pictures)):
        for band in range(BANDS):
            bits = (picture.hash >> (band * width)) & ((1 << width) - 1)
            bucket = buckets[picture.role, band, bits]
            for other in bucket:
                different = other.split != picture.split and other.file != picture.file
                if different and (other.hash ^ picture.hash).bit_count() <= DISTANCE:
                    pairs.add((other, picture))
            bucket.append(picture)
    return sorted(pairs)
