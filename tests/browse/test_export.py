"""What FiftyOne holds after another export, what is kept of the user's, and data sets of every kind."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browse_fakes import SLICES, documents

from mildbench.browse.export import Mark, export, marked
from mildbench.browse.gallery import Gallery
from mildbench.browse.tags import export_tags
from mildbench.dataset import Dataset
from mildbench.dataset.export import exporter
from mildbench.dataset.pairfiles import Folder, find_pairs
from mildbench.dataset.pairs import About, import_pairs
from mildbench.errors import UserError
from mildbench.images import read_rgb, write_png


def test_exporting_again_changes_nothing(empty: Any, runs: list[Path]) -> None:
    gallery = Gallery.open(runs[:1])
    ids = list(gallery.facts.index)[:4]
    before = documents(export(empty, gallery, ids[:2]))
    made = export(empty, gallery, ids)
    after = documents(made)
    assert all(after[place].id == sample.id for place, sample in before.items())
    fresh = {(place, sample.filepath) for place, sample in after.items()}
    again = export(empty, gallery, ids)
    assert {place: sample.id for place, sample in after.items()} == {
        place: sample.id for place, sample in documents(again).items()
    }
    empty.delete_dataset(made.name)
    made = export(empty, gallery, ids)
    anew = documents(made)
    assert {(place, sample.filepath) for place, sample in anew.items()} == fresh
    assert len(made.list_saved_views()) == len(set(made.list_saved_views()))


def test_what_the_user_has_set_stays(empty: Any, runs: list[Path], tmp_path: Path) -> None:
    gallery = Gallery.open(runs[:1])
    first, second, third = list(gallery.facts.index)[1:4]
    made = export(empty, gallery, [first, second])
    found = documents(made)
    found[first, "noise"].tags.append("ghost")
    found[first, "noise"].save()
    found[second, "composite"]["note"] = "two; heads"
    found[second, "composite"].tags.extend(["odd", "blurred"])
    found[second, "composite"].save()
    made.save_view("mine", made.limit(1))
    marks = {
        (first, "noise"): Mark(("ghost",), None),
        (second, "composite"): Mark(("odd", "blurred"), "two; heads"),
    }
    made = export(empty, gallery, [third])
    assert marked(made) == marks, "tagged documents are never thrown away"
    assert "mine" in made.list_saved_views()
    moved = Gallery.open(
        [run.folder.path for run in gallery.runs], Path(shutil.copytree(gallery.dataset.root, tmp_path / "d"))
    )
    made = export(empty, moved, [first, second])
    assert marked(made) == marks, "all was replaced, for the files are elsewhere"
    assert all(Path(sample["mask"].mask_path).is_file() for sample in made)

    rows = [
        {"sample_id": first, "slice": "noise", "tags": ["ghost"], "note": None},
        {"sample_id": second, "slice": "composite", "tags": ["blurred", "odd"], "note": "two; heads"},
    ]
    assert export_tags(empty, moved, tmp_path / "tags.json") == 2
    assert json.loads((tmp_path / "tags.json").read_text()) == rows
    assert export_tags(empty, moved, tmp_path / "tags.csv") == 2
    with (tmp_path / "tags.csv").open() as stream:
        assert list(csv.DictReader(stream)) == [
            row | {"tags": ";".join(row["tags"]), "note": row["note"] or ""} for row in rows
        ]
    assert plain(tmp_path / "tags.csv") == rows


def plain(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file of tags, without the marks before what a spreadsheet would compute."""
    with path.open(newline="") as stream:
        return [
            {name: cell.removeprefix("'") for name, cell in row.items()}
            | {
                "tags": [tag.removeprefix("'") for tag in row["tags"].split(";") if tag],
                "note": row["note"].removeprefix("'") or None,
            }
            for row in csv.DictReader(stream)
        ]


def test_a_spreadsheet_sees_no_formula(empty: Any, gallery: Gallery, tmp_path: Path) -> None:
    name = gallery.facts.index[0]
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'quoted", "plain", "a=b"]
    found = documents(export(empty, gallery, [name]))
    for number, note in enumerate(hostile):
        document = found[name, ("composite", "truth")[number % 2]]
        document.tags = hostile
        document["note"] = note
        document.save()
        export_tags(empty, gallery, tmp_path / "tags.csv")
        with (tmp_path / "tags.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            cells = [*row.values(), *row["tags"].split(";")]
            assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        export_tags(empty, gallery, tmp_path / "tags.json")
        assert plain(tmp_path / "tags.csv") == json.loads((tmp_path / "tags.json").read_text())
        assert note in [row["note"] for row in plain(tmp_path / "tags.csv")]
    document.tags = ["one;two"]
    document.save()
    with pytest.raises(UserError, match=r"holds a ; .*tags\.json"):
        export_tags(empty, gallery, tmp_path / "tags.csv")


def test_another_run_of_one_name_takes_the_place_of_the_first(
    empty: Any, runs: list[Path], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(runs[0].parent, tmp_path / "runs"))
    first = Gallery.open([root / runs[0].name])
    name = first.facts.index[1]
    found = documents(export(empty, first, [name]))
    found[name, "noise"].tags.append("ghost")
    found[name, "noise"].save()
    retrained = Path(shutil.copytree(root / runs[0].name, root / "noise@retrained"))
    made = export(empty, Gallery.open([retrained]), [name])
    after = documents(made)
    assert after.keys() == found.keys()
    assert Path(after[name, "noise"].filepath).is_relative_to(retrained)
    assert Path(after[name, "noise difference"].filepath).is_relative_to(retrained)
    assert after[name, "composite"].id == found[name, "composite"].id
    assert marked(made) == {(name, "noise"): Mark(("ghost",), None)}


@pytest.mark.slow
def test_new_predictions_scores_and_runs_are_taken_up(empty: Any, runs: list[Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(runs[0].parent, tmp_path / "runs"))
    copies = [root / run.name for run in runs]
    both = Gallery.open(copies[:2])
    name = both.facts.index[1]
    found = documents(export(empty, both, [name]))
    heat = Path(found[name, "noise difference"].filepath)
    before, number = heat.read_bytes(), found[name, "composite"].id

    prediction = Path(found[name, "noise"].filepath)
    write_png(prediction, 255 - read_rgb(prediction))
    later = heat.stat().st_mtime_ns + 1
    os.utime(prediction, ns=(later, later))
    table = both.runs[0].scores.reset_index()
    table.loc[table["id"] == name, "psnr.mask.pasted"] = 3.25
    table.to_parquet(copies[0] / "scores.parquet")
    made = export(empty, Gallery.open(copies), [name])
    found = documents(made)
    assert heat.read_bytes() != before
    assert found[name, "composite"].id == number
    assert found[name, "composite"]["noise_psnr_mask_pasted"] == 3.25
    assert {part for _, part in found} == SLICES

    made = export(empty, Gallery.open(copies[1:2]), [name])
    assert {part for _, part in documents(made)} == {
        "composite",
        "truth",
        "attentive",
        "attentive difference",
    }
    assert not any(field.startswith(("noise", "oracle", "disagreement")) for field in made.get_field_schema())
    assert not any("noise" in name for name in (*made.list_saved_views(), *made.list_indexes()))


@pytest.mark.parametrize("form", ["folder", "webdataset", "pairs"])
def test_a_data_set_alone_of_every_kind(empty: Any, data: Path, tmp_path: Path, form: str) -> None:
    scenes = Dataset.open(data)
    root = data
    if form == "webdataset":
        root = tmp_path / "tars"
        exporter("webdataset")(scenes, root, lambda count: None)
    elif form == "pairs":
        for index, name in enumerate(scenes.task_ids("erase-all", "test")[:3]):
            triplet = scenes.triplet("erase-all", name)
            for part, pixels in (
                ("images", triplet.image),
                ("masks", triplet.mask * np.uint8(255)),
                ("truth", triplet.truth),
            ):
                write_png(tmp_path / part / f"{index}.png", pixels)
        root = tmp_path / "pairs"
        found_pairs = find_pairs(*(Folder(part, tmp_path / part) for part in ("images", "masks", "truth")))
        import_pairs(found_pairs, root, About("pairs", "CC0-1.0", "Pairs."), advance=lambda count: None)
    gallery = Gallery.open([root])
    made = export(empty, gallery, list(gallery.facts.index))
    found = documents(made)
    assert {part for _, part in found} == {"composite", "truth"}
    assert len(made) == len(gallery.facts)
    for (name, part), sample in found.items():
        row = gallery.dataset.row(name)
        stored = row["composite" if part == "composite" else "background"]
        assert Path(sample.filepath).read_bytes() == gallery.dataset.storage.read(stored)
    if form == "pairs":
        assert all(sample["visible"] is None and sample["mask"] for sample in found.values())
        assert "visible ratio: n/a" in made.list_saved_views()
    else:
        hidden = made.load_saved_view("most hidden").values("visible_ratio")
        assert hidden == sorted(gallery.facts["visible_ratio"])
        assert all(len(sample["amodal"].detections) == sample["people"] for sample in made)


def test_mistakes_are_explained(empty: Any, gallery: Gallery, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ends in \.csv or \.json"):
        export_tags(empty, gallery, tmp_path / "tags.txt")
    with pytest.raises(UserError, match="run mildbench browse without --export-tags first"):
        export_tags(empty, gallery, tmp_path / "tags.csv")
    stranger = empty.Dataset(gallery.name)
    with pytest.raises(UserError, match="mildbench did not make"):
        export(empty, gallery, [])
    assert stranger.name in empty.list_datasets()
