"""The task `deocclude` on a data set that was built: ids from the index alone, exact answers, honest controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mildbench.dataset import Dataset
from mildbench.dataset.storage import Storage
from mildbench.errors import UserError
from mildbench.results.summary import RunSummary
from mildbench.tasks.deocclude import LEAST_VISIBLE, MOST_VISIBLE

Run = Callable[..., list[RunSummary]]


@pytest.fixture(scope="module")
def built(data: Path) -> Dataset:
    return Dataset.open(data)


def test_every_partly_hidden_person_and_nobody_else(built: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = []
    for row in built.rows():
        people = built.scene(row["id"]).people()
        ratios = zip(people.ids, people.visible_ratio(), strict=True)
        expected += [
            (row["split"], f"{row['id']}-d{person}")
            for person, ratio in ratios
            if LEAST_VISIBLE <= ratio <= MOST_VISIBLE
        ]
    monkeypatch.setattr(Storage, "read", lambda *_: pytest.fail("a file of a scene was read"))
    for split in ("train", "test"):
        assert built.task_ids("deocclude", split) == [name for of, name in expected if of == split]
    assert len(expected) > 10


def test_the_answer_shows_the_subject_whole(built: Dataset) -> None:
    for name in built.task_ids("deocclude", "test"):
        triplet = built.triplet("deocclude", name)
        people, subject = triplet.people, triplet.subject
        assert triplet.id == name
        assert people.ids[subject] == int(name.rpartition("-d")[2])
        assert triplet.meta["visible_ratio"] == people.visible_ratio()[subject] < 1
        assert subject not in triplet.targets
        covered = people.amodal[subject] & ~people.visible[subject]
        assert np.array_equal(triplet.overlap, covered)
        assert covered.any()
        assert not (covered & ~triplet.mask).any()
        erased = [people.ids[k] for k in triplet.targets]
        assert np.array_equal(triplet.truth, built.scene(triplet.meta["scene"]).composite(erased))


@pytest.mark.parametrize("name", ["-d9", "-dx", "-d", ""])
def test_an_id_of_nobody_is_one_line(built: Dataset, name: str) -> None:
    scene = built.task_ids("erase-all", "test")[0]
    with pytest.raises(UserError, match=f"has no deocclude task '{scene}{name}'"):
        built.triplet("deocclude", f"{scene}{name}")


def test_oracle_is_first_over_the_mask(run: Run, built: Dataset) -> None:
    oracle, copy = run("oracle", "copy", source=built, task="deocclude", metrics=["psnr", "ssim"])
    assert oracle.samples == len(built.task_ids("deocclude", "test"))
    for column in ("psnr.mask.raw", "psnr.overlap.pasted", "ssim.mask.raw"):
        assert oracle.estimate(column).value > copy.estimate(column).value
    labels = [stratum.label for stratum in copy.strata if stratum.by == "visible_ratio"]
    assert len(labels) > 1
