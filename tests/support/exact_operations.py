"""Digests of what each exact operation makes of the same numbers; as a program, it prints them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator

import numpy as np

from synth import exact_math, gamma
from synth.embedded import fixed_point


def operations() -> Iterator[tuple[str, np.ndarray]]:
    """The name and the output of each operation."""
    # Whole numbers are drawn: a generator's normal numbers use the C library's functions.
    rng = np.random.default_rng(3)
    double = rng.integers(-(2**40), 2**40, (20011, 3)) / 2**36
    for kind in (np.float64, np.float32):
        x, y, z = double.T.astype(kind)
        label = np.dtype(kind).name
        yield f"exp {label}", exact_math.exp(x)
        yield f"log {label}", exact_math.log(np.abs(x) + kind(1e-6))
        yield f"log2 {label}", exact_math.log2(np.abs(x) + kind(1e-6))
        yield f"power {label}", exact_math.power(np.abs(x), np.abs(y))
        yield f"sin {label}", exact_math.sin(x * 100)
        yield f"cos {label}", exact_math.cos(x * 100)
        yield f"arctan2 {label}", exact_math.arctan2(x, y)
        yield f"hypot {label}", exact_math.hypot(x, y)
        points = np.stack([x, y, z], 1)
        yield f"norm {label}", exact_math.norm(points)
        yield f"dot {label}", exact_math.dot(points, points[::-1])
        yield f"product {label}", exact_math.product(points, points[:3])
    image = rng.integers(0, 2**24, (97, 131, 3)).astype(np.float32) / np.float32(2**24)
    yield "on_grid", fixed_point.on_grid(image, 14)
    yield "blur", fixed_point.blur(image, 1.3)
    yield "blur down", fixed_point.blur(image, 0.7, 2.2)
    yield "blur tiled", fixed_point.blur(image[..., 0], 2.2, tiled=True)
    yield "wide_blur", fixed_point.wide_blur(image, 9.0)
    yield "shrink", fixed_point.shrink(image, 3)
    yield "resample", fixed_point.resample(image, (200, 61))
    yield "to_linear", gamma.to_linear(image)
    yield "to_display", gamma.to_display(image)


def digests() -> list[list[str]]:
    """Name and digest of each operation's output."""
    return [[name, hashlib.sha256(output.tobytes()).hexdigest()[:16]] for name, output in operations()]


if __name__ == "__main__":
    for pair in digests():
        sys.stdout.write(json.dumps(pair) + "\n")
