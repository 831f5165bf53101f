"""`import mildbench as mb`: what a notebook and a script meet."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from command_line import invoke

import mildbench as mb
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.evaluation.runner import Evaluation
from mildbench.images import read_rgb, write_png
from mildbench.photo import dilated

HEAVY = ("torch", "pandas", "pyarrow", "numpy", "cv2", "matplotlib", "diffusers", "transformers", "fiftyone")


@pytest.fixture
def opened(data: Path) -> Dataset:
    return mb.open(data)


def loaded_by(code: str) -> set[str]:
    """The heavy modules that a fresh Python has after running `code`."""
    told = f"{code}\nimport sys; print(*sorted(set({HEAVY!r}).intersection(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_is_light_and_data_sets_need_no_torch(data: Path) -> None:
    assert loaded_by("import mildbench as mb; dir(mb)") == set()
    listed = loaded_by("import mildbench as mb; list(mb.methods), list(mb.metrics), repr(mb.metrics)")
    assert listed.isdisjoint({"torch", "pandas", "pyarrow"})
    used = loaded_by(f"import mildbench as mb; data = mb.open({str(data)!r}); data[0].panel, len(data)")
    assert used.isdisjoint({"torch", "diffusers", "transformers"})


def test_all_that_is_promised_is_there_and_nothing_else_is_made_up() -> None:
    assert {"erase", "evaluate", "methods", "metrics", "open", "score"} <= set(dir(mb))
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        mb.evaluat  # noqa: B018


def test_a_data_set_is_the_sequence_of_its_triplets(opened: Dataset) -> None:
    every = [*opened.task_ids("erase-all", "test"), *opened.task_ids("erase-all", "train")]
    assert sorted(triplet.id for triplet in opened) == sorted(every)
    assert len(opened) == len(every) == len(opened.samples)
    assert opened[0].id == next(iter(opened)).id
    assert opened[-1].id == opened[len(opened) - 1].id
    assert [triplet.id for triplet in opened[2:4]] == [opened[2].id, opened[3].id]
    assert opened[every[1]].id == every[1]
    with pytest.raises(IndexError):
        opened[len(opened)]
    with pytest.raises(UserError, match="no sample 'nobody'"):
        opened["nobody"]


def test_triplets_are_those_of_a_task_and_split(opened: Dataset) -> None:
    found = opened.triplets("erase-one", "train", mask="box")
    assert list(found.ids) == opened.task_ids("erase-one", "train")
    expected = opened.triplet("erase-one", found.ids[3], "box")
    np.testing.assert_array_equal(found[3].mask_shown, expected.mask_shown)
    with pytest.raises(UserError, match="no split 'tset'"):
        opened.triplets("erase-one", "tset")
    with pytest.raises(UserError, match="did you mean 'box'"):
        opened.triplets(mask="bax")


def test_tensors_are_the_triplets_also_in_another_process(opened: Dataset) -> None:
    tensors = opened.torch_dataset("erase-one", "test")
    reopened = pickle.loads(pickle.dumps(tensors))
    expected = opened.triplets("erase-one", "test")
    assert len(reopened) == len(expected)
    for place in (0, len(expected) - 1):
        made, triplet = reopened[place], expected[place]
        assert made["id"] == triplet.id
        np.testing.assert_array_equal(made["image"].permute(1, 2, 0).numpy(), triplet.image)
        np.testing.assert_array_equal(made["truth"].permute(1, 2, 0).numpy(), triplet.truth)
        np.testing.assert_array_equal(made["mask"][0].numpy(), triplet.mask)
    batch = next(iter(torch.utils.data.DataLoader(tensors, batch_size=3, num_workers=1)))
    assert batch["image"].shape == (3, 3, 128, 128)
    assert batch["mask"].dtype == torch.bool


def test_erasing_leaves_all_else_and_is_what_the_command_makes(opened: Dataset, tmp_path: Path) -> None:
    triplet = opened.triplets("erase-one", "test")[0]
    erased = mb.erase(triplet.image, triplet.mask, method="telea")
    outside = ~dilated(triplet.mask)
    np.testing.assert_array_equal(erased[outside], triplet.image[outside])
    assert (erased[triplet.mask] != triplet.image[triplet.mask]).any()
    write_png(tmp_path / "photo.png", triplet.image)
    write_png(tmp_path / "mask.png", triplet.mask.astype(np.uint8) * 255)
    files = [tmp_path / "photo.png", "--people", tmp_path / "mask.png", "--out", tmp_path / "out"]
    assert invoke("erase", *files, "--method", "telea") == 0
    np.testing.assert_array_equal(read_rgb(tmp_path / "out" / "photo.png"), erased)


def test_a_mask_may_number_people(opened: Dataset) -> None:
    image = opened[0].image
    numbers = np.zeros(image.shape[:2], np.int64)
    numbers[10:30, 10:30], numbers[60:90, 60:90] = 3, 700
    both = mb.erase(image, numbers, method="telea")
    assert (both[12:28, 12:28] != image[12:28, 12:28]).any()
    assert (both[62:88, 62:88] != image[62:88, 62:88]).any()
    nobody = mb.erase(image, np.zeros(image.shape[:2], bool), method="telea")
    np.testing.assert_array_equal(nobody, image)


def test_a_soft_mask_is_one_thing_cut_where_a_file_would_be(opened: Dataset) -> None:
    image, mask = opened[0].image, opened[0].mask.astype(np.uint8) * 255
    soft = cv2.GaussianBlur(mask, (0, 0), 2)
    assert len(np.unique(soft)) > 10
    hard = mb.erase(image, soft > soft.max() / 2, method="telea")
    np.testing.assert_array_equal(mb.erase(image, soft, method="telea"), hard)


def test_what_is_erased_is_an_array_that_a_notebook_shows(opened: Dataset) -> None:
    erased = mb.erase(opened[0].image, opened[0].mask, method="telea")
    shown = cv2.imdecode(np.frombuffer(erased._repr_png_() or b"", np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    np.testing.assert_array_equal(cv2.cvtColor(shown, cv2.COLOR_BGR2RGB), erased)
    assert type(erased + 1) is np.ndarray
    assert isinstance(erased.mean(), float)
    assert erased[..., 0]._repr_png_() is None


@pytest.mark.parametrize(
    ("image", "mask", "method", "message"),
    [
        (np.zeros((8, 8, 3)), np.zeros((8, 8), bool), "telea", r"the image is float64\[8, 8, 3\]"),
        (
            np.zeros((0, 8, 3), np.uint8),
            np.zeros((0, 8), np.uint8),
            "telea",
            r"the image is uint8\[0, 8, 3\]",
        ),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9), bool), "telea", r"the mask is bool\[8, 9\]"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8)), "telea", r"the mask is float64"),
        (np.zeros((8, 8, 3), np.uint8), np.full((8, 8), -1), "telea", r"the mask has the number -1"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool), "tela", "did you mean 'telea'"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool), "oracle", "needs a data set"),
    ],
)
def test_what_cannot_be_erased_is_told(
    image: np.ndarray, mask: np.ndarray, method: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        mb.erase(image, mask, method=method)


@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    out = tmp_path_factory.mktemp("runs")
    metrics = ["psnr", "ssim"]
    return mb.evaluate(
        data, ["copy", "telea"], task="erase-one", metrics=metrics, limit=9, device="cpu", out=out
    )


def test_one_score_is_that_of_a_run(opened: Dataset, evaluated: Evaluation) -> None:
    rows = evaluated.scores[evaluated.scores["method"] == "telea"].set_index("id")
    (run,) = (run for run in evaluated.runs if run.summary.label == "telea")
    for name in (rows.index[0], rows.index[-1]):
        output = read_rgb(run.folder.prediction(name))
        found = mb.score(output, opened.triplet("erase-one", name), ["psnr", "ssim"], device="cpu")
        for metric in ("psnr", "ssim"):
            for region in found.columns:
                np.testing.assert_allclose(
                    found.loc[metric, region], rows.loc[name, f"{metric}.{region}.raw"], rtol=1e-12
                )


def test_the_exact_answer_scores_best_and_what_cannot_be_scored_is_told(opened: Dataset) -> None:
    triplet = opened[0]
    found = mb.score(triplet.truth, triplet, "psnr")
    assert np.isinf(found.loc["psnr", "mask"])
    assert set(mb.score(triplet.truth, triplet).index) >= {"psnr", "ssim"}
    with pytest.raises(UserError, match=r"the output for 0+ is uint8\[127, 128, 3\]"):
        mb.score(triplet.truth[1:], triplet, "psnr")
    with pytest.raises(UserError, match="did you mean 'psnr'"):
        mb.score(triplet.truth, triplet, "pnsr")
    with pytest.raises(UserError, match="'amodal-iou' is not of a single picture"):
        mb.score(triplet.truth, triplet, ["psnr", "amodal-iou"])
    with pytest.raises(UserError, match="mildbench weights fetch lpips-alex"):
        mb.score(triplet.truth, triplet, "lpips")


def test_tables_hold_what_the_summaries_say(evaluated: Evaluation) -> None:
    table = evaluated.table
    assert list(table.index) == list(evaluated.board.names.values())
    assert table["psnr.mask.pasted"].is_monotonic_decreasing
    estimates = evaluated.estimates.set_index(["method", "metric", "region", "variant"])
    for summary in evaluated.summaries:
        for item in summary.estimates:
            row = estimates.loc[(summary.label, item.metric, item.region, item.variant)]
            assert row["n"] == item.n
            np.testing.assert_equal(row["value"], np.nan if item.value is None else item.value)
    assert len(evaluated.scores) == 2 * 9
    assert not evaluated.scores.duplicated(["method", "id"]).any()
    people = evaluated.strata[
        (evaluated.strata["by"] == "people") & (evaluated.strata["region"] == "mask")
    ].groupby(["method", "metric", "variant"])
    assert (people["n"].sum() == 9).all()


def test_a_notebook_shows_names_as_text(evaluated: Evaluation, opened: Dataset) -> None:
    shown = evaluated._repr_html_()
    for text in ("telea", "copy", "psnr", "±", "erase-one on multi-ip (test), 9 samples"):
        assert text in shown
    assert opened._repr_html_().count("data:image/png;base64,") == 3
    triplet = opened[0]
    panel = cv2.imdecode(np.frombuffer(triplet._repr_png_(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(panel[:, :128], triplet.image)
    np.testing.assert_array_equal(panel[:, -128:], triplet.truth)
    assert (panel[:, 130:258][triplet.mask] == 255).all()
    composite = cv2.imdecode(np.frombuffer(opened.scene(triplet.id)._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(composite[..., ::-1], triplet.image)
    from mildbench.notebook import line, table

    assert "<script>" not in line("<script>") + table(["<script>"], [["<script>"]], ["<script>"])


def test_a_predictions_folder_and_a_backbone_are_options_here_too(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="predictions folder not found: nowhere"):
        mb.evaluate(data, predictions=["nowhere"], out=tmp_path)
    with pytest.raises(UserError, match="nothing to evaluate"):
        mb.evaluate(data, out=tmp_path)
    with pytest.raises(UserError, match=r"no method here has such an option \(telea\)"):
        mb.evaluate(data, "telea", backbone="tiny", out=tmp_path)
    with pytest.raises(UserError, match="data set not found: nowhere: make it with: mildbench build-dataset"):
        mb.evaluate("nowhere", "telea", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_listings_say_what_is_installed() -> None:
    assert "telea" in mb.methods
    assert "nothing" not in mb.methods
    assert list(mb.methods) == sorted(mb.methods)
    assert mb.methods["lama"].name == "lama"
    assert mb.metrics["psnr"].unit == "dB"
    assert len(mb.metrics) == len(mb.metrics.frame) == len(list(mb.metrics))
    assert isinstance(mb.methods.frame, pd.DataFrame)
    assert "<td>telea</td>" in mb.methods._repr_html_()
    with pytest.raises(UserError, match="did you mean 'psnr'"):
        mb.metrics["pnsr"]
