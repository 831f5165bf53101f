"""`mildbench ablate` as a user meets it: rows trained alike, compared with the first, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import invoke
from small import small_dataset

from baselines.ablations import FOLDER
from mildbench.ablation import study as studies
from mildbench.ablation.result import Ablation, markdown
from mildbench.errors import UserError
from mildbench.method import MethodSpec
from mildbench.training.trainer import TRAINERS

STUDY = """\
description: What more steps and a critic give.
task: erase-all
columns: [psnr.mask.pasted, ssim.mask.pasted]
rows:
  all: {train: "lama:adversarial=false", method: "lama:variant=tiny,weights={}/model.safetensors"}
  half: {train: "lama:adversarial=false", share: 0.5, method: "lama:variant=tiny,weights={}/model.safetensors"}
  control: {method: telea}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("small"), ("train", "val", "test"))


def ablate(study: Path | str, dataset: Path, out: Path) -> int:
    numbers = {"--steps": 4, "--size": 64, "--batch-size": 2, "--workers": 0, "--device": "cpu", "--out": out}
    return invoke("ablate", study, "--dataset", dataset, *(word for pair in numbers.items() for word in pair))


@pytest.mark.slow
@pytest.mark.usefixtures("without_curves")
def test_rows_are_trained_compared_and_kept(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "steps.yaml"
    study.write_text(STUDY)
    assert ablate(study, dataset, Path("ablations")) == 0
    text = (tmp_path / "ablations/steps.json").read_text()
    assert str(tmp_path) not in text
    assert str(dataset) not in text
    result = Ablation.model_validate_json(text)
    assert [row.name for row in result.rows] == ["all", "half", "control"]
    assert [row.training and row.training.exported for row in result.rows] == [4, 2, None]

    # The table says what the comparison file says, with the first row's sign.
    column = "psnr.mask.pasted"
    first, _, control = (row.summary for row in result.rows)
    compared = result.comparison.column(column)
    assert compared is not None
    pair = next(p for p in compared.pairs if {p.first, p.second} == {first.run, control.run})
    gain = (pair.value or 0.0) * (1 if pair.first == control.run else -1)
    scores = [summary.estimate(column) for summary in (first, control)]
    assert gain == pytest.approx(scores[1].value - scores[0].value)
    table = (tmp_path / "ablations/steps.md").read_text()
    assert table.splitlines()[0] == "What more steps and a critic give."
    line = next(line for line in table.splitlines() if line.startswith("| control"))
    assert f"{scores[1].value:.2f}, {gain:+.2f} [" in line
    assert table.strip() in capsys.readouterr().out

    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(weights) == 2 + 4  # exported, and in the checkpoints kept
    assert ablate(study, dataset, Path("ablations")) == 0
    assert weights == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert (
        Ablation.model_validate_json((tmp_path / "ablations/steps.json").read_text()).rows[1]
        == result.rows[1]
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (STUDY.replace("erase-all", "erase-none"), "erase-none"),
        (STUDY.replace("telea", "teela"), "did you mean 'telea'"),
        (STUDY.replace('train: "lama:', 'train: "lma:'), "did you mean 'lama'"),
        (STUDY.replace("{}/model", "model"), "names its weights as {}"),
        (STUDY.replace("share: 0.5", "share: 2"), "rows.half.share"),
        (STUDY.replace("share: 0.5, ", ""), "two rows are the same variant"),
        ("- 1", "the file"),
        ("rows: {", "not valid YAML"),
        (STUDY + "  all: {method: blur}\n", "'all' is given twice"),
        (
            STUDY.replace("ssim.mask", "ssim.musk"),
            "no column 'ssim.musk.pasted': did you mean 'ssim.mask.pasted'",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    wrong: str, told: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(wrong)
    assert ablate(study, dataset, tmp_path / "out") == 2
    message = capsys.readouterr().err
    assert told in message
    assert len(message.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'mild'"):
        studies.load("midl", FOLDER)
    with pytest.raises(UserError, match="cannot be read"):
        studies.load(str(tmp_path / "none.yaml"), FOLDER)


@pytest.mark.parametrize("name", studies.names(FOLDER))
def test_what_is_shipped_can_be_carried_out(name: str) -> None:
    study = studies.load(name, FOLDER)
    for row in study.rows.values():
        MethodSpec.parse(row.method).create()
        if row.train:
            trainer, _, _ = row.train.partition(":")
            assert trainer in TRAINERS.names()


@pytest.mark.parametrize("name", studies.names(FOLDER))
def test_what_is_kept_is_of_the_study_as_it_is(name: str) -> None:
    study, folder = studies.load(name, FOLDER), FOLDER / "results"
    result = Ablation.model_validate_json((folder / f"{name}.json").read_text())
    assert (result.description, result.columns) == (study.description, study.columns)
    assert [row.name for row in result.rows] == list(study.rows)
    trained = [row.training is not None for row in result.rows]
    assert trained == [row.train is not None for row in study.rows.values()]
    assert (folder / f"{name}.md").read_text() == f"{study.description}\n\n{markdown(result)}\n"


def test_a_mean_over_fewer_samples_says_so() -> None:
    name = studies.names(FOLDER)[0]
    result = Ablation.model_validate_json((FOLDER / "results" / f"{name}.json").read_text())
    estimate = result.rows[0].summary.estimate(result.columns[0])
    assert estimate is not None
    assert f"(n {estimate.n})" not in markdown(result)
    object.__setattr__(estimate, "undefined", 3)
    row = markdown(result).splitlines()[2]
    assert row.count(f"(n {estimate.n})") == 1
