"""The one door for pictures: what comes in is what a viewer shows, or one clear line."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from mildbench.errors import UserError
from mildbench.images import decode_labels, decode_rgb, decode_rgba, read_thumbnail
from mildbench.listing import list_pictures, sample_id, stem_of


def smooth(height: int = 24, width: int = 36, channels: int = 3) -> np.ndarray:
    """Compresses well, and is different in every corner."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (3, 4, channels), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_exif_says(orientation: int, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    data = saved(Image.fromarray(smooth()), kind, exif=exif(orientation), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    found = decode_rgb(data, "picture")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_cutouts_and_labels_are_turned_alike(orientation: int) -> None:
    rgba = smooth(channels=4)
    data = saved(Image.fromarray(rgba), "PNG", exif=exif(orientation))
    assert np.array_equal(
        decode_rgba(data, "cut-out"), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    )
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = saved(Image.fromarray(labels), "PNG", exif=exif(orientation))
    assert np.array_equal(
        decode_labels(data, "labels"), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    )


def test_an_orientation_after_the_pixels_counts() -> None:
    data = saved(Image.fromarray(smooth()), "PNG", exif=exif(6))
    start = data.index(b"eXIf") - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4])]
    end = data.index(b"IEND") - 4
    late = data[:start] + data[start + len(chunk) : end] + chunk + data[end:]
    assert np.array_equal(decode_rgb(late, "picture"), decode_rgb(data, "picture"))


def test_broken_exif_leaves_the_picture_as_it_is_stored() -> None:
    data = saved(Image.fromarray(smooth()), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_rgb(data, "picture").shape == (24, 36, 3)


def test_plain_pictures_are_what_opencv_reads() -> None:
    for kind, options in (("JPEG", {"quality": 90}), ("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})):
        for image in (Image.fromarray(smooth()), Image.fromarray(smooth()[..., 0])):
            data = saved(image, kind, **options)
            expected = cv2.cvtColor(
                cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
            )
            assert np.array_equal(decode_rgb(data, "picture"), expected)


def test_hidden_colours_are_never_shown() -> None:
    rgba = smooth(channels=4)
    rgba[..., 3] = 0
    rgba[:, 10:20, 3] = 255
    rgba[:, 20:30, 3] = 128
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})):
        found = decode_rgb(saved(Image.fromarray(rgba), kind, **options), "picture")
        assert (found[:, :10] == 255).all()
        assert np.array_equal(found[:, 10:20], rgba[:, 10:20, :3])
        half = rgba[:, 20:30, :3] * (128 / 255) + 127
        assert np.abs(found[:, 20:30] - half).max() <= 1
    grey = Image.fromarray(rgba[..., 0]).convert("LA")
    grey.putalpha(Image.fromarray(rgba[..., 3]))
    found = decode_rgb(saved(grey, "PNG"), "picture")
    assert (found[:, :10] == 255).all()
    assert np.array_equal(found[:, 10:20], np.repeat(rgba[:, 10:20, :1], 3, axis=2))
    keyed = Image.fromarray(np.uint8([[[9, 9, 9], [200, 0, 0]]]))
    assert decode_rgb(saved(keyed, "PNG", transparency=(9, 9, 9)), "x").tolist() == [[[255] * 3, [200, 0, 0]]]


def test_palettes_are_colours_in_pictures_and_indices_in_label_maps() -> None:
    index = np.array([[0, 1, 2], [3, 4, 0]], dtype=np.uint8)
    raw = Image.frombytes("P", (3, 2), index.tobytes())
    raw.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 128, 128, 128] + [0] * 753)
    data = saved(raw, "PNG")
    assert np.array_equal(decode_labels(data, "labels"), index)
    assert decode_rgb(data, "picture")[0].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    cut = decode_rgba(saved(raw, "PNG", transparency=0), "cut-out")
    assert (cut[..., 3] == np.where(index == 0, 0, 255)).all()
    assert cut[0, 1].tolist() == [128, 0, 0, 255]
    with pytest.raises(UserError, match="has no alpha channel"):
        decode_rgba(data, "cut-out")


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_labels_of_few_bits_are_not_spread(depth: int) -> None:
    labels = (np.arange(40, dtype=np.uint8) % 2**depth).reshape(5, 8)
    assert np.array_equal(decode_labels(_png_of_bits(labels, depth), "labels"), labels)


def _png_of_bits(values: np.ndarray, depth: int) -> bytes:
    """A grey PNG with `depth` bits a pixel, which Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :].reshape(len(values), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_colours_are_no_labels() -> None:
    colours = np.zeros((4, 4, 3), np.uint8)
    colours[1, 1] = (128, 0, 0)
    with pytest.raises(UserError, match=r"labels x is a colour picture, and colours are no labels"):
        decode_labels(saved(Image.fromarray(colours), "PNG"), "labels x")
    grey = np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4, 1), 3, axis=2)
    assert np.array_equal(decode_labels(saved(Image.fromarray(grey), "PNG"), "x"), grey[..., 0])
    opaque = np.dstack((grey, np.full((4, 4), 255, np.uint8)))
    assert np.array_equal(decode_labels(saved(Image.fromarray(opaque), "PNG"), "x"), grey[..., 0])
    with pytest.raises(UserError, match="stored with losses"):
        decode_labels(saved(Image.fromarray(grey), "JPEG"), "x")


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.linspace(0, 65535, 48, dtype=np.uint16).reshape(6, 8)
    data = cv2.imencode(".png", deep)[1].tobytes()
    assert np.abs(decode_rgb(data, "x")[..., 0] - deep / 257).max() <= 0.51
    colour = np.dstack((deep, deep // 2, deep // 3))
    found = decode_rgb(cv2.imencode(".png", colour)[1].tobytes(), "x")
    assert np.abs(found[..., ::-1] - colour / 257).max() <= 0.51
    assert np.abs(decode_rgb(saved(Image.fromarray(deep), "TIFF"), "x")[..., 0] - deep / 257).max() <= 0.51
    small = np.array([[0, 1, 255]], dtype=np.uint16)
    assert decode_labels(cv2.imencode(".png", small)[1].tobytes(), "x").tolist() == [[0, 1, 255]]
    with pytest.raises(UserError, match="labels up to 65535"):
        decode_labels(data, "x")


def test_cmyk_is_shown_as_colours() -> None:
    picture = Image.fromarray(smooth()).convert("CMYK")
    expected = np.asarray(picture.convert("RGB")).astype(int)
    for kind, options in (("JPEG", {"quality": 98}), ("TIFF", {})):
        found = decode_rgb(saved(picture, kind, **options), "x")
        assert np.abs(found - expected).mean() < 3


def _profile(gamma: float) -> bytes:
    """A profile with sRGB's colours and another tone curve, from the primaries that are built in."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    return bytes(profile) if gamma == 0 else _with_curve(bytes(profile), gamma)


def _with_curve(profile: bytes, gamma: float) -> bytes:
    count = int.from_bytes(profile[128:132])
    changed = bytearray(profile)
    for place in range(132, 132 + 12 * count, 12):
        if profile[place : place + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            start = int.from_bytes(profile[place + 4 : place + 8])
            curve = b"curv\0\0\0\0" + (1).to_bytes(4) + round(gamma * 256).to_bytes(2) + b"\0\0"
            changed[start : start + len(curve)] = curve
            changed[place + 8 : place + 12] = (14).to_bytes(4)
    return bytes(changed)


def test_profiles_are_converted_to_srgb_and_srgb_is_left_alone() -> None:
    image = Image.fromarray(smooth())
    plain = saved(image, "PNG")
    assert np.array_equal(
        decode_rgb(saved(image, "PNG", icc_profile=_profile(0)), "x"), decode_rgb(plain, "x")
    )
    linear = _profile(1.0)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        options = {"quality": 98} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
        found = decode_rgb(saved(image, kind, icc_profile=linear, **options), "x").astype(int)
        # sRGB's curve by its formula.
        light = smooth() / 255
        expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
        assert np.abs(found - expected).mean() < (3 if kind == "JPEG" else 1)
    for broken in (b"no profile", linear[:200]):
        assert np.array_equal(
            decode_rgb(saved(image, "PNG", icc_profile=broken), "x"), decode_rgb(plain, "x")
        )
    # A grey picture with a profile of colours, as some scanners write it.
    grey = Image.fromarray(smooth()[..., 0])
    lifted = decode_rgb(saved(grey, "PNG", icc_profile=linear), "x")
    assert lifted.mean() > decode_rgb(saved(grey, "PNG"), "x").mean() + 5


def _animated(kind: str) -> bytes:
    frames = [Image.fromarray(np.full((8, 8, 3), 60 * k, np.uint8)) for k in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _animated("GIF"), "several frames"),
        (lambda: _animated("WEBP"), "several frames"),
        (lambda: _animated("PNG"), "several frames"),
        (lambda: _animated("TIFF"), "several frames"),
        (lambda: saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "32-bit numbers"),
        (lambda: saved(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF"), "32-bit numbers"),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is HEIC, which cannot be read here: convert it"),
        (lambda: _cut("JPEG"), "is cut off: copy or download it again"),
        (lambda: _cut("JPEG", progressive=True), "is cut off"),
        (lambda: _cut("JPEG", rest=b"\0"), "is cut off"),
        (lambda: _cut("JPEG", rest=b"\0", progressive=True), "is cut off"),
        (lambda: _cut("PNG"), "is cut off"),
        (lambda: _cut("BMP"), "is cut off"),
        (lambda: _cut("WEBP"), "cannot be read"),
        (lambda: b"II*\0 not much of a TIFF", "cannot be read"),
    ],
)
@pytest.mark.parametrize("decode", [decode_rgb, decode_rgba, decode_labels])
def test_what_cannot_be_read_is_said_in_one_line(
    make: Callable[[], bytes], message: str, decode: Callable[[bytes, str], np.ndarray]
) -> None:
    data = make()
    if decode is decode_labels and data.startswith(b"\xff\xd8"):
        message = "stored with losses"  # which is said first
    with pytest.raises(UserError, match=message) as error:
        decode(data, "picture x")
    assert str(error.value).startswith("picture x")
    assert "\n" not in str(error.value)


def _cut(kind: str, rest: bytes = b"", **options: Any) -> bytes:
    """A file of which the last third never came, or is all one byte, as where its place was made first."""
    data = saved(Image.fromarray(smooth(96, 128)), kind, **options)
    there = len(data) * 2 // 3
    return data[:there] + rest * (len(data) - there)


@pytest.mark.parametrize("behind", [bytes(4096), b"a camera's own words" + bytes(4096), b"\n"])
def test_what_stands_behind_a_whole_jpeg_does_not_matter(behind: bytes) -> None:
    whole = saved(Image.fromarray(smooth()), "JPEG")
    assert np.array_equal(decode_rgb(whole + behind, "x"), np.array(Image.open(io.BytesIO(whole))))


def test_a_phone_s_further_pictures_are_left_alone() -> None:
    frames = [Image.fromarray(smooth()), Image.fromarray(255 - smooth())]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert np.abs(decode_rgb(data, "x").astype(int) - smooth()).mean() < 8


def test_still_pictures_of_moving_kinds_are_read() -> None:
    for kind in ("GIF", "WEBP", "TIFF"):
        assert decode_rgb(saved(Image.fromarray(smooth()), kind), "x").shape == (24, 36, 3)


def test_a_thumbnail_looks_like_its_picture(tmp_path: Path) -> None:
    image = Image.fromarray(smooth(400, 640))
    for name, options in (("a.jpg", {}), ("b.png", {}), ("c.gif", {}), ("d.jpg", {"exif": exif(6)})):
        image.save(tmp_path / name, **options)
        small = read_thumbnail(tmp_path / name)
        whole = decode_rgb((tmp_path / name).read_bytes(), name)
        expected = cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert small.shape[:2] == (whole.shape[0] // 8, whole.shape[1] // 8)
        assert np.abs(small.astype(int) - expected).mean() < 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_large_picture_under_little_memory_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(_png_of_bits(np.zeros((13_000, 13_000), np.uint8), 1))
    code = (
        "import resource, sys; from pathlib import Path; from mildbench.images import read_rgb\n"
        "from mildbench.errors import UserError\n"
        "import cv2; cv2.setNumThreads(1)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 250_000_000, resource.RLIM_INFINITY))\n"
        "try: read_rgb(Path(sys.argv[1]))\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert "large.png" in done.stdout, done.stderr
    assert "memory" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_folders_are_listed_without_what_systems_leave_behind(tmp_path: Path) -> None:
    tmp_path, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    tmp_path.mkdir()
    elsewhere.mkdir()
    for name in (
        "b.JPG",
        "a.Png",
        "c.jpeg",
        "._a.Png",
        ".DS_Store",
        "Thumbs.db",
        "notes.txt",
        ".hidden/x.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "a.png").write_bytes(b"")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.webp").write_bytes(b"")
    (tmp_path / "linked").symlink_to(tmp_path / "below")
    (tmp_path / "below" / "above").symlink_to(tmp_path.parent)
    (elsewhere / "deep").mkdir()
    (elsewhere / "deep" / "e.tif").write_bytes(b"")
    (tmp_path / "other disk").symlink_to(elsewhere)
    flat, deep = list_pictures(tmp_path), list_pictures(tmp_path, deep=True)
    assert [path.name for path in flat.pictures] == ["a.Png", "b.JPG", "c.jpeg"]
    assert flat.others == 4
    assert [path.name for path in deep.pictures] == ["a.Png", "b.JPG", "d.webp", "c.jpeg", "e.tif"]
    assert deep.others == 6


def test_a_folder_that_may_not_be_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"")
    readable = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self.name == "shut":
            raise PermissionError(13, "Permission denied", str(self))
        return readable(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert list_pictures(tmp_path, deep=True).pictures == [tmp_path / "open" / "a.png"]
    with pytest.raises(PermissionError):
        list_pictures(tmp_path / "shut", deep=True)


def test_ids_keep_letters_of_any_script() -> None:
    assert sample_id("img 1.v2") == "img_1_v2"
    assert sample_id("人物写真-3") == "人物写真-3"
    assert sample_id("cafe\u0301") == sample_id("caf\u00e9") == "caf\u00e9"
    assert stem_of(Path("cafe\u0301.png")) == "caf\u00e9"
