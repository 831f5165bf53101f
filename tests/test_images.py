"""Pictures in: what is broken, too large or of the wrong kind is said before it does harm."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hostile import png
from PIL import Image

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
def test_a_decompression_bomb_is_refused_by_its_header(
    tmp_path: Path,
    data: bytes,
    read: Callable[[Path], np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", None)  # nobody asks for a pixel
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(UserError, match=r"bomb.png has more than 178956970 pixels; refused"):
        read(path)


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


@pytest.mark.parametrize("shape", [(1, 1), (6, 9), (1, 5, 3), (7, 4, 3), (5, 1, 4), (40, 30, 4)])
def test_png_files_hold_what_went_in_for_other_readers(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    for pixels in (rng.integers(0, 256, shape, dtype=np.uint8), np.zeros(shape, np.uint8)):
        for layout in (pixels, pixels[::-1, ::-1]):  # and where the rows do not follow each other in memory
            data = encode_png(layout)
            with Image.open(io.BytesIO(data)) as picture:
                assert np.array_equal(np.asarray(picture), layout)
            found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            assert found.shape == shape[:2] if len(shape) == 2 else found.shape == shape
            with Image.open(io.BytesIO(data)) as picture:
                picture.verify()  # checksums


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_png_cannot_hold_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot encode"):
        encode_png(pixels)


def test_the_bytes_of_a_png_are_a_function_of_its_pixels() -> None:
    """Wherever in memory they are encoded: ISA-L hashes a stream's first bytes with the address of its stack."""
    across = np.arange(165) - 80.0
    shadow = (200 * np.exp(-((across / 25) ** 2) - ((np.arange(72)[:, None] - 36) / 12) ** 2)).astype(
        np.uint8
    )
    found: set[bytes] = set()
    together = threading.Barrier(256)

    def encode() -> None:
        together.wait()  # all stacks are there at once, so each has its own address
        found.add(encode_png(shadow))
        together.wait()

    before = threading.stack_size(1 << 18)
    threads = [threading.Thread(target=encode) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    threading.stack_size(before)
    for thread in threads:
        thread.join()
    assert len(found) == 1
