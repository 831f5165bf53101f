"""Photo files: what is kept of a photo, what is not, and that nothing of the user's is overwritten."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_line import invoke
from PIL import Image, ImageCms, ImageOps

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.photofile import MADE_BY, PhotoFile, check_free, check_outputs, write_panel

WIDE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, MAKE, EXIF, TAKEN, MAKERS_NOTE, WIDTH = 0x0112, 0x010F, 0x8769, 0x9003, 0x927C, 0xA002
RATING = 0x4746


def photo(path: Path, **options: Any) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def exif(orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION], block[MAKE] = orientation, "Camera"
    block.get_ifd(EXIF).update({TAKEN: "2020:02:02 10:00:00", MAKERS_NOTE: b"secret", WIDTH: 64})
    return block


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("kind", ["png", "same"])
def test_profile_and_exif_are_kept_and_pixels_are_the_photos(tmp_path: Path, suffix: str, kind: Any) -> None:
    path = tmp_path / f"me{suffix}"
    photo(path, icc_profile=WIDE, exif=exif(6).tobytes(), quality=90)
    file = PhotoFile.read(path)
    shown = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    np.testing.assert_array_equal(file.pixels, shown)
    result = tmp_path / f"out{PhotoFile.suffix(path, kind)}"
    file.write(result, file.pixels)
    with Image.open(result) as made:
        assert made.format == ("JPEG" if kind == "same" and suffix == ".jpg" else "PNG")
        assert made.info["icc_profile"] == WIDE
        block = made.getexif()
        assert block[MAKE] == "Camera"
        assert block.get(ORIENTATION, 1) == 1, "the pixels are turned already"
        inner = block.get_ifd(EXIF)
        assert inner[TAKEN] == "2020:02:02 10:00:00"
        assert MAKERS_NOTE not in inner
        assert inner[WIDTH] == made.width == 40
    off = np.abs(read_rgb(result).astype(int) - shown)
    assert (
        off.max() == 0 if made.format == "PNG" else off.mean() < 12
    )  # noise is the hardest thing to compress


def with_thumbnail(thumbnail: bytes) -> bytes:
    """An EXIF block as cameras write it: the thumbnail in a second directory behind the first."""

    def directory(entries: list[tuple[int, int]], following: int) -> bytes:
        rows = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries]
        return struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", following)

    first = directory([(RATING, 4)], 8 + 18)
    second = directory([(0x0201, 8 + 18 + 30), (0x0202, len(thumbnail))], 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + thumbnail


def test_no_thumbnail_and_no_name_of_who_was_there_stays(tmp_path: Path) -> None:
    small = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(small, "JPEG")
    path = tmp_path / "me.jpg"
    photo(path, exif=with_thumbnail(small.getvalue()), xmp=b"<x:xmpmeta>Jane Doe</x:xmpmeta>")
    assert small.getvalue() in path.read_bytes()
    for kind in ("png", "same"):
        result = tmp_path / f"{kind}{PhotoFile.suffix(path, kind)}"
        file = PhotoFile.read(path)
        file.write(result, file.pixels)
        content = result.read_bytes()
        assert b"Jane Doe" not in content
        assert small.getvalue() not in content
        assert Image.open(result).getexif()[RATING] == 4


def test_what_programs_put_into_a_tiff_does_not_stay(tmp_path: Path) -> None:
    """Photoshop's resources hold a preview, its layers and IPTC more; the file's own structure is not the result's."""
    path = tmp_path / "me.tif"
    added = {34377: b"8BIM a preview", 37724: b"Adobe layers", 33723: b"Jane Doe", 0xC634: b"a maker's note"}
    photo(path, tiffinfo=added | {MAKE: "Camera"}, compression="tiff_lzw")
    file = PhotoFile.read(path)
    for name in ("out.png", "out.jpg"):
        file.write(tmp_path / name, file.pixels)
        assert dict(Image.open(tmp_path / name).getexif()) == {MAKE: "Camera"}
        assert not [value for value in added.values() if value in (tmp_path / name).read_bytes()]


def test_a_jpeg_is_compressed_as_the_photo_was(tmp_path: Path) -> None:
    path = tmp_path / "me.jpg"
    photo(path, quality=35, subsampling="4:2:2")
    file = PhotoFile.read(path)
    file.write(tmp_path / "out.jpg", file.pixels)
    with Image.open(path) as before, Image.open(tmp_path / "out.jpg") as after:
        assert after.quantization == before.quantization
    grey = tmp_path / "grey.jpg"
    Image.new("L", (32, 32), 90).save(grey)
    file = PhotoFile.read(grey)
    file.write(tmp_path / "grey-out.jpg", file.pixels)
    assert read_rgb(tmp_path / "grey-out.jpg").shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_other_colour_spaces_are_shown_in_srgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "me.tif"
    Image.new("RGB", (20, 10), (200, 100, 50)).convert(mode).save(path, icc_profile=WIDE)
    file = PhotoFile.read(path)
    assert file.profile is None
    np.testing.assert_array_equal(file.pixels, read_rgb(path))


def test_what_no_result_has_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = photo(tmp_path / "plain.png")
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    Image.fromarray(np.dstack((pixels, alpha))).save(tmp_path / "opaque.png")
    alpha[:8] = 90
    Image.fromarray(np.dstack((pixels, alpha))).save(tmp_path / "clear.png")
    cv2.imwrite(str(tmp_path / "deep.png"), pixels.astype(np.uint16) * 257)
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[8:16, 16:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    told = {"plain": "", "opaque": "", "clear": "lost are its transparency", "deep": "lost are its 16 bits"}
    for name, words in told.items():
        given = ["erase", tmp_path / f"{name}.png", "--people", tmp_path / "mask.png", "--method", "telea"]
        assert invoke(*given, "--out", tmp_path / "out") == 0
        said = capsys.readouterr().err
        assert words in said if words else not said
    Image.fromarray(mask * 0).save(tmp_path / "mask.png")
    assert invoke(*given, "--out", tmp_path / "empty") == 0
    assert "nobody is marked" in capsys.readouterr().err


def test_broken_exif_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "me.jpg"
    photo(path, exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    file = PhotoFile.read(path)
    file.write(tmp_path / "out.png", file.pixels)
    assert read_rgb(tmp_path / "out.png").shape == (40, 64, 3)


def test_nothing_is_overwritten_but_earlier_results(tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    pixels = photo(path)
    with pytest.raises(UserError, match=r"would overwrite .*me.png: choose another folder"):
        check_outputs([path], [path])
    with pytest.raises(UserError, match=f"is there already, and not a result of {MADE_BY}"):
        check_free([path])
    (tmp_path / "notes.png").write_text("my notes")
    for write in (
        lambda: write_panel(path, pixels),
        lambda: PhotoFile.read(path).write(tmp_path / "notes.png", pixels),
    ):
        with pytest.raises(UserError, match="is there already"):
            write()
    for name in ("made.png", "made.jpg"):
        PhotoFile.read(path).write(tmp_path / name, pixels)
        PhotoFile.read(path).write(tmp_path / name, pixels)
    check_outputs([tmp_path / "made.png"], [path])
    with pytest.raises(UserError, match="would overwrite"):  # a result that is a photo now
        check_outputs([tmp_path / "made.png"], [tmp_path / "made.png"])


def test_results_of_one_run_do_not_share_a_name(tmp_path: Path) -> None:
    """`q.png` has the panel `q.panel.png`, and so may be the result of a photo of that name."""
    names = ("q.png", "q.panel.png")
    with pytest.raises(UserError, match="two results would share the name"):
        check_outputs([tmp_path / name for name in (*names, "q.panel.png")], [])
    with pytest.raises(UserError, match="two results would share the name"):
        check_outputs([tmp_path / "e\u0301.png", tmp_path / "\u00c9.png"], [])


@pytest.mark.parametrize(
    ("invert", "said", "reason"),
    [(False, "", ""), (True, "mark all around the picture's border", ""), (None, "", "all of me would go")],
)
def test_a_mask_that_marks_what_stays_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    invert: bool | None,
    said: str,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = photo(Path("me.png"))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[8:32, 16:48] = 255
    Image.fromarray(np.full_like(mask, 255) if invert is None else 255 - mask if invert else mask).save(
        "m.png"
    )
    code = invoke("erase", "me.png", "--people", "m.png", "--method", "telea", "--device", "cpu")
    told = capsys.readouterr().err
    assert code == (2 if reason else 0)
    assert (said or reason) in told
    assert bool(told) == bool(said or reason)


def test_a_photo_that_cannot_be_erased_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = photo(Path("a.png"))
    Path("b.png").write_bytes(b"no picture")
    photo(Path("c.png"))
    Path("d.png").mkdir()
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[8:32, 16:48] = 255
    Image.fromarray(mask).save("m.png")
    names = ("a.png", "b.png", "c.png", "d.png")
    assert invoke("erase", *names, "--people", "m.png", "--method", "telea", "--device", "cpu") == 2
    told = capsys.readouterr().err
    assert "mildbench: photo b.png cannot be read" in told
    assert "mildbench: photo d.png cannot be read: Is a directory" in told
    assert "2 of 4 photos could not be erased: why is said above; the others are done" in told
    assert [Path("erased", name).exists() for name in names] == [True, False, True, False]
    assert invoke("erase", *names[1::2], "--people", "m.png", "--method", "telea", "--device", "cpu") == 2
    assert "the others" not in capsys.readouterr().err


def test_a_folder_called_like_an_annotator_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("me.png"))
    for name in ("auto", "litert", "mine"):
        Path(name).mkdir()
        assert invoke("erase", "me.png", "--people", name, "--method", "none", "--device", "cpu") == 2
        told = capsys.readouterr().err
        assert ("is a folder" in told) is (name == "mine")
        assert ("unknown method 'none'" in told) is (name != "mine")


def test_a_mask_that_is_not_there_is_no_annotator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("me.png"))
    assert invoke("erase", "me.png", "--people", "none.png", "--method", "telea", "--device", "cpu") == 2
    assert capsys.readouterr().err == "mildbench: mask not found: none.png\n"
