"""The page and its key."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import invoke
from finished_runs import evaluated

from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.images import decode_rgb, encode_webp, read_rgb
from mildbench.regions import paste
from mildbench.study import pictures
from mildbench.study.make import make
from mildbench.study.pictures import marked
from mildbench.study.records import AskedPair, Check, Study

PICTURE = re.compile(r'"[A-Za-z0-9+/=]{100,}"')


def page_data(folder: Path) -> dict[str, Any]:
    text = (folder / "study.html").read_text()
    (found,) = re.findall(r'<script id="study" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_equal_seeds_give_equal_bytes(runs: dict[str, Path], folder: Path, tmp_path: Path) -> None:
    make(list(runs.values()), tmp_path / "again", count=36, seed=5)
    for name in ("study.html", "study.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    other, _, _ = make(list(runs.values()), tmp_path / "other", count=36, seed=6)
    known = Study.model_validate_json((folder / "study.json").read_text())
    assert other.id != known.id
    assert [item.sample for item in other.shown] != [item.sample for item in known.shown]


def test_the_page_does_not_tell_which_method_is_which(
    runs: dict[str, Path], folder: Path, study: Study
) -> None:
    text = PICTURE.sub("", (folder / "study.html").read_text())
    assert len(text) < 40_000
    samples = {item.sample for item in study.shown}
    for secret in [*runs, *(run.name for run in runs.values()), *samples, "truth", str(runs["telea"].parent)]:
        assert secret.lower() not in text.lower(), secret
    data = page_data(folder)
    assert set(data) == {"id", "pairs", "pictures"}
    for number, pair in enumerate(data["pairs"], 1):
        assert set(pair) == {"id", "before", "a", "b"}
        assert pair["id"] == f"{number:03d}"


def test_the_page_fetches_nothing(folder: Path) -> None:
    text = PICTURE.sub("", (folder / "study.html").read_text())
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link(?! rel=\"icon\")", text)


def test_each_pair_shows_one_sample_by_the_methods_of_the_key(
    data: Path, runs: dict[str, Path], folder: Path, study: Study
) -> None:
    dataset = Dataset.open(data)
    shown = page_data(folder)

    def seen(number: int) -> np.ndarray:
        return decode_rgb(base64.b64decode(shown["pictures"][number]), "picture")

    def stored(pixels: np.ndarray) -> np.ndarray:
        return decode_rgb(encode_webp(pixels, study.webp_quality), "picture")

    assert len(study.pairs) == 36
    assert len(study.checks) == 4
    for item, given in zip(study.shown, shown["pairs"], strict=True):
        triplet = dataset.triplet("erase-one", item.sample)
        assert np.array_equal(seen(given["before"]), stored(marked(triplet)))
        if isinstance(item, Check):
            right, wrong = ("a", "b") if item.right == "A" else ("b", "a")
            assert np.array_equal(seen(given[right]), stored(triplet.truth))
            assert np.array_equal(seen(given[wrong]), stored(triplet.image))
        else:
            for side, picture in ((item.a, given["a"]), (item.b, given["b"])):
                output = read_rgb(runs[side.run] / "predictions" / f"{item.sample}.png")
                pasted = paste(output, triplet.image, triplet.mask, study.paste_dilation)
                assert np.array_equal(seen(picture), stored(pasted))


def test_methods_meet_equally_often_on_both_sides(study: Study) -> None:
    sides = Counter((pair.a.run, pair.b.run) for pair in study.pairs)
    assert set(sides.values()) == {3}
    assert len(sides) == 12


def test_the_outline_is_around_what_is_erased_and_nowhere_else(data: Path, study: Study) -> None:
    triplet = Dataset.open(data).triplet("erase-one", study.shown[0].sample)
    changed = (marked(triplet) != triplet.image).any(axis=2)
    assert changed.any()
    assert not changed[triplet.mask].any()
    assert changed.mean() < 0.2


def test_it_says_which_runs_are_the_ends_of_any_scale(study: Study) -> None:
    assert {name: run.fills for name, run in study.runs.items()} == {
        "copy": False,
        "telea": True,
        "noise": True,
        "oracle": False,
    }


def test_pictures_are_made_smaller_until_they_fit(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, page, _ = make(list(runs.values()), tmp_path / "large", count=12, seed=0)
    text = len(PICTURE.sub("", page.read_text()))
    budget = (page.stat().st_size - text) * 3 // 4
    monkeypatch.setattr(pictures, "BUDGET", budget)
    small, page, _ = make(list(runs.values()), tmp_path / "small", count=12, seed=0)
    assert page.stat().st_size - text <= budget * 1.05
    assert (small.longest_side, small.webp_quality) < (large.longest_side, large.webp_quality)
    assert f"quality {small.webp_quality}, at most\n{small.longest_side} pixels" in page.read_text()
    monkeypatch.setattr(pictures, "BUDGET", 1000)
    with pytest.raises(UserError, match="pictures do not fit into one page"):
        make(list(runs.values()), tmp_path / "none", count=12, seed=0)
    assert not (tmp_path / "none").exists()


def test_a_page_has_its_key_beside_it(runs: dict[str, Path], tmp_path: Path) -> None:
    _, page, key = make(list(runs.values()), tmp_path / "people.html", count=6, seed=0)
    assert page == tmp_path / "people.html"
    assert key == tmp_path / "people.json"
    assert key.is_file()


def test_another_study_is_never_overwritten(runs: dict[str, Path], tmp_path: Path) -> None:
    make(list(runs.values()), tmp_path, count=6, seed=0)
    before = (tmp_path / "study.html").read_bytes()
    with pytest.raises(UserError, match="another study, and its answers need it: give another --out"):
        make(list(runs.values()), tmp_path, count=6, seed=1)
    assert (tmp_path / "study.html").read_bytes() == before
    make(list(runs.values()), tmp_path, count=6, seed=0)


def test_what_cannot_be_made_is_said_in_one_line(
    data: Path,
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = evaluated(data, tmp_path / "runs", "copy", task="erase-all")["copy"]
    lost = tmp_path / "lost" / runs["telea"].name
    shutil.copytree(runs["telea"], lost)
    shutil.rmtree(lost / "predictions")
    changed = tmp_path / "changed" / runs["telea"].name
    shutil.copytree(runs["telea"], changed)
    for path in (changed / "predictions").iterdir():
        shutil.copy(runs["noise"] / "predictions" / path.name, path)
    for arguments, told in (
        ([runs["copy"]], "is one run: give at least two"),
        ([runs["copy"], other], "these runs cannot be compared"),
        ([runs["copy"], runs["telea"], "--pairs", 0], "--pairs 0: give 1 or more"),
        ([runs["copy"], runs["telea"], "--pairs", 5000], "different pairs"),
        ([runs["copy"], lost], "prediction not found"),
        ([runs["copy"], changed], "is not the one that was scored"),
        ([runs["telea"], changed], "is given from two places"),
        ([tmp_path / "nowhere"], "run not found"),
    ):
        pairs = [] if "--pairs" in arguments else ["--pairs", 4]
        assert invoke("study", "make", *arguments, *pairs, "--out", tmp_path / "out") == 2, told
        line = capsys.readouterr().err.splitlines()[-1]
        assert told in line
        assert not (tmp_path / "out").exists()


def test_samples_that_one_run_failed_on_are_not_shown(data: Path, tmp_path: Path) -> None:
    from evaluation_fakes import Calls

    bad = Dataset.open(data).task_ids("erase-one", "test")[0]
    made = evaluated(data, tmp_path, "telea")
    Calls.failing = {bad}
    made |= evaluated(data, tmp_path, "noise:strength=90")
    study, _, _ = make(list(made.values()), tmp_path / "study", count=6, seed=0)
    assert bad not in {item.sample for item in study.shown}
    assert all(isinstance(item, AskedPair | Check) for item in study.shown)
