"""A picture file's bytes: what its header says, and its pixels as a viewer shows them.

Nearly every file is a plain one (8-bit RGB or grey, sRGB, whole), which OpenCV decodes fastest. What its header calls
anything else (a palette, CMYK, 16 bits, a colour profile, transparency by a key, a cut-off end) goes through Pillow.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageCms

from mildbench.errors import UserError

MAX_PIXELS = 178_956_970
"""Larger pictures are refused as decompression bombs (Pillow's error limit)."""
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the limit is kept here

_ORIENTATION = 0x0112
"""EXIF's tag: 1 to 8."""
_METADATA = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
"""Where Pillow finds it."""
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: cv2.flip(a, 1),
    3: lambda a: cv2.rotate(a, cv2.ROTATE_180),
    4: lambda a: cv2.flip(a, 0),
    5: cv2.transpose,
    6: lambda a: cv2.rotate(a, cv2.ROTATE_90_CLOCKWISE),
    7: lambda a: cv2.rotate(cv2.transpose(a), cv2.ROTATE_180),
    8: lambda a: cv2.rotate(a, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""Orientation -> from stored to shown pixels."""
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
"""Markers of JPEG."""
_ALREADY_SRGB = 1
"""Levels by which a profile may move any colour and still be taken for sRGB."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture whose header has been read; nothing is decoded yet."""

    data: bytes
    what: str
    """Names it in errors."""
    image: Image.Image
    orientation: int
    """1 to 8, as EXIF has it."""

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the stored pixels, before turning."""
        return self.image.size

    @property
    def turned(self) -> bool:
        """The orientation swaps width and height."""
        return self.orientation >= 5

    @property
    def png_depth(self) -> int:
        """Bits a sample in a PNG file; 0 in another."""
        return self.data[24] if self.image.format == "PNG" else 0

    @property
    def lossy(self) -> bool:
        """Stored values are near what was meant, not equal to it."""
        if self.image.format == "WEBP":
            return b"VP8 " in self.data[:4096]
        return self.image.format in ("JPEG", "MPO", "AVIF")

    @property
    def plain(self) -> bool:
        """OpenCV's decoder gives the stored samples, 8 bits each, and the file is whole."""
        image = self.image
        if "transparency" in image.info:
            return False
        if image.format in ("JPEG", "MPO"):
            return image.mode in ("L", "RGB") and self.data.endswith(_END_OF_IMAGE)
        if image.format == "PNG":
            return image.mode in ("L", "RGB", "RGBA") and self.png_depth == 8 and b"IEND" in self.data[-16:]
        return image.format == "WEBP" and image.mode in ("RGB", "RGBA")

    def turn(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels [H, W, ...] of any dtype, from stored to shown; sides may change places."""
        turn = _TURNS.get(self.orientation)
        return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def open_picture(data: bytes, what: str) -> Opened:
    """Read the header; raises `UserError` for what is no picture, too large, animated, or of a kind without reader."""
    try:
        # The header alone: a small file can hold a picture that fills the memory before anyone looks at its size.
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        raise UserError(f"{what} has more than {MAX_PIXELS} pixels; refused") from None
    except Exception:  # Pillow's parsers raise whatever a broken header makes them stumble over
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
            raise UserError(f"{what} is HEIC, which cannot be read here: convert it to JPEG or PNG") from None
        raise _unreadable(what) from None
    if image.width * image.height > MAX_PIXELS:
        raise UserError(f"{what} has more than {MAX_PIXELS} pixels; refused")
    # A phone's JPEG may carry further pictures (MPO: depth, the other eye); the first is the photo.
    if image.format != "MPO" and _frames(image) > 1:
        raise UserError(f"{what} has several frames or pages: give a file with one picture")
    return Opened(data, what, image, _orientation(image, data))


def decode_stored(opened: Opened, flags: int) -> np.ndarray:
    """OpenCV's pixels of a plain picture, as stored (not turned): shape, order and dtype are those of `flags`.

    Raises `UserError` when it is broken.
    """
    pixels = cv2.imdecode(np.frombuffer(opened.data, dtype=np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise _unreadable(opened.what)
    return pixels


def load(opened: Opened) -> Image.Image:
    """Pillow's decoded picture, as stored. Raises `UserError` when it is cut off or broken."""
    cut_off = f"{opened.what} is cut off: copy or download it again"
    try:
        opened.image.load()
    except MemoryError:
        raise
    except Exception as error:  # as above
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise UserError(cut_off) from None
        raise _unreadable(opened.what) from None
    if opened.image.format in ("JPEG", "MPO") and _ends_in_nothing(opened.data):
        raise UserError(cut_off)
    return opened.image


def _ends_in_nothing(jpeg: bytes) -> bool:
    """Zeros stand where a scan should go on, as in a download that stopped: a decoder takes them for grey blocks."""
    written = jpeg.rstrip(b"\0")
    return len(jpeg) - len(written) >= 64 and written.rfind(_END_OF_IMAGE) < written.rfind(_START_OF_SCAN)


def shown(opened: Opened) -> np.ndarray:
    """uint8[H, W, 3] sRGB or, where there is an alpha channel, [H, W, 4] with straight colours; turned as it is shown.

    Raises `UserError` for a broken picture and one without colours.
    """
    convert = _conversion(opened)
    if opened.plain and convert is None:
        if opened.image.mode != "RGBA":
            pixels = decode_stored(opened, cv2.IMREAD_COLOR)
            return opened.turn(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        pixels = decode_stored(opened, cv2.IMREAD_UNCHANGED)
        return opened.turn(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))
    image = _eight_bit(opened)
    alpha = None
    if image.mode in ("PA", "LA", "La", "RGBa", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    if convert is not None:
        source, transform = convert
        colours = ImageCms.applyTransform(image if image.mode == source else image.convert(source), transform)
        assert colours is not None
    else:
        try:
            colours = image.convert("RGB")
        except ValueError:  # a mode without a conversion
            raise UserError(f"{opened.what} is of the kind {image.mode}: convert it to PNG or JPEG") from None
    pixels = np.array(colours)
    return opened.turn(pixels if alpha is None else np.dstack((pixels, alpha)))


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Turns running out of memory over a picture into one line."""
    try:
        yield
    except MemoryError:
        pass
    except cv2.error as error:
        if error.code != cv2.Error.StsNoMem:
            raise _unreadable(what) from None
    else:
        return
    raise UserError(
        f"{what} does not fit into the memory that is left: give a smaller picture, or free memory"
    )


def samples(opened: Opened) -> tuple[np.ndarray, np.ndarray | None]:
    """What is stored, as numbers: for label maps and masks, in which a value means something. Turned as shown.

    Returns:
        The values, uint8 or uint16: [H, W] for grey pictures and for colour ones whose channels are equal, the index
        for those with a palette; else [H, W, 3] RGB. And uint8[H, W] alpha, or None where there is none.

    Raises:
        UserError: the picture is broken, or has no whole numbers up to 16 bits.
    """
    if opened.plain and opened.image.mode == "L":
        return opened.turn(decode_stored(opened, cv2.IMREAD_UNCHANGED)), None
    _refuse_numbers(opened)
    if has_sixteen_bits(opened):
        values = _sixteen_bit(opened)
        alpha = (values[..., 3] >> 8).astype(np.uint8) if values.ndim == 3 and values.shape[2] == 4 else None
        return opened.turn(_grey(values[..., :3] if values.ndim == 3 else values)), _turned(opened, alpha)
    image = load(opened)
    alpha = None
    if image.mode in ("PA", "LA", "RGBA") or "transparency" in image.info:
        alpha = np.array(image.convert("RGBA").getchannel("A"))
    if image.mode == "PA":
        image = image.convert("RGBA")  # a mode that no file is read as, but plug-ins may give
    if image.mode in ("1", "P"):
        values = np.array(image).astype(np.uint8)
    elif image.mode == "L":
        # Pillow spreads fewer bits over 0 to 255: undo it.
        values = np.array(image) // (255 // (2**opened.png_depth - 1) if 0 < opened.png_depth < 8 else 1)
    elif image.mode == "LA":
        values = np.array(image.getchannel("L"))
    else:
        values = _grey(np.array(image.convert("RGB")))
    return opened.turn(values), _turned(opened, alpha)


def palette(opened: Opened) -> np.ndarray | None:
    """uint8[N, 3], the colours of a picture's palette by index; None where it has none."""
    if opened.image.mode != "P":
        return None
    flat = np.array(load(opened).getpalette("RGB") or [], dtype=np.uint8)
    return flat.reshape(-1, 3)


def _grey(values: np.ndarray) -> np.ndarray:
    """[H, W] of [H, W, 3] whose channels are equal everywhere; others as they are."""
    if values.ndim == 2 or (values[..., :1] != values).any():
        return values
    return np.ascontiguousarray(values[..., 0])


def _turned(opened: Opened, plane: np.ndarray | None) -> np.ndarray | None:
    return None if plane is None else opened.turn(plane)


def _sixteen_bit(opened: Opened) -> np.ndarray:
    """uint16[H, W], [H, W, 3] RGB or [H, W, 4] RGBA: a picture's samples of 16 bits, as stored."""
    if opened.image.format != "PNG":  # grey alone: Pillow gives others 8 bits
        return np.array(load(opened)).astype(np.uint16)
    load(opened)  # for its checks: OpenCV takes a file that is cut off
    pixels = decode_stored(opened, cv2.IMREAD_UNCHANGED)
    orders = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(pixels, orders[pixels.shape[2]]) if pixels.ndim == 3 else pixels


def has_sixteen_bits(opened: Opened) -> bool:
    """`_sixteen_bit` gives more than 8 bits would."""
    return opened.png_depth == 16 or opened.image.mode.startswith("I;16")


def _refuse_numbers(opened: Opened) -> None:
    """Raises `UserError` for a file of measurements (32-bit numbers), which has no colours."""
    if opened.image.mode in ("I", "F") and opened.png_depth != 16:
        raise UserError(f"{opened.what} holds 32-bit numbers, not colours: convert it to 8 or 16 bits")


def _unreadable(what: str) -> UserError:
    return UserError(f"{what} cannot be read: broken, too large, or not a picture")


def _frames(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # a broken sequence; loading its first picture says more
        return 1


def _orientation(image: Image.Image, data: bytes) -> int:
    # A PNG file may have it after the pixels, where Pillow finds it only by decoding them.
    late = image.format == "PNG" and data.rfind(b"eXIf", max(0, len(data) - (1 << 16))) >= 0
    if image.format == "TIFF" or not (late or _METADATA & image.info.keys()):
        return 1  # Pillow has turned a TIFF file when it is loaded, and says the turned size
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF: viewers show such a picture as it is stored
        return 1
    return found if found in _TURNS else 1


def _eight_bit(opened: Opened) -> Image.Image:
    """Decoded, as stored, with at most 8 bits a channel."""
    _refuse_numbers(opened)
    if not has_sixteen_bits(opened):
        return load(opened)
    samples = _sixteen_bit(opened)
    return Image.fromarray(((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))


def _conversion(opened: Opened) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """The mode and the transform that take the picture to sRGB; None where it already is."""
    profile = opened.image.info.get("icc_profile")
    found = _to_srgb(bytes(profile)) if profile else None
    if found is None:
        return None
    # A profile of another colour space than the picture's is ignored, as viewers do.
    ours = {"L": "L", "LA": "L", "1": "L", "I;16": "L", "CMYK": "CMYK"}.get(opened.image.mode, "RGB")
    return found if found[0] == ours or (found[0], ours) == ("RGB", "L") else None


@lru_cache(maxsize=64)
def _to_srgb(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(opened.profile.xcolor_space.strip())
        if mode is None:
            return None
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):  # viewers ignore a broken profile
        return None
    if mode == "CMYK":
        return mode, transform
    steps = np.arange(0, 256, 17 if mode == "RGB" else 1, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*([steps] * len(mode)), indexing="ij"), axis=-1)
    colours = grid.reshape(len(steps), -1, 3) if mode == "RGB" else grid.reshape(1, -1)
    moved = ImageCms.applyTransform(Image.fromarray(colours), transform)
    assert moved is not None
    same = colours if mode == "RGB" else np.repeat(colours[..., None], 3, axis=2)
    distance = np.abs(np.asarray(moved).astype(int) - same).max()
    return None if distance <= _ALREADY_SRGB else (mode, transform)
