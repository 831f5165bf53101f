"""Photo files in and out: colours in the photo's own space, and what a camera wrote kept, but for what must not stay.

A result has the colour profile and the EXIF of its photo. Not kept: the orientation (the pixels are turned), the
embedded thumbnail, XMP, the maker's notes and what programs added (in TIFF files previews, layers, IPTC), which may
all hold a picture or a name of whoever was erased.
"""

from __future__ import annotations

import io
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms, JpegImagePlugin

from mildbench import decoding
from mildbench.errors import UserError, did_you_mean
from mildbench.files import write_bytes
from mildbench.images import decode_rgb, encode_png, read_file

MADE_BY = "mildbench erase"
"""Written into every result, so that nothing else is ever overwritten."""
Kind = Literal["png", "same"]
KINDS: tuple[Kind, ...] = ("png", "same")

_EXIF, _GPS = 0x8769, 0x8825
_WIDTH, _HEIGHT, _MAKERS_NOTE = 0xA002, 0xA003, 0x927C
_KEPT = frozenset(
    (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298)
)
"""Tags of the main part that are kept: description, maker and model of the camera, resolution and its unit, software,
date, artist, computer, rating (two), copyright."""
_HEADER = 33
"""Bytes of a PNG file up to the end of IHDR."""


def kind_of(name: str) -> Kind:
    """The kind of that name; raises `UserError` for an unknown one."""
    for known in KINDS:
        if known == name:
            return known
    raise UserError(f"--format {name!r}: {did_you_mean(name, KINDS)}")


@dataclass(frozen=True, eq=False)
class PhotoFile:
    """A photo as it was read."""

    path: Path
    pixels: np.ndarray
    """uint8[H, W, 3], RGB in the space of `profile`, turned as the photo is shown."""
    profile: bytes | None
    """ICC; None for sRGB."""
    exif: bytes | None
    """What of it is kept, as a block that begins with `Exif`; the size is that of `pixels`."""
    jpeg: dict[str, Any] | None
    """Of a JPEG file: how strongly it is compressed, as Pillow's encoder takes it."""
    lost: tuple[str, ...]
    """What of the photo no result has, wherever it is, in words."""

    @classmethod
    def read(cls, path: Path) -> PhotoFile:
        """Raises `UserError` for what cannot be read."""
        what = f"photo {path}"
        data = read_file(path, "photo")
        with decoding.within_memory(what):
            opened = decoding.open_picture(data, what)
            image = opened.image
            profile = image.info.get("icc_profile")
            plain = image.mode == "RGB" and opened.png_depth in (0, 8)
            own = profile is not None and plain and _is_rgb(profile)
            if own and "transparency" not in image.info:
                pixels = opened.turn(np.array(decoding.load(opened)))
            else:  # in another space than RGB: shown as a viewer does, in sRGB
                pixels, profile = decode_rgb(data, what), None
            lost = []
            if (
                image.has_transparency_data
                and (alpha := decoding.samples(opened)[1]) is not None
                and alpha.min() < 255
            ):
                lost.append("its transparency: what was transparent is white")
            if decoding.has_sixteen_bits(opened):
                lost.append("its 16 bits a channel: 8 are left")
        return cls(path, pixels, profile, _kept_exif(image, pixels), _compression(image), tuple(lost))

    @staticmethod
    def suffix(path: Path, kind: Kind) -> str:
        """Of the result of the photo `path`: `png` is lossless, `same` is JPEG for a JPEG photo."""
        if kind == "png":
            return ".png"
        try:
            with Image.open(path) as image:
                return ".jpg" if isinstance(image, JpegImagePlugin.JpegImageFile) else ".png"
        except Exception:  # missing or broken: told when it is read
            return ".png"

    def write(self, path: Path, pixels: np.ndarray) -> None:
        """Write a result, uint8[H, W, 3] in the photo's space, with what is kept of the photo; atomically.

        As JPEG with the photo's own quantisation tables and subsampling, so that it is as fine as the photo was.
        """
        check_free([path])
        if path.suffix == ".jpg":
            file = io.BytesIO()
            facts = {"icc_profile": self.profile, "exif": self.exif or b"", "comment": MADE_BY.encode()}
            Image.fromarray(pixels).save(file, "JPEG", **(self.jpeg or {}), **facts)
            write_bytes(path, file.getvalue())
            return
        write_bytes(path, _with_chunks(encode_png(pixels), self.profile, self.exif))


def write_panel(path: Path, pixels: np.ndarray) -> None:
    """Write a picture of our own, atomically, over nothing that is not ours."""
    check_free([path])
    write_bytes(path, _with_chunks(encode_png(pixels), None, None))


def check_outputs(outputs: Sequence[Path], inputs: Iterable[Path]) -> None:
    """Raises `UserError` where one output would take the place of an input, another output, or a file not ours."""
    given = {path.resolve(): path for path in inputs}
    taken: dict[str, Path] = {}
    for path in outputs:
        if (photo := given.get(path.resolve())) is not None:
            raise UserError(f"the result would overwrite {photo}: choose another folder with --out")
        # Names that differ in case or Unicode form alone are one file on some systems.
        name = unicodedata.normalize("NFC", str(path)).casefold()
        if name in taken:
            raise UserError(f"two results would share the name {path}: run these photos apart")
        taken[name] = path
    check_free(outputs)


def check_free(paths: Iterable[Path]) -> None:
    """Raises `UserError` for a path where something lies that no earlier run made."""
    for path in paths:
        if path.exists() and not _is_ours(path):
            raise UserError(
                f"{path} is there already, and not a result of {MADE_BY}: choose another folder with --out"
            )


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            mark = image.info.get("Software") or image.info.get("comment")
    except Exception:  # whatever else it is
        return False
    return mark in (MADE_BY, MADE_BY.encode())


def _is_rgb(profile: bytes) -> bool:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip() == "RGB"
    except (ImageCms.PyCMSError, OSError):
        return False


def _kept_exif(image: Image.Image, pixels: np.ndarray) -> bytes | None:
    try:
        found = image.getexif()
        kept = Image.Exif()
        for tag, value in found.items():
            if tag in _KEPT:
                kept[tag] = value
        for part in (_EXIF, _GPS):
            if inner := dict(found.get_ifd(part)):
                inner.pop(_MAKERS_NOTE, None)
                if part == _EXIF and _WIDTH in inner:
                    inner[_WIDTH], inner[_HEIGHT] = pixels.shape[1], pixels.shape[0]
                kept.get_ifd(part).update(inner)
        return kept.tobytes() if found else None
    except Exception:  # broken EXIF, of which there are as many kinds as cameras: nothing to keep
        return None


def _compression(image: Image.Image) -> dict[str, Any] | None:
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return None
    tables = [list(table) for _, table in sorted(image.quantization.items())]
    sampling = JpegImagePlugin.get_sampling(image)
    # A grey photo has one table and no subsampling; its result may have colours.
    return {"qtables": (tables * 2)[: max(2, len(tables))], "subsampling": max(sampling, 0)}


def _with_chunks(png: bytes, profile: bytes | None, exif: bytes | None) -> bytes:
    """The PNG file with what belongs behind its header."""
    chunks = [_chunk(b"tEXt", b"Software\0" + MADE_BY.encode())]
    if profile is not None:
        chunks.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if exif is not None:
        chunks.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    return png[:_HEADER] + b"".join(chunks) + png[_HEADER:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
