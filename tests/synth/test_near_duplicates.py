"""Near-duplicates are found whatever was done to them, and different pictures are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mildbench.images import read_rgb
from synth.near_duplicates import DISTANCE, Hashed, across_splits, difference_hash


def test_a_picture_scaled_compressed_and_brightened_keeps_its_hash(testdata: Path) -> None:
    hashes = []
    for path in sorted((testdata / "backgrounds" / "sun_hays80").iterdir())[:20]:
        image = read_rgb(path)
        _, data = cv2.imencode(".jpg", cv2.resize(image, (300, 200), interpolation=cv2.INTER_AREA))
        changed = cv2.convertScaleAbs(cv2.imdecode(data, cv2.IMREAD_COLOR), alpha=1.05, beta=3)
        assert (difference_hash(image) ^ difference_hash(changed)).bit_count() <= DISTANCE
        hashes.append(difference_hash(image))
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > DISTANCE


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2**64 - 1)), max_size=8), st.integers(0, 10**6)
)
def test_the_search_finds_what_brute_force_finds(items: list[tuple[str, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = []
    for number, (split, value) in enumerate(items):
        pictures.append(Hashed("background", f"{number}", split, value))
        flips = sum(1 << int(bit) for bit in rng.choice(64, int(rng.integers(0, 7)), replace=False))
        pictures.append(Hashed("background", f"{number}'", "b" if split == "a" else "a", value ^ flips))
    expected = {
        frozenset((a.file, b.file))
        for i, a in enumerate(pictures)
        for b in pictures[:i]
        if a.split != b.split and (a.hash ^ b.hash).bit_count() <= DISTANCE
    }
    assert {frozenset((a.file, b.file)) for a, b in across_splits(pictures)} == expected
