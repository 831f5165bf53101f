"""Tasks: what a row gives, what their ids say, and one that somebody else adds with a file and an entry point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke
from hypothesis import given
from hypothesis import strategies as st
from plug_ins import installed
from scenes import random_scene

from mildbench.browse.gallery import Gallery
from mildbench.browse.media import Media
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation.runner import evaluate
from mildbench.images import read_rgb
from mildbench.marking import FOOTPRINT, MARKINGS
from mildbench.method import MethodSpec
from mildbench.tasks import TASKS, keeps, task_of

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def plugin(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the task that a distribution, installed beside ours, registers."""
    site = tmp_path_factory.mktemp("site")
    with installed(TASKS, "erase-front", "erase_front:EraseFront", site, monkeypatch) as name:
        yield name


def rows_of(scene_id: str, ratios: list[float]) -> dict[str, object]:
    persons = [{"id": k + 1, "visible_ratio": ratio} for k, ratio in enumerate(ratios)]
    return {"id": scene_id, "persons": persons}


@given(
    st.lists(st.floats(0, 1), max_size=5),
    st.text("abc-pd0123456789", min_size=1),
    st.sampled_from(["erase-all", "erase-one", "deocclude"]),
)
def test_an_id_tells_the_row_it_comes_from(ratios: list[float], scene_id: str, name: str) -> None:
    task = task_of(name)
    ids = task.ids(rows_of(scene_id, ratios))
    assert len(set(ids)) == len(ids) <= max(1, len(ratios))
    assert all(task.sample_of(triplet_id) == scene_id for triplet_id in ids)


@given(seeds, st.integers(1, 5), st.sampled_from(["erase-all", "erase-one", "deocclude"]))
def test_what_a_task_says_of_itself_holds_for_its_triplets(seed: int, count: int, name: str) -> None:
    scene, task = random_scene(seed, count), task_of(name)
    people = scene.people()
    ids = task.ids(rows_of(scene.id, people.visible_ratio().tolist()))
    for triplet_id in ids:
        triplet = task.triplet(scene, triplet_id)
        assert triplet.people is not None
        kept = set(range(count)) - set(triplet.targets)
        assert task.keeps or not kept
        assert task.keeps or np.array_equal(triplet.truth, scene.background)
        assert task.completes == (triplet.subject is not None)
        erased = [people.ids[k] for k in triplet.targets]
        assert np.array_equal(triplet.truth, scene.composite(without=erased))
        if triplet.subject is not None:
            assert triplet.subject in kept
            assert scene.covering(people.ids[triplet.subject]) == set(erased)


@pytest.mark.parametrize("name", ["deocclude", "erase-one"])
@pytest.mark.parametrize("end", ["", "-", "-p", "-d", "-px", "-d²", "3"])
def test_an_id_of_nobody_is_refused(name: str, end: str) -> None:
    scene = random_scene(1, 3)
    with pytest.raises(ValueError, match="no person"):
        task_of(name).triplet(scene, f"{scene.id}{end}")


def test_whom_nobody_covers_cannot_be_completed() -> None:
    scene = random_scene(3, 4)
    front = scene.layers[-1].person.id
    with pytest.raises(ValueError, match="nobody covers"):
        task_of("deocclude").triplet(scene, f"{scene.id}-d{front}")


def test_an_unknown_task_is_one_line_with_a_suggestion(data: Path) -> None:
    for ask in (Dataset.open(data).task_ids, Dataset.open(data).triplet):
        with pytest.raises(UserError, match=r"unknown task 'erase-al': .*erase-all"):
            ask("erase-al", "test")
    assert keeps("of-a-plug-in-that-is-gone")
    assert not keeps("erase-all")


def test_every_mask_of_a_built_data_set_reads_alike(data: Path) -> None:
    """Whoever reads a sample, in whatever order and from whichever data set object, is shown the same."""
    one, other = Dataset.open(data), Dataset.open(data)
    for task in one.tasks("test"):
        ids = one.task_ids(task, "test")[:4]
        for mask in MARKINGS:
            first = {name: one.triplet(task, name, mask=mask) for name in ids}
            for name in reversed(ids):
                again = other.triplet(task, name, mask=mask)
                assert np.array_equal(again.mask_shown, first[name].mask_shown)
                assert np.array_equal(again.mask, one.triplet(task, name).mask)
                assert again.meta == first[name].meta
                assert (again.effect is None) == (mask != "person")
    assert one.triplet("erase-all", one.task_ids("erase-all", "test")[0], FOOTPRINT).shown is None


def test_a_plug_in_is_asked_scored_shown_and_exported(
    plugin: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset.open(data)
    ids = dataset.task_ids(plugin, "test")
    assert ids == [
        f"{row['id']}-front" for row in dataset.rows() if row["split"] == "test" and row["people"] > 1
    ]
    assert plugin in dataset.tasks("test")
    for name in ids[:2]:
        triplet = dataset.triplet(plugin, name)
        scene = dataset.scene(dataset.row_of(plugin, name)["id"])
        assert triplet.id == name
        assert np.array_equal(triplet.truth, scene.composite([scene.layers[-1].person.id]))
    with pytest.raises(UserError, match="the id does not say whom"):
        dataset.triplet(plugin, ids[0].removesuffix("-front"))

    specs = [MethodSpec("oracle"), MethodSpec("copy")]
    made = evaluate(dataset, plugin, "test", specs, out=tmp_path / "runs", metrics=["psnr"], device="cpu")
    oracle, copy = made.summaries
    assert oracle.task == plugin
    assert oracle.scored == len(ids)
    assert oracle.estimate("psnr.overlap.pasted").value > copy.estimate("psnr.overlap.pasted").value

    page = tmp_path / "report.html"
    assert invoke("report", tmp_path / "runs", "--dataset", data, "--out", page) == 0
    assert f"{plugin} on " in page.read_text()
    media = Media(Gallery.open([tmp_path / "runs"], data), tmp_path / "cache")
    truth = media.files(ids[0]).pictures["truth"]
    truth.write()
    assert np.array_equal(read_rgb(truth.path, "truth"), dataset.triplet(plugin, ids[0]).truth)

    given = tmp_path / "given"
    assert invoke("export", data, "--to", "triplets", "--task", plugin, "--out", given) == 0
    assert {path.stem for path in (given / plugin / "mask").iterdir()} == set(ids)
    capsys.readouterr()
    assert invoke("ls", "tasks") == 0
    assert "erase-front" in capsys.readouterr().out


def test_results_of_a_plug_in_that_is_gone_are_still_read(
    plugin: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(
        Dataset.open(data), plugin, "test", [MethodSpec("copy")], out=tmp_path, metrics=["psnr"], device="cpu"
    )
    vars(TASKS)["_targets"] = {name: point for name, point in TASKS._targets.items() if name != plugin}
    capsys.readouterr()
    page = tmp_path / "report.html"
    assert invoke("report", tmp_path, "--dataset", data, "--out", page) == 0
    assert f"no pictures: unknown task '{plugin}'" in capsys.readouterr().err
    assert "overlap" in page.read_text()
