"""Image files in and out: RGB uint8 at every boundary."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mildbench.errors import UserError
from mildbench.files import write_bytes

MAX_PIXELS = 178_956_970
"""Larger pictures are refused as decompression bombs (Pillow's error limit)."""


def read_rgb(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 3], RGB, EXIF orientation applied. Raises `UserError` when it cannot be read."""
    return cv2.cvtColor(_read(path, cv2.IMREAD_COLOR, what), cv2.COLOR_BGR2RGB)


def read_rgba(path: Path, what: str = "image") -> np.ndarray:
    """uint8[H, W, 4], RGBA with straight alpha. Raises `UserError` for a file without an alpha channel."""
    pixels = _read(path, cv2.IMREAD_UNCHANGED, what)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise UserError(f"{what} {path} has no 8-bit alpha channel: give an RGBA picture")
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)


def read_labels(path: Path, what: str = "mask") -> np.ndarray:
    """uint8[H, W]: one channel, values as stored. Raises `UserError` when it cannot be read."""
    pixels = _read(path, cv2.IMREAD_UNCHANGED, what)
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    if pixels.dtype != np.uint8:
        raise UserError(f"{what} {path} is {pixels.dtype}: give an 8-bit picture")
    return pixels


def _read(path: Path, flags: int, what: str) -> np.ndarray:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise UserError(f"{what} not found: {path}") from None
    try:
        pixels = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # raised for pictures over OpenCV's own pixel limit
        pixels = None
    if pixels is None:
        raise UserError(f"{what} {path} cannot be read: broken, too large, or not a picture")
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise UserError(f"{what} {path} has more than {MAX_PIXELS} pixels; refused")
    return pixels


def encode_png(pixels: np.ndarray) -> bytes:
    """Lossless bytes of uint8[H, W], [H, W, 3] RGB or [H, W, 4] RGBA; OpenCV's default is the fastest here."""
    if pixels.ndim == 3:
        order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        pixels = cv2.cvtColor(pixels, order)
    done, data = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError(f"cannot encode {pixels.dtype}{list(pixels.shape)} as PNG")
    return data.tobytes()


def write_png(path: Path, pixels: np.ndarray) -> str:
    """Write losslessly and atomically; returns the sha256 of the file."""
    return write_bytes(path, encode_png(pixels))
