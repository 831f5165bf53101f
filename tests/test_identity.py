"""Identities are over contents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mildbench.identity import content_sha256, pixels_sha256


def test_a_picture_is_its_values_whatever_its_memory_layout() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    wide = np.zeros((7, 10, 3), np.uint8)
    wide[:, ::2] = pixels
    assert pixels_sha256(wide[:, ::2]) == pixels_sha256(np.asfortranarray(pixels)) == pixels_sha256(pixels)


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((4, 1), np.uint8),
        np.zeros((2, 2), np.int8),
        np.zeros((2, 2, 1), np.uint8),
        np.eye(2, dtype=np.uint8),
    ],
)
def test_another_shape_dtype_or_value_is_another_picture(other: np.ndarray) -> None:
    assert pixels_sha256(other) != pixels_sha256(np.zeros((2, 2), np.uint8))


def test_a_folder_is_its_files_with_their_names_and_not_its_card(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "weights").write_bytes(b"w")
    (tmp_path / "two" / "README.md").write_text("a card")
    assert content_sha256(tmp_path / "one") == content_sha256(tmp_path / "two")
    (tmp_path / "two" / "inner" / "weights").rename(tmp_path / "two" / "weights")
    assert content_sha256(tmp_path / "one") != content_sha256(tmp_path / "two")
