"""`--mask`: what methods are shown is another mask, what must change stays, and the run says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import invoke
from evaluation_fakes import Calls, FakeDataset, folder_of, scores

from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation.run import Config
from mildbench.files import fingerprint
from mildbench.images import read_rgb
from mildbench.marking import FOOTPRINT, MARKINGS
from mildbench.results.summary import RunSummary

Run = Callable[..., list[RunSummary]]


@pytest.fixture(scope="module")
def built(data: Path) -> Dataset:
    return Dataset.open(data)


def config(**changes: str) -> Config:
    return Config(
        revision=1,
        dataset="0" * 64,
        task="erase-all",
        split="test",
        seed=0,
        method="copy",
        versions={},
        options={},
        dtype=None,
        weights={},
        files={},
        **changes,
    )


def test_the_footprint_is_as_if_there_were_no_choice() -> None:
    """Runs, entries and whatever was signed of them keep their identities."""
    default = config()
    assert "mask" not in default.model_dump()
    assert "mask" not in default.model_dump_json()
    assert default == config(mask=FOOTPRINT)
    assert default.hash == fingerprint(
        {name: value for name, value in default.model_dump().items() if name != "corruption"}
    )
    assert Config.model_validate(default.model_dump(mode="json") | {"corruption": ()}) == default


def test_every_mask_has_an_identity_of_its_own() -> None:
    assert len({config(mask=mask).hash for mask in MARKINGS}) == len(MARKINGS)
    person = config(mask="person")
    assert Config.model_validate_json(person.model_dump_json(), strict=False) == person
    assert "person" in person.inputs
    assert config().inputs == ""


@pytest.mark.parametrize("mask", [mask for mask in MARKINGS if mask != FOOTPRINT])
def test_methods_see_it_and_pasting_keeps_the_input_around_it(
    run: Run, built: Dataset, tmp_path: Path, mask: str
) -> None:
    (summary,) = run("watcher", source=built, mask=mask)
    assert summary.config.mask == mask
    assert f"mask {mask}" in summary.label
    folder = folder_of(tmp_path, "watcher")
    rows = scores(tmp_path, "watcher").set_index("id")
    for name in built.task_ids("erase-all", "test"):
        triplet = built.triplet("erase-all", name, mask=mask)
        assert np.array_equal(Calls.shown[name].masks[0], triplet.mask_shown)
        output = read_rgb(folder / "predictions" / f"{name}.png", "prediction")
        for variant, picture in (
            ("raw", output),
            ("pasted", np.where(triplet.mask_shown[..., None], output, triplet.image)),
        ):
            gaps = np.abs(picture.astype(float) - triplet.truth).mean(axis=2)
            found = rows.loc[name, f"difference.mask.{variant}"]
            assert found == pytest.approx(gaps[triplet.mask].mean())
        assert rows.loc[name, "mask_share"] == triplet.mask.mean()


@pytest.mark.parametrize("task", ["erase-all", "erase-one", "deocclude"])
def test_what_is_left_of_effects_is_scored_when_the_person_is_shown(
    run: Run, built: Dataset, task: str
) -> None:
    oracle, copy, noise = run("oracle", "copy", "noise", source=built, mask="person", task=task)
    shares = [built.triplet(task, name, mask="person").effect.any() for name in built.task_ids(task, "test")]
    assert any(shares)
    assert oracle.estimate("difference.effect.raw").value == 0
    left = copy.estimate("difference.effect.raw")
    assert left.n == sum(shares)
    assert left.value > 0
    for summary in (oracle, copy, noise):  # nobody's pasted output differs from the input there
        assert summary.estimate("difference.effect.pasted").value == left.value
    assert all(item.region != "effect" for item in run("copy", source=built, task=task)[0].estimates)


def test_a_grown_mask_lets_pasting_reach_the_shadow(run: Run, built: Dataset) -> None:
    (tight,) = run("oracle", source=built, mask="person")
    (grown,) = run("oracle", source=built, mask="person", paste_dilation=128)
    column = "difference.effect.pasted"
    assert grown.estimate(column).value == 0 < tight.estimate(column).value


def test_batches_and_neighbours_change_nothing(run: Run, built: Dataset, tmp_path: Path) -> None:
    tables = []
    for size in (1, 3):
        out = tmp_path / str(size)
        run("noise", source=built, mask="scribble", batch_size=size, out=out)
        tables.append(scores(out, "noise"))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.slow
def test_two_masks_are_two_runs_and_never_one_section(
    run: Run, built: Dataset, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (usual,) = run("copy", source=built)
    (other,) = run("copy", source=built, mask="box")
    assert usual.run != other.run
    page = tmp_path / "report.html"
    assert invoke("report", tmp_path, "--dataset", data, "--out", page) == 0
    assert page.read_text().count("mask shown: box") >= 1
    capsys.readouterr()
    assert invoke("figure", tmp_path, "--dataset", data, "--out", tmp_path / "figure.png") == 2
    assert "these runs are of several" in capsys.readouterr().err


def test_an_unknown_mask_is_told_before_anything_is_made(
    run: Run, dataset: FakeDataset, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"unknown mask 'persn': .*person"):
        run("noise", source=dataset, mask="persn")
    assert not list(tmp_path.iterdir())
