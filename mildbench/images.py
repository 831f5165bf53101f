"""Image files in and out: RGB uint8 at every boundary.

The one door by which pictures, cut-outs and label maps come in (`mildbench.masks` is that of masks). All are turned
as EXIF says. Pictures are what a viewer shows: sRGB, whatever their profile, depth or palette says, and white where
they are transparent. A label map's values are its stored ones. What cannot be read so is refused in one line.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import deflate
import numpy as np

from mildbench import decoding
from mildbench.errors import UserError
from mildbench.files import write_bytes
from mildbench.scene import over

_SMALLEST_THUMBNAIL = 32
"""Pixels of the shorter side."""
_COLOUR_TYPES: dict[tuple[int, ...], int] = {(): 0, (3,): 2, (4,): 6}
"""PNG's colour type by an array's shape beyond height and width."""


def read_rgb(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 3], RGB, as a viewer shows the picture. Raises `UserError` when it cannot be read."""
    return decode_rgb(read_file(path, what), f"{what} {path}")


def read_thumbnail(path: Path, what: str = "image") -> np.ndarray:
    """uint8[h, w, 3]: an eighth of the picture's size, or all of it when small; JPEG is decoded at that size.

    To look at many pictures, not to use them: transparency and colour profiles are not minded. Raises `UserError` as
    `read_rgb` does.
    """
    data, what = read_file(path, what), f"{what} {path}"
    with decoding.within_memory(what):
        opened = decoding.open_picture(data, what)
        if opened.plain and min(opened.stored_size) >= 8 * _SMALLEST_THUMBNAIL:
            small = decoding.decode_stored(opened, cv2.IMREAD_REDUCED_COLOR_8)
            return opened.turn(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    pixels = decode_rgb(data, what)
    if min(pixels.shape[:2]) < 8 * _SMALLEST_THUMBNAIL:
        return pixels
    return cv2.resize(pixels, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)


def read_rgba(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 4], RGBA with straight alpha. Raises `UserError` for a file without an alpha channel."""
    return decode_rgba(read_file(path, what), f"{what} {path}")


def read_labels(path: Path, what: str = "mask") -> np.ndarray:
    """uint8[H, W]: one label a pixel, as stored; of a palette its index. Raises `UserError` where there is none."""
    return decode_labels(read_file(path, what), f"{what} {path}")


def decode_rgb(data: bytes, what: str) -> np.ndarray:
    """`read_rgb` of a file's bytes; `what` names the picture in errors."""
    return decode_on_white(data, what)[0]


def decode_on_white(data: bytes, what: str) -> tuple[np.ndarray, bool]:
    """`decode_rgb`, and whether anything of the picture is transparent: viewers show it on white."""
    with decoding.within_memory(what):
        pixels = decoding.shown(decoding.open_picture(data, what))
        if pixels.shape[2] == 3:
            return pixels, False
        colours, alpha = np.ascontiguousarray(pixels[..., :3]), pixels[..., 3]
        if alpha.min() == 255:
            return colours, False
        canvas = np.full_like(colours, 255)
        over(canvas, colours, alpha)
        return canvas, True


def decode_rgba(data: bytes, what: str) -> np.ndarray:
    """`read_rgba` of a file's bytes; `what` names the picture in errors."""
    with decoding.within_memory(what):
        pixels = decoding.shown(decoding.open_picture(data, what))
        if pixels.shape[2] == 3:
            raise UserError(f"{what} has no alpha channel: give an RGBA picture")
        return pixels


def decode_labels(data: bytes, what: str) -> np.ndarray:
    """`read_labels` of a file's bytes; `what` names the picture in errors."""
    with decoding.within_memory(what):
        opened = decoding.open_picture(data, what)
        if opened.lossy:
            raise UserError(f"{what} is stored with losses, so its labels are not exact: give a PNG file")
        values, _ = decoding.samples(opened)
        if values.ndim == 3:
            raise UserError(
                f"{what} is a colour picture, and colours are no labels: give a grey or palette one"
            )
        if values.dtype != np.uint8:
            if values.max() > 255:
                raise UserError(f"{what} has labels up to {values.max()}: at most 255 can be read")
            values = values.astype(np.uint8)
        return values


def read_file(path: Path, what: str) -> bytes:
    """A file's content; raises `UserError` for one that is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{what} not found: {path}") from None
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from None


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


def _chunk(kind: bytes, data: bytes | bytearray) -> bytes:
    checksum = deflate.crc32(data, deflate.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Lossy bytes of uint8[H, W, 3] RGB as a JPEG file (4:2:0); `quality` 1..100."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise ValueError(f"cannot encode {pixels.dtype}{list(pixels.shape)} as JPEG")
    return data.tobytes()


def encode_webp(pixels: np.ndarray, quality: int) -> bytes:
    """Lossy bytes of uint8[H, W, 3] RGB as a WebP file; `quality` 1..100."""
    settings = [cv2.IMWRITE_WEBP_QUALITY, quality]
    done, data = cv2.imencode(".webp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise ValueError(f"cannot encode {pixels.dtype}{list(pixels.shape)} as WebP")
    return data.tobytes()


def write_png(path: Path, pixels: np.ndarray) -> str:
    """Write losslessly and atomically; returns the sha256 of the file."""
    return write_bytes(path, encode_png(pixels))
