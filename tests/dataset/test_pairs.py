"""Importing pairs: all or nothing, every mistake named, and what can be asked of them."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from command_line import invoke
from typer.testing import CliRunner

from mildbench.cli.import_pairs import app
from mildbench.dataset import Dataset, card
from mildbench.dataset.export import exporter
from mildbench.dataset.pairfiles import Folder, find_pairs
from mildbench.dataset.pairs import About, import_pairs, looks_inverted
from mildbench.dataset.schema import DatasetInfo
from mildbench.dataset.validate import steps, validate
from mildbench.errors import UserError
from mildbench.evaluation.runner import evaluate
from mildbench.images import read_rgb, write_png
from mildbench.method import MethodSpec
from mildbench.public import PUBLIC


def quiet(count: int) -> None:
    pass


ABOUT = About("theirs", "CC0-1.0", "Pairs of theirs.")


def take(root: Path, out: Path, **patterns: str) -> DatasetInfo:
    folders = (Folder(role, root / role, (patterns.get(role, "*"),)) for role in ("input", "mask", "truth"))
    return import_pairs(find_pairs(*folders), out, ABOUT, advance=quiet)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Three pairs of different sizes, masks of different kinds, and a file that is no picture."""
    rng = np.random.default_rng(5)
    root = tmp_path / "theirs"
    for number, size in enumerate([(20, 30), (24, 24), (16, 40)]):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        truth = image.copy()
        truth[4:9, 5:10] = 0
        mask = np.zeros(size, np.uint8)
        mask[4:9, 5:10] = (128, 255, 255)[number]
        write_png(root / "input" / f"photo {number}.v2.png", image)
        write_png(root / "truth" / f"photo {number}.v2.png", truth)
        red = np.stack([mask, 0 * mask, 0 * mask, np.full_like(mask, 255)], axis=2)
        write_png(root / "mask" / f"photo {number}.v2.png", red if number == 2 else mask)
    (root / "input" / "LICENSE").write_text("free")
    return root


def test_pairs_are_stored_losslessly_and_can_be_asked_for(theirs: Path, tmp_path: Path) -> None:
    info = take(theirs, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert (info.source, info.samples, info.people) == ("pairs", {"test": 3}, {})
    ids = dataset.task_ids("erase-all", "test")
    assert ids == [f"photo_{n}_v2" for n in range(3)]
    for number, name in enumerate(ids):
        triplet = dataset.triplet("erase-all", name)
        assert np.array_equal(triplet.image, read_rgb(theirs / "input" / f"photo {number}.v2.png"))
        assert np.array_equal(triplet.truth, read_rgb(theirs / "truth" / f"photo {number}.v2.png"))
        assert triplet.people is None
        assert triplet.overlap is None
        assert triplet.mask.sum() == 25
        assert triplet.mask[4:9, 5:10].all()
    assert len(found := list(validate(dataset))) == steps(dataset)
    assert not any(found)


def test_what_needs_people_says_so(theirs: Path, tmp_path: Path) -> None:
    take(theirs, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    message = "people are unknown in an imported data set"
    for ask in (
        lambda: dataset.task_ids("erase-one", "test"),
        lambda: dataset.triplet("erase-one", "photo_0_v2-p1"),
        lambda: dataset.scene("photo_0_v2"),
        lambda: exporter("coco")(dataset, tmp_path / "coco", quiet),
    ):
        with pytest.raises(UserError, match=message):
            ask()
    with pytest.raises(UserError, match="did you mean 'erase-all'"):
        dataset.task_ids("erase-al", "test")


@pytest.mark.parametrize("mask", ["person", "box", "scribble"])
def test_pairs_have_one_mask_to_show(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], mask: str
) -> None:
    take(theirs, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.triplet("erase-all", "photo_0_v2", mask="footprint").shown is None
    with pytest.raises(UserError, match=f"one mask a picture.*leave out --mask {mask}"):
        dataset.triplet("erase-all", "photo_0_v2", mask=mask)
    capsys.readouterr()
    for command in (
        (
            "evaluate",
            "--method",
            "copy",
            "--device",
            "cpu",
            "--dataset",
            tmp_path / "out",
            "--out",
            tmp_path / "runs",
        ),
        ("export", tmp_path / "out", "--to", "triplets", "--out", tmp_path / "given"),
    ):
        assert invoke(*command, "--mask", mask) == 2
        assert "one mask a picture" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "given").exists()


@pytest.mark.parametrize("target", ["webdataset", "huggingface"])
def test_pairs_can_be_exported(theirs: Path, tmp_path: Path, target: str) -> None:
    take(theirs, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    exporter(target)(dataset, tmp_path / "export", quiet)
    if target == "webdataset":
        tars = Dataset.open(tmp_path / "export")
        assert not any(validate(tars))
        for name in dataset.task_ids("erase-all", "test"):
            ours, theirs_again = (source.triplet("erase-all", name) for source in (dataset, tars))
            assert np.array_equal(ours.image, theirs_again.image)
            assert np.array_equal(ours.mask, theirs_again.mask)


def test_names_are_matched_by_pattern(theirs: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    for role, name in (("input", "in_{}.png"), ("mask", "{}_mask.png"), ("truth", "{}.png")):
        for number in range(3):
            (one / role).mkdir(parents=True, exist_ok=True)
            source = theirs / role / f"photo {number}.v2.png"
            shutil.copy(source, one / role / name.format(number))
    (one / "mask" / "other.png").write_bytes(b"does not fit the pattern")
    info = take(one, tmp_path / "out", input="in_*", mask="*_mask")
    assert info.samples == {"test": 3}
    with pytest.raises(UserError, match="needs exactly one"):
        take(one, tmp_path / "out2", input="in_")
    for role in ("input", "mask", "truth"):
        (tmp_path / "none" / role).mkdir(parents=True)
    with pytest.raises(UserError, match="no pictures with a stem like"):
        take(tmp_path / "none", tmp_path / "out2")


def write(path: Path, data: bytes | np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data) if isinstance(data, bytes) else cv2.imwrite(str(path), data)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda r: (r / "mask" / "photo 1.v2.png").unlink(),
            r"1 of 3 samples .*'photo 1.v2', has no mask in",
        ),
        (lambda r: shutil.rmtree(r / "truth"), "truth folder not found"),
        (
            lambda r: [shutil.rmtree(r / "truth"), (r / "truth").write_bytes(b"PK")],
            "truth folder .* is a file: give a folder",
        ),
        (lambda r: write(r / "truth" / "x.png", b""), r"1 of 4 samples lack .* 'x', has no input"),
        (
            lambda r: write(r / "mask" / "photo 1.v2.png", np.full((9, 9), 255)),
            r"1 of 3 pairs .*mask .*photo 1.v2.png is 9x9, its input 24x24",
        ),
        (
            lambda r: [write(r / "truth" / f"photo {n}.v2.png", np.zeros((5, 6, 3))) for n in (0, 2)],
            r"2 of 3 pairs .* the first: truth .*photo 0.v2.png is 6x5, its input 30x20",
        ),
        (
            lambda r: write(r / "mask" / "photo 2.v2.png", np.zeros((16, 40))),
            r"the mask of photo 2.v2 marks nothing \(empty\)",
        ),
        (
            lambda r: write(r / "input" / "photo 0.v2.png", b"<html>"),
            r"1 of 3 .*photo 0.v2.png cannot be read",
        ),
        (lambda r: write(r / "mask" / "photo 0.v2.jpg", np.ones((20, 30))), "are both named 'photo 0.v2'"),
        (
            lambda r: [shutil.copy(p, p.with_name("photo_0_v2.png")) for p in r.glob("*/photo 0.v2.png")],
            "would both be called 'photo_0_v2'",
        ),
    ],
)
def test_a_mistake_is_named_and_nothing_is_left(
    theirs: Path, tmp_path: Path, harm: Callable[[Path], object], message: str
) -> None:
    harm(theirs)
    with pytest.raises(UserError, match=message) as error:
        take(theirs, tmp_path / "deep" / "out")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "deep").glob("*")) if (tmp_path / "deep").exists() else True


def test_a_full_folder_is_left_alone(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        take(theirs, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_importing_twice_gives_the_same_bytes(theirs: Path, tmp_path: Path) -> None:
    assert take(theirs, tmp_path / "a").fingerprint == take(theirs, tmp_path / "b").fingerprint


def test_the_command(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = typer.Typer()
    root.add_typer(app, name="import")
    folders = ["--images", "theirs/input", "--masks", "theirs/mask", "--truth", "theirs/truth"]
    done = CliRunner().invoke(root, ["import", "pairs", *folders])
    assert done.exit_code == 0, done.output
    assert "data/theirs: 3 pairs" in done.output
    assert Dataset.open(tmp_path / "data" / "theirs").name == "theirs"


def test_groups_are_told_by_a_pattern_and_become_the_clusters(theirs: Path, tmp_path: Path) -> None:
    folders = [Folder(role, theirs / role) for role in ("input", "mask", "truth")]
    found = find_pairs(*folders, group="photo *.v#")
    assert [pair.group for pair in found.pairs] == ["0", "1", "2"]
    info = import_pairs(find_pairs(*folders, group="*#.v2"), tmp_path / "out", ABOUT, advance=quiet)
    assert info.report["groups"] == 1
    dataset = Dataset.open(tmp_path / "out")
    summary = evaluate(
        dataset,
        "erase-all",
        "test",
        [MethodSpec.parse("telea")],
        out=tmp_path / "runs",
        metrics=["psnr"],
        device="cpu",
    ).summaries[0]
    estimate = summary.estimate("psnr.mask.raw")
    # Three pictures of one camera: a mean, and no interval.
    assert (estimate.n, estimate.low, estimate.high) == (3, None, None)
    with pytest.raises(UserError, match=r"'photo 0.v2' does not fit --group 'camera\*'"):
        find_pairs(*folders, group="camera*")


def test_names_are_kept_where_they_can_be_and_told_where_not(theirs: Path, tmp_path: Path) -> None:
    names = {"photo 0.v2": "人物-1", "photo 1.v2": "人物 2", "photo 2.v2": "cafe\u0301"}
    for role in ("input", "mask", "truth"):
        for old, new in names.items():
            # One folder was copied by a Mac, another was not.
            new = unicodedata.normalize("NFD" if role == "mask" else "NFC", new)
            (theirs / role / f"{old}.png").rename(theirs / role / f"{new}.PNG")
        for junk in ("._人物-1.PNG", ".DS_Store", "Thumbs.db"):
            (theirs / role / junk).write_bytes(b"junk")
    info = take(theirs, tmp_path / "out")
    rows = list(Dataset.open(tmp_path / "out").rows(["id", "name"]))
    assert sorted(row["id"] for row in rows) == sorted(["人物-1", "人物_2", "caf\u00e9"])
    assert info.report["odd"]["ids differ from the names"] == [1, "'人物 2' is 人物_2"]
    assert info.report["skipped"] == {"files that are hidden or no pictures": 10}
    tars = tmp_path / "tars"
    exporter("webdataset")(Dataset.open(tmp_path / "out"), tars, quiet)
    assert not any(validate(Dataset.open(tars)))


def test_what_lacks_a_partner_can_be_left_out_and_is_counted(theirs: Path, tmp_path: Path) -> None:
    folders = [Folder(role, theirs / role) for role in ("input", "mask", "truth")]
    (theirs / "mask" / "photo 1.v2.png").unlink()
    write(theirs / "mask" / "photo 2.v2.png", np.zeros((16, 40)))
    found = find_pairs(*folders, skip_incomplete=True)
    info = import_pairs(found, tmp_path / "out", ABOUT, skip_empty=True, advance=quiet)
    assert info.samples == {"test": 1}
    assert info.report["skipped"] == {
        "without mask": 1,
        "files that are hidden or no pictures": 1,
        "with an empty mask": 1,
    }
    assert info.sources[0].rejected == info.report["skipped"]
    write(theirs / "mask" / "photo 0.v2.png", np.zeros((20, 30)))
    with pytest.raises(UserError, match="every mask is empty: nothing was imported"):
        import_pairs(
            find_pairs(*folders, skip_incomplete=True), tmp_path / "o", ABOUT, skip_empty=True, advance=quiet
        )


def test_several_masks_of_one_picture_are_several_samples_of_one_group(theirs: Path, tmp_path: Path) -> None:
    for number in range(3):
        source = theirs / "mask" / f"photo {number}.v2.png"
        shutil.copy(source, theirs / "input" / f"photo {number}.v2_mask001.png")
    shutil.copy(source, theirs / "input" / "photo 2.v2_mask002.png")
    found = find_pairs(
        Folder("input", theirs / "input"),
        Folder("mask", theirs / "input", ("*_mask#",)),
        Folder("truth", theirs / "truth"),
    )
    assert [pair.name for pair in found.pairs] == [
        "photo 0.v2",
        "photo 1.v2",
        "photo 2.v2_001",
        "photo 2.v2_002",
    ]
    assert [pair.group for pair in found.pairs] == [None, None, "photo 2.v2", "photo 2.v2"]


def test_masks_and_truths_that_belong_to_others_are_remarked_on(theirs: Path, tmp_path: Path) -> None:
    mask = np.zeros_like(read_rgb(theirs / "mask" / "photo 0.v2.png")[..., 0])
    mask[-5:, -5:] = 255
    write_png(theirs / "mask" / "photo 0.v2.png", mask)
    truth = read_rgb(theirs / "truth" / "photo 1.v2.png")
    write_png(theirs / "truth" / "photo 1.v2.png", np.where(truth > 127, 0, 255).astype(np.uint8))
    odd = take(theirs, tmp_path / "out").report["odd"]
    assert odd["masks mark hardly anything that differs from the truth"] == [1, "photo 0.v2"]
    assert odd["truths differ from the input over most of what is not marked"] == [1, "photo 1.v2"]


def test_what_is_transparent_is_remarked_on(theirs: Path, tmp_path: Path) -> None:
    for role in ("input", "truth"):
        for number, alpha in ((0, 0), (1, 255)):
            file = theirs / role / f"photo {number}.v2.png"
            pixels = read_rgb(file)
            plane = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            plane[:2] = alpha
            write_png(file, np.dstack((pixels, plane)))
    odd = take(theirs, tmp_path / "out").report["odd"]
    words = "are transparent in places, and were made white there"
    told = {what: which for what, which in odd.items() if what.endswith(words)}
    assert told == {f"{role}s {words}": [1, "photo 0.v2"] for role in ("input", "truth")}


def test_what_is_odd_is_counted_and_said(theirs: Path, tmp_path: Path) -> None:
    write(theirs / "mask" / "photo 1.v2.png", np.full((24, 24), 255, np.uint8))
    shutil.copy(theirs / "input" / "photo 2.v2.png", theirs / "truth" / "photo 2.v2.png")
    info = take(theirs, tmp_path / "out")
    assert info.report["odd"]["masks mark over 90% of the picture"] == [1, "photo 1.v2"]
    assert info.report["odd"]["inputs are identical with their truth"] == [1, "photo 2.v2"]
    said = card.import_remarks(info)
    assert "1 masks mark over 90% of the picture; the first: photo 1.v2" in said
    assert all(line in (tmp_path / "out" / "README.md").read_text() for line in said)


@pytest.mark.parametrize("noise", [0, 4])
def test_only_inverted_masks_look_inverted(noise: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(60, 120, (40, 50, 3), dtype=np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[10:20, 10:30] = True
    image = np.clip(truth + rng.normal(0, noise, truth.shape), 0, 255).astype(np.uint8)
    image[mask] += 100
    shadow = image.copy()
    shadow[20:34, 10:40] //= 2
    small = mask & (np.arange(50) < 14)
    for seen in (image, shadow):
        assert not looks_inverted(seen, truth, mask)
        assert not looks_inverted(seen, truth, small)
        assert looks_inverted(seen, truth, ~mask)
    assert not looks_inverted(truth, truth, mask)
    assert not looks_inverted(truth, truth, ~mask)


def test_a_public_benchmark_is_imported_and_scored(testdata: Path, tmp_path: Path) -> None:
    root = testdata / "smarteraser_examples"
    if not root.is_dir():
        pytest.skip(f"no {root}")
    known = PUBLIC["smarteraser"]
    import_pairs(known.find(known, root, None), tmp_path / "data", known.about, advance=quiet)
    dataset = Dataset.open(tmp_path / "data")
    methods = [MethodSpec.parse(name) for name in ("copy", "oracle", "telea")]
    copy, oracle, telea = evaluate(
        dataset, "erase-all", "test", methods, out=tmp_path / "runs", metrics=["psnr"], device="cpu"
    ).summaries

    column = "psnr.mask.raw"
    values = [summary.estimate(column).value for summary in (copy, telea, oracle)]
    assert copy.samples == oracle.samples == 3
    assert values == sorted(values)
    assert values[2] == float("inf")
