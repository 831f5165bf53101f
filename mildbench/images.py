"""Image files in and out: RGB uint8 at every boundary."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import deflate
import numpy as np
from PIL import Image

from mildbench.errors import UserError
from mildbench.files import write_bytes

MAX_PIXELS = 178_956_970
"""Larger pictures are refused as decompression bombs (Pillow's error limit)."""
_SMALLEST_THUMBNAIL = 32
"""Pixels of the shorter side."""
_COLOUR_TYPES: dict[tuple[int, ...], int] = {(): 0, (3,): 2, (4,): 6}
"""PNG's colour type by an array's shape beyond height and width."""


def read_rgb(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 3], RGB, EXIF orientation applied. Raises `UserError` when it cannot be read."""
    return decode_rgb(_load(path, what), f"{what} {path}")


def read_thumbnail(path: Path, what: str = "image") -> np.ndarray:
    """uint8[h, w, 3]: an eighth of the picture's size, or all of it when small; JPEG is decoded at that size.

    To look at many pictures, not to use them. Raises `UserError` as `read_rgb` does.
    """
    data = _load(path, what)
    pixels = _decode(data, cv2.IMREAD_REDUCED_COLOR_8, f"{what} {path}")
    if min(pixels.shape[:2]) < _SMALLEST_THUMBNAIL:
        return decode_rgb(data, f"{what} {path}")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def read_rgba(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 4], RGBA with straight alpha. Raises `UserError` for a file without an alpha channel."""
    return decode_rgba(_load(path, what), f"{what} {path}")


def read_labels(path: Path, what: str = "mask") -> np.ndarray:
    """uint8[H, W]: one channel, values as stored. Raises `UserError` when it cannot be read."""
    return decode_labels(_load(path, what), f"{what} {path}")


def decode_rgb(data: bytes, what: str) -> np.ndarray:
    """`read_rgb` of a file's bytes; `what` names the picture in errors."""
    return cv2.cvtColor(_decode(data, cv2.IMREAD_COLOR, what), cv2.COLOR_BGR2RGB)


def decode_rgba(data: bytes, what: str) -> np.ndarray:
    """`read_rgba` of a file's bytes; `what` names the picture in errors."""
    pixels = _decode(data, cv2.IMREAD_UNCHANGED, what)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise UserError(f"{what} has no 8-bit alpha channel: give an RGBA picture")
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)


def decode_labels(data: bytes, what: str) -> np.ndarray:
    """`read_labels` of a file's bytes; `what` names the picture in errors."""
    pixels = _decode(data, cv2.IMREAD_UNCHANGED, what)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if pixels.dtype != np.uint8:
        raise UserError(f"{what} is {pixels.dtype}: give an 8-bit picture")
    return pixels


def _load(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{what} not found: {path}") from None


def _decode(data: bytes, flags: int, what: str) -> np.ndarray:
    unreadable = UserError(f"{what} cannot be read: broken, too large, or not a picture")
    try:
        # The header alone: a small file can hold a picture that fills the memory before anyone looks at its size.
        with Image.open(io.BytesIO(data)) as header:
            width, height = header.size
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS
    except Exception:  # Pillow's parsers raise whatever a broken header makes them stumble over
        raise unreadable from None
    if width * height > MAX_PIXELS:
        raise UserError(f"{what} has more than {MAX_PIXELS} pixels; refused")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        raise unreadable from None
    if pixels is None:
        raise unreadable
    return pixels


def encode_png(pixels: np.ndarray) -> bytes:
    """Lossless bytes of uint8[H, W], [H, W, 3] RGB or [H, W, 4] RGBA, as a PNG file (ISO/IEC 15948).

    Written out here because deflating is most of the cost: by libdeflate, photos and layers take half the time that
    OpenCV's zlib needs, and are smaller. The bytes are a function of the pixels and of the version of `deflate`, on
    every CPU. (ISA-L is faster still, but hashes one early position of a stream with the stream's own address, so the
    same pixels give other bytes in about one process of a hundred, and has other code for other CPUs.)

    Raises ValueError for an array of another kind, or an empty one.
    """
    if (
        pixels.dtype != np.uint8
        or pixels.ndim not in (2, 3)
        or pixels.shape[2:] not in _COLOUR_TYPES
        or not pixels.size
    ):
        raise ValueError(f"cannot encode {pixels.dtype}{list(pixels.shape)} as PNG")
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    scanlines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    # The filter "up", each row less the one above, is one fast subtraction, and best or near it for every part.
    scanlines[:, 0] = 2
    scanlines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=scanlines[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[pixels.shape[2:]], 0, 0, 0)
    data = deflate.zlib_compress(scanlines, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = deflate.crc32(data, deflate.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Lossy bytes of uint8[H, W, 3] RGB as a JPEG file (4:2:0); `quality` 1..100."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise ValueError(f"cannot encode {pixels.dtype}{list(pixels.shape)} as JPEG")
    return data.tobytes()


def write_png(path: Path, pixels: np.ndarray) -> str:
    """Write losslessly and atomically; returns the sha256 of the file."""
    return write_bytes(path, encode_png(pixels))
