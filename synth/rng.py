"""Counter-based randomness: a generator for any name, with no state shared between samples or workers."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(*key: object) -> np.random.Generator:
    """A Philox generator keyed by the sha256 of `key`: equal keys give equal streams, in any process."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def unit(*key: object) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:6], "little") / 2**48
