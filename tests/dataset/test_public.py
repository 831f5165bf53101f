"""Public sets by name: a small folder in each layout imports, evaluates and reports; traps are met."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mildbench.cli.import_pairs import app
from mildbench.dataset import Dataset
from mildbench.dataset.validate import validate
from mildbench.errors import UserError
from mildbench.evaluation.runner import evaluate
from mildbench.method import MethodSpec
from mildbench.public import PUBLIC
from mildbench.report import page
from mildbench.results.finished import read
from mildbench.results.scores import Scores
from mildbench.scene import over
from synth.sources.base import BACKGROUNDS, PEOPLE, open_source

CARDS = Path(__file__).resolve().parents[2] / "data_cards"
SIZE = (48, 64)
root = typer.Typer()
root.add_typer(app, name="import")


def triple(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Input, truth (uint8[H, W, 3]), mask of the object and of all that changes (bool[H, W])."""
    rng = np.random.default_rng(seed)
    truth = cv2.resize(
        rng.integers(0, 200, (4, 5, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC
    )
    mask, effect = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    top, left = rng.integers(4, 18), rng.integers(4, 30)
    mask[top : top + 16, left : left + 9] = True
    effect[top : top + 20, left : left + 14] = True
    image = truth.copy()
    image[effect] = image[effect] // 2
    image[mask] = 255 - truth[mask] // 3
    return image, truth, mask, effect


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def in_folders(
    images: str, masks: str, truths: str, effects: str = "", *, inverted: bool = False
) -> Callable[[Path], int]:
    """Writes three samples under paths with `{}` for the name; returns how many."""

    def write(folder: Path) -> int:
        for number in range(3):
            image, truth, mask, effect = triple(number)
            put(folder / images.format(f"p{number}"), image)
            put(folder / masks.format(f"p{number}"), ~mask if inverted else mask)
            put(folder / truths.format(f"p{number}"), truth)
            if effects:
                put(folder / effects.format(f"p{number}"), effect)
        return 3

    return write


def rord(folder: Path, suffix: str = "_M", *, clips: bool = True) -> int:
    for camera in ("I-210618_I01001_W01", "I-210618_I01006_W04"):
        for frame in (12, 42):
            image, truth, mask, _ = triple(frame)
            stem = f"{camera}_F{frame:04d}"
            below = Path(camera) if clips else Path()
            put(folder / "img" / below / f"{stem}.jpg", image)
            put(folder / "mask" / below / f"{stem}{suffix}.png", ~mask)
            put(folder / "gt" / below / f"{stem}.jpg", truth)
        put(folder / "img" / below / f"{camera}_F0000.jpg", truth)  # a clean frame, without partners
    return 4


def ober(folder: Path) -> int:
    def stored(pixels: np.ndarray) -> dict[str, object]:
        stream = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels).save(stream, "PNG")
        return {"bytes": stream.getvalue(), "path": "x.png"}

    rows = []
    for number in range(3):
        image, truth, mask, effect = triple(number)
        rows.append(
            {"input": stored(image), "subset": "simulated", "split": "test", "gt": stored(truth)}
            | {"object_mask": stored(mask), "object_effect_mask": stored(effect)}
        )
    (folder / "data").mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist(rows), folder / "data" / "test-00000-of-00001.parquet", row_group_size=2
    )
    return 3


def lama(folder: Path) -> int:
    for number in range(2):
        image, truth, mask, _ = triple(number)
        put(folder / f"image{number}.png", image)
        put(folder / f"image{number}_mask001.png", mask)
        put(folder.with_name("clean") / f"image{number}.png", truth)
    put(folder / "image0_mask002.png", triple(0)[3])
    return 3


def walk() -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """From the embedded world: a place, and somebody who walks through it in 8 frames; the ninth is empty.

    Returns the place (uint8[192, 256, 3]), the frames, and where the person is in each (bool[192, 256]).
    """
    places, people = open_source("mannequin:", BACKGROUNDS), open_source("mannequin:", PEOPLE)
    place = places.background(places.backgrounds()[0].key).image
    place = cv2.resize(place, (256, 192), interpolation=cv2.INTER_AREA)
    rgba = people.cutout(people.people()[0].key).rgba
    width = round(120 * rgba.shape[1] / rgba.shape[0])
    person = cv2.resize(rgba, (width, 120), interpolation=cv2.INTER_AREA)
    frames, masks = [place.copy()], [np.zeros(place.shape[:2], bool)]
    for step in range(8):
        left = 4 + step * (250 - width) // 8
        frame, mask = place.copy(), np.zeros(place.shape[:2], bool)
        over(frame[60:180, left : left + width], person[..., :3], np.ascontiguousarray(person[..., 3]))
        mask[60:180, left : left + width] = person[..., 3] >= 128
        frames.append(frame)
        masks.append(mask)
    return place, frames, masks


def static_camera(folder: Path) -> int:
    """The walk's frames under sensor noise."""
    rng = np.random.default_rng(0)
    for number, frame in enumerate(walk()[1]):
        noisy = np.clip(np.rint(frame + rng.normal(0, 1.5, frame.shape)), 0, 255)
        put(folder / f"frame{number:03d}.png", noisy.astype(np.uint8))
    return 8


LAYOUTS: dict[str, Callable[[Path], int]] = {
    "rord": rord,
    "rorem": in_folders("source/{}.jpg", "mask/{}.png", "GT/{}.jpg"),
    "syn4removal": in_folders("paste/{}.jpg", "mask/{}.jpg", "gt/{}.jpg"),
    "smarteraser": in_folders("paste/{}.jpg", "mask/{}.jpg", "gt/{}.jpg"),
    "ober": ober,
    "corne": in_folders("shot/{}.png", "mask_sam/{}.png", "bg/{}.png", "mask_eff/{}.png"),
    "lama": lama,
    "realhm": in_folders(
        "vendor_testing_1/{}_small.jpg", "vendor_testing_1/{}_mask.jpg", "vendor_testing_1/{}_gt.jpg"
    ),
    "static-camera": static_camera,
}


def imported(name: str, tmp_path: Path) -> tuple[Dataset, str]:
    """The set, imported by the command from a folder made in its layout, and what was printed."""
    count = LAYOUTS[name](tmp_path / "set")
    extra = ["--truth", str(tmp_path / "clean")] if name == "lama" else []
    done = CliRunner().invoke(
        root, ["import", name, str(tmp_path / "set"), "--out", str(tmp_path / "out"), *extra]
    )
    assert done.exit_code == 0, done.output
    dataset = Dataset.open(tmp_path / "out")
    assert len(dataset.task_ids("erase-all", "test")) == count
    return dataset, done.output


@pytest.mark.parametrize("name", PUBLIC)
def test_a_folder_in_each_layout_imports_evaluates_and_reports(name: str, tmp_path: Path) -> None:
    dataset, printed = imported(name, tmp_path)
    assert not any(validate(dataset))
    known = PUBLIC[name]
    card = (tmp_path / "out" / "README.md").read_text()
    assert known.licence in card
    assert known.citation in card
    assert all(note in printed and note in card for note in known.notes)

    specs = [MethodSpec.parse(method) for method in ("telea", "oracle", "copy")]
    runs = tmp_path / "runs"
    telea, oracle, copy = evaluate(
        dataset, "erase-all", "test", specs, out=runs, metrics=["psnr"], device="cpu"
    ).summaries
    values = [summary.estimate("psnr.mask.raw").value for summary in (copy, telea, oracle)]
    assert values[0] < values[2] == float("inf")
    folder = next(path.parent for path in runs.rglob("summary.json"))
    page.write(tmp_path / "report.html", [read(path.parent) for path in runs.rglob("summary.json")])
    assert name in (tmp_path / "report.html").read_text()

    finished = read(folder)
    scores = Scores(finished.rows, finished.panel)
    assert finished.panel.effects == (name in ("ober", "corne"))
    if finished.panel.effects:
        effect = [summary.estimate("psnr.effect.raw").value for summary in (copy, telea, oracle)]
        # Nobody but the oracle was told of the shadow.
        assert effect[0] == effect[1] < effect[2] == float("inf")
        assert "effect" in (tmp_path / "report.html").read_text()
    if name in ("rord", "lama", "static-camera"):
        assert len(np.unique(scores.clusters)) == {"rord": 2, "lama": 2, "static-camera": 1}[name]


def test_rord_s_masks_are_turned_round_in_either_layout(tmp_path: Path) -> None:
    for place, options in enumerate(({}, {"suffix": "", "clips": False})):
        rord(tmp_path / f"set{place}", **options)  # type: ignore[arg-type]
        out = tmp_path / f"out{place}"
        done = CliRunner().invoke(root, ["import", "rord", str(tmp_path / f"set{place}"), "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert "2 left out: without mask" in done.output
        dataset = Dataset.open(out)
        name = dataset.task_ids("erase-all", "test")[0]
        assert np.array_equal(dataset.triplet("erase-all", name).mask, triple(12)[2])
        assert {row["group"] for row in dataset.rows(["group"])} == {
            str(Path(camera) / camera) if not place else camera
            for camera in ("I-210618_I01001_W01", "I-210618_I01006_W04")
        }


def test_the_wrong_polarity_is_refused_with_the_remedy(tmp_path: Path) -> None:
    in_folders("a/{}.png", "m/{}.png", "b/{}.png", inverted=True)(tmp_path)
    folders = [
        "--images",
        str(tmp_path / "a"),
        "--masks",
        str(tmp_path / "m"),
        "--truth",
        str(tmp_path / "b"),
    ]
    command = ["import", "pairs", *folders, "--name", "x", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(root, command)
    assert isinstance(done.exception, UserError)
    assert "3 of 3 pairs cannot be used" in str(done.exception)
    assert "looks inverted" in str(done.exception)
    assert "mildbench import pairs, with --invert" in str(done.exception)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(root, [*command, "--invert"])
    assert done.exit_code == 0, done.output
    triplet = Dataset.open(tmp_path / "out").triplet("erase-all", "p1")
    assert np.array_equal(triplet.mask, triple(1)[2])
    done = CliRunner().invoke(root, ["import", "rord", str(tmp_path), "--out", str(tmp_path / "other")])
    assert "has no folder 'img'" in str(done.exception)
    # A set that came with its masks the right way round, under the name of one that has them inverted.
    in_folders("img/{}_F1.png", "mask/{}_F1.png", "gt/{}_F1.png")(tmp_path / "again")
    done = CliRunner().invoke(root, ["import", "rord", str(tmp_path / "again"), "--out", str(tmp_path / "o")])
    assert "mildbench import pairs, without --invert" in str(done.exception)


def test_a_static_camera_s_plate_is_its_background_and_its_masks_what_moves(tmp_path: Path) -> None:
    dataset, printed = imported("static-camera", tmp_path)
    noise = re.search(r"noise is ([\d.]+) levels: no PSNR above ([\d.]+) dB", printed)
    assert noise is not None
    assert 1.3 < float(noise[1]) < 2.0
    assert "1 left out: with an empty mask" in printed
    place, _, masks = walk()
    for name, person in zip(dataset.task_ids("erase-all", "test"), masks[1:], strict=True):
        triplet = dataset.triplet("erase-all", name)
        assert np.abs(triplet.truth.astype(int) - place).mean() < 1.5
        assert triplet.mask[person].mean() > 0.95
        around = cv2.dilate(person.astype(np.uint8), np.ones((9, 9))) > 0
        assert (triplet.mask & ~around).sum() < 0.05 * person.sum()
    for path in sorted((tmp_path / "set").glob("*.png"))[4:]:
        path.unlink()
    done = CliRunner().invoke(
        root, ["import", "static-camera", str(tmp_path / "set"), "--out", str(tmp_path / "o")]
    )
    assert "needs 5 or more" in str(done.exception)


@pytest.mark.parametrize(
    ("twin", "message"),
    [
        ("set/f01.jpg", "two samples are called 'f01'"),
        ("masks/f01.jpg", "f01.jpg and f01.png are of one frame"),
        ("", ""),
    ],
)
def test_no_two_frames_and_no_two_masks_have_one_name(tmp_path: Path, twin: str, message: str) -> None:
    for number in range(6):
        frame = np.full((60, 80, 3), 90, np.uint8)
        frame[20:40, 10 * number : 10 * number + 12] = 250
        for kind, pixels in (("set", frame), ("masks", (frame[..., 0] > 200).astype(np.uint8))):
            put(tmp_path / kind / f"f{number:02}.png", pixels)
    if twin:
        put(tmp_path / twin, frame)
    folders = [str(tmp_path / "set"), "--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "o")]
    done = CliRunner().invoke(root, ["import", "static-camera", *folders])
    assert (done.exit_code == 0) == (not twin)
    assert message in str(done.exception)
    assert (tmp_path / "o").exists() == (not twin)


@pytest.mark.parametrize("shadow", [False, True])
@pytest.mark.parametrize("invert", [False, True])
def test_an_inverted_effect_mask_is_refused_and_turned_round_with_the_masks(
    tmp_path: Path, invert: bool, shadow: bool
) -> None:
    image, truth, mask, effect = triple(1)
    if not shadow:
        image[effect & ~mask], effect = truth[effect & ~mask], mask
    for folder, pixels in (("a", image), ("b", truth), ("m", ~mask if invert else mask), ("e", ~effect)):
        put(tmp_path / folder / "p.png", pixels)
    folders = {"--images": "a", "--truth": "b", "--masks": "m", "--effect-masks": "e"}
    command = ["import", "pairs", "--name", "x", "--out", str(tmp_path / "out")]
    command += [part for option, folder in folders.items() for part in (option, str(tmp_path / folder))]
    done = CliRunner().invoke(root, [*command, "--invert"] if invert else command)
    if not invert:
        assert "the effect mask of p looks inverted" in str(done.exception)
        return
    triplet = Dataset.open(tmp_path / "out").triplet("erase-all", "p")
    assert np.array_equal(triplet.mask, mask)
    assert np.array_equal(triplet.effect, effect & ~mask)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_set_has_a_card_that_says_how_sure_its_layout_is(name: str) -> None:
    card = (CARDS / f"{name}.md").read_text()
    assert PUBLIC[name].title in card
    assert f"mildbench import {name} " in card
    assert PUBLIC[name].verified in " ".join(card.split())
    assert PUBLIC[name].licence in " ".join(card.split())


def test_a_set_has_the_option_that_it_takes_and_no_other(tmp_path: Path) -> None:
    done = CliRunner().invoke(root, ["import", "corne", str(tmp_path), "--masks", str(tmp_path)])
    assert done.exit_code == 2
    assert "No such option" in done.output
    lama(tmp_path / "set")
    done = CliRunner().invoke(root, ["import", "lama", str(tmp_path / "set"), "--out", str(tmp_path / "o")])
    assert "comes without true answers" in str(done.exception)
    assert "--truth DIR" in str(done.exception)
