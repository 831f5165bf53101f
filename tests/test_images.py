"""Pictures in: what is broken, too large or of the wrong kind is said before it does harm."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hostile import png

from mildbench.errors import UserError
from mildbench.images import decode_rgb, encode_png, read_labels, read_rgb, read_rgba


def jpeg(width: int, height: int) -> bytes:
    """A JPEG file whose header claims a size."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("data", [png(60_000, 60_000), png(20_000, 10_000), jpeg(65_000, 65_000)])
@pytest.mark.parametrize("read", [read_rgb, read_rgba, read_labels])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, data: bytes, read) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    start = time.perf_counter()
    with pytest.raises(UserError, match=r"bomb.png has more than 178956970 pixels; refused"):
        read(path)
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x89PNG\r\n\x1a\n", png(4, 4)[:40], jpeg(8, 8)[:100]])
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"image .*x.png cannot be read"):
        read_rgb(path)
    with pytest.raises(UserError, match="image not found"):
        read_rgb(tmp_path / "y.png")


def test_encoding_is_lossless() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode_rgb(encode_png(picture), "picture"), picture)
