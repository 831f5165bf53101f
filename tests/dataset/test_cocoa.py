"""COCOA: a folder in its published layout imports and is scored by masks alone; what contradicts itself is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mildbench.cli.import_pairs import app
from mildbench.dataset import Dataset
from mildbench.dataset.amodal import Unusable
from mildbench.dataset.cocoa import front_to_back, is_person
from mildbench.dataset.export import exporter
from mildbench.dataset.export.triplets import export_triplets
from mildbench.dataset.validate import validate
from mildbench.errors import UserError
from mildbench.evaluation.panel import NO_TRUE_PICTURE
from mildbench.evaluation.runner import evaluate
from mildbench.evaluation.single import score_one
from mildbench.method import MethodSpec
from mildbench.public import COCOA
from mildbench.report import page
from mildbench.results.finished import read

SIZE = (60, 80)
CARD = Path(__file__).resolve().parents[2] / "data_cards" / "cocoa.md"
root = typer.Typer()
root.add_typer(app, name="import")


def box(left: int, top: int, right: int, bottom: int) -> list[float]:
    """A flat polygon, x and y in turn, as the file has it."""
    return [left, top, right, top, right, bottom, left, bottom]


def filled(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


BENCH, MAN, WOMAN, SKY = (10, 40, 50, 55), (20, 10, 35, 50), (30, 15, 45, 50), (0, 0, 80, 30)


def region(name: str, at: tuple[int, int, int, int], hidden: float) -> dict[str, Any]:
    outline = box(*at)
    return {
        "segmentation": outline,
        "name": name,
        "area": 1.0,
        "isStuff": 0,
        "occlude_rate": hidden,
        "order": 1,
    }


def good() -> tuple[list[dict[str, Any]], str]:
    """Front to back: a bench before a man before a woman, and the sky behind all."""
    behind_bench = filled(*BENCH) | filled(*MAN)
    regions = [
        region("bench", BENCH, 0.0),
        region("man in white", MAN, float((filled(*MAN) & filled(*BENCH)).sum() / filled(*MAN).sum())),
        region("Woman 2", WOMAN, float((filled(*WOMAN) & behind_bench).sum() / filled(*WOMAN).sum())),
        region("sky", SKY, 0.4),
    ]
    return regions, "1-2,1-3,2-3,2-4,3-4"


def write(folder: Path, *annotations: tuple[list[dict[str, Any]], str]) -> Path:
    """A folder of the split val2014, one photo an annotation."""
    images, items = [], []
    (folder / "val2014").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for number, (regions, constraints) in enumerate(annotations):
        name = f"COCO_val2014_{number:012d}.jpg"
        pixels = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "val2014" / name)
        images.append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        items.append(
            {"id": 100 + number, "image_id": number, "regions": regions, "depth_constraint": constraints}
            | {"size": len(regions), "author": "a", "url": "u"}
        )
    content = {"images": images, "annotations": items, "info": {}, "licenses": []}
    (folder / "annotations" / "COCO_amodal_val2014.json").write_text(json.dumps(content))
    return folder


def imported(folder: Path, out: Path) -> tuple[Dataset, str]:
    done = CliRunner().invoke(root, ["import", "cocoa", str(folder), "--out", str(out)])
    assert done.exit_code == 0, done.output + str(done.exception)
    return Dataset.open(out), done.output


def test_masks_and_order_are_those_of_the_file(tmp_path: Path) -> None:
    dataset, printed = imported(write(tmp_path / "set", good(), good()), tmp_path / "out")
    assert not any(validate(dataset))
    assert dataset.tasks("val") == ["deocclude"]
    names = dataset.task_ids("deocclude", "val")
    assert len(names) == len(dataset) == 4
    assert "4 people are partly hidden" in printed

    # Of the man only the bench hides something, of the woman the man too; the sky is no layer.
    woman, man = (dataset.triplet("deocclude", name) for name in names[:2])
    assert woman.people.categories == ("person", "person", "bench")
    for triplet, at, covers in ((man, MAN, [BENCH]), (woman, WOMAN, [BENCH, MAN])):
        people, subject = triplet.people, triplet.subject
        covering = np.any([filled(*other) for other in covers], axis=0)
        assert np.array_equal(people.amodal[subject], filled(*at))
        assert np.array_equal(people.visible[subject], filled(*at) & ~covering)
        assert np.array_equal(triplet.mask, covering)
        assert not triplet.truth_known
        assert (triplet.truth[covering] == 128).all()
        assert np.array_equal(triplet.image[~covering], triplet.truth[~covering])
    with Image.open(tmp_path / "set" / "val2014" / "COCO_val2014_000000000000.jpg") as photo:
        assert np.array_equal(man.image, np.asarray(photo.convert("RGB")))


def test_masks_alone_are_scored(tmp_path: Path) -> None:
    dataset, _ = imported(write(tmp_path / "set", good(), good()), tmp_path / "out")
    specs = [MethodSpec.parse(name) for name in ("visible", "amodal-oracle")]
    made = evaluate(
        dataset,
        "deocclude",
        "val",
        specs,
        out=tmp_path / "runs",
        metrics=["psnr", "amodal-iou"],
        device="cpu",
    )
    floor, ceiling = made.summaries
    assert {metric.name for metric in ceiling.metrics} == {"amodal-iou"}
    assert [(lack.name, lack.reason) for lack in ceiling.unavailable] == [("psnr", NO_TRUE_PICTURE)]
    assert ceiling.estimate("amodal-iou.whole.raw").value == 1
    assert ceiling.estimate("amodal-iou.hidden.raw").value == 1
    assert floor.estimate("amodal-iou.hidden.raw").value == 0
    ratios = [
        dataset.triplet("deocclude", name).meta["visible_ratio"]
        for name in dataset.task_ids("deocclude", "val")
    ]
    assert floor.estimate("amodal-iou.whole.raw").value == pytest.approx(np.mean(ratios))
    page.write(
        tmp_path / "report.html", [read(path.parent) for path in (tmp_path / "runs").rglob("summary.json")]
    )
    assert "amodal-iou" in (tmp_path / "report.html").read_text()


def test_what_needs_true_pictures_is_refused(tmp_path: Path) -> None:
    dataset, _ = imported(write(tmp_path / "set", good()), tmp_path / "out")
    with pytest.raises(UserError, match="use --task deocclude"):
        dataset.task_ids("erase-all", "val")
    with pytest.raises(UserError, match="use --task deocclude"):
        dataset.triplet("erase-one", "x-p1")
    triplet = dataset[0]
    with pytest.raises(UserError, match="no true picture"):
        score_one(triplet.image, triplet, (), "cpu")
    with pytest.raises(UserError, match="no true pictures"):
        exporter("huggingface")(dataset, tmp_path / "hub", lambda _: None)


def test_exports_have_no_truth_that_nobody_knows(tmp_path: Path) -> None:
    dataset, _ = imported(write(tmp_path / "set", good()), tmp_path / "out")
    export_triplets(dataset, tmp_path / "triplets", lambda _: None, tasks=["deocclude"], split="val")
    assert {path.name for path in (tmp_path / "triplets" / "deocclude").iterdir()} == {
        "input",
        "mask",
        "instances",
        "samples.csv",
    }
    assert "truth/ID.png" not in (tmp_path / "triplets" / "README.md").read_text()
    exporter("webdataset")(dataset, tmp_path / "tar", lambda _: None)
    copy = Dataset.open(tmp_path / "tar")
    assert not any(validate(copy))
    assert copy.fingerprint == dataset.fingerprint
    assert copy.task_ids("deocclude", "val") == dataset.task_ids("deocclude", "val")
    exporter("coco")(dataset, tmp_path / "coco", lambda _: None)


def spoilt(**changes: Any) -> tuple[list[dict[str, Any]], str]:
    """The good one, with another man or another order."""
    regions, constraints = good()
    return [regions[0], regions[1] | changes.pop("man", {}), *regions[2:]], changes.get("order", constraints)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (spoilt(order="1-2,2-3,3-1"), "depth constraints in a circle"),
        (spoilt(order="1-9"), "depth constraint that names no two regions"),
        (spoilt(order="front"), "depth constraint that names no two regions"),
        (spoilt(man={"segmentation": [1, 2, 3]}), "with an outline that is no polygon"),
        (spoilt(man={"segmentation": [1, 2, 3, 4, 5, float("nan")]}), "with an outline that is no polygon"),
        (spoilt(man={"segmentation": "abc"}), "with an outline that is no polygon"),
        (spoilt(man={"segmentation": box(90, 70, 95, 75)}), "with an empty outline"),
        (spoilt(man={"occlude_rate": 0.9}), "contradicts how much is said to be hidden"),
        (spoilt(order="2-1"), "contradicts how much is said to be hidden"),
        (([region("dog", BENCH, 0)], ""), "without people"),
        (([], ""), "without people"),
    ],
)
def test_what_contradicts_itself_is_left_out_and_counted(
    tmp_path: Path, bad: tuple[list[dict[str, Any]], str], reason: str
) -> None:
    dataset, printed = imported(write(tmp_path / "set", good(), bad), tmp_path / "out")
    assert dataset.info.samples == {"val": 1}
    (left_out,) = dataset.info.report["skipped"].items()
    assert reason in left_out[0]
    assert left_out[1] == 1
    assert f"1 left out: {left_out[0]}" in " ".join(printed.split())


def test_of_several_drawings_of_a_photo_the_first_usable_one_counts(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", spoilt(man={"occlude_rate": 0.9}), good(), good())
    file = folder / "annotations" / "COCO_amodal_val2014.json"
    content = json.loads(file.read_text())
    content["annotations"][1]["image_id"] = 0
    file.write_text(json.dumps(content))
    dataset, _ = imported(folder, tmp_path / "out")
    assert dataset.info.samples == {"val": 2}
    assert dataset.info.report["skipped"] == {"annotations of a photo that has another": 1}


def test_photos_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", *(good() for _ in range(4)))
    photos = sorted((folder / "val2014").iterdir())
    photos[0].unlink()
    photos[1].write_bytes(b"no picture")
    Image.new("RGB", (20, 20)).save(photos[2])
    dataset, _ = imported(folder, tmp_path / "out")
    assert dataset.info.report["skipped"] == {
        "without their photo": 1,
        "with an unreadable photo": 1,
        "with a photo of another size than was annotated": 1,
    }
    photos[3].unlink()
    done = CliRunner().invoke(root, ["import", "cocoa", str(folder), "--out", str(tmp_path / "none")])
    assert isinstance(done.exception, UserError)
    assert "no photo of cocoa can be used (2 without their photo" in str(done.exception)
    assert not (tmp_path / "none").exists()


def test_a_folder_of_another_kind_is_one_line(tmp_path: Path) -> None:
    command = ["import", "cocoa", str(tmp_path)]
    done = CliRunner().invoke(root, command)
    assert "has to have one COCO_amodal_*.json" in str(done.exception)
    (tmp_path / "COCO_amodal_val2014.json").write_text("{}")
    done = CliRunner().invoke(root, command)
    assert isinstance(done.exception, UserError)
    assert "is not COCOA's" in str(done.exception)


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("person", True),
        ("man in white", True),
        ("Tennis player 2", True),
        ("woman's bag", False),
        ("baby stroller", False),
        ("people", False),
        ("man and woman", False),
        ("boy, girl", False),
        ("crowd", False),
        ("snowman", False),
        ("hat on man", False),
        ("", False),
    ],
)
def test_who_is_a_person(name: str, person: bool) -> None:
    assert is_person(name) == person


def test_the_listed_order_holds_where_no_constraint_says_otherwise() -> None:
    assert front_to_back(4, "") == [0, 1, 2, 3]
    assert front_to_back(4, "4-1, 3-2") == [2, 1, 3, 0]
    with pytest.raises(Unusable, match="circle"):
        front_to_back(2, "1-1")


def test_the_card_says_how_sure_the_layout_is() -> None:
    card = " ".join(CARD.read_text().split())
    for said in (COCOA.title, COCOA.verified, COCOA.licence, COCOA.citation, "mildbench import cocoa "):
        assert said in card
