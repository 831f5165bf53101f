"""What a score is: the metric, its options, and the annotator or network with its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from evaluation_fakes import Calls, MeanColour, scores

from mildbench import weights
from mildbench.annotators.base import (
    ANNOTATORS,
    Annotator,
    AnnotatorInfo,
    AnnotatorSpec,
    Found,
    Part,
    Picture,
)
from mildbench.errors import UserError
from mildbench.evaluation import panel
from mildbench.files import file_sha256
from mildbench.metrics.annotated import AnnotatedMetric
from mildbench.metrics.base import METRICS, MetricSpec
from mildbench.metrics.inception import CleanInception
from mildbench.metrics.lpips import Lpips
from mildbench.metrics.pose import PoseOks
from mildbench.metrics.residue import Residue
from mildbench.results.summary import RunSummary

Run = Callable[..., list[RunSummary]]


class Reader(Annotator):
    """Takes for a person whatever is brighter than the number in its model's file."""

    info = AnnotatorInfo("reader", "for tests", frozenset(("people",)), ("numpy",))

    def __init__(self, model: str = "model", score: float = 0.5) -> None:
        self.path = Path(model)
        self.score = score

    def check(self, part: Part) -> None: ...

    def load(self, part: Part) -> None:
        self.level = int(self.path.read_text())

    def weights(self) -> dict[str, str]:
        return {"reader.bin": file_sha256(self.path)}

    def people(self, pictures: list[Picture]) -> list[Found]:
        masks = [(picture.image.max(axis=2) > self.level)[None] for picture in pictures]
        return [Found(mask, np.ones(1, np.float32)) for mask in masks]


@pytest.fixture(autouse=True)
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two models of the annotator `reader`."""
    points = {"reader": EntryPoint("reader", f"{__name__}:Reader", ANNOTATORS.group)}
    monkeypatch.setattr(ANNOTATORS, "_targets", points, raising=False)
    monkeypatch.setattr(ANNOTATORS, "load", lambda name: Reader)
    metrics = {
        name: point for name, point in METRICS._targets.items() if name in ("psnr", "difference", "shift")
    }
    metrics["residue"] = EntryPoint("residue", "mildbench.metrics.residue:Residue", METRICS.group)
    monkeypatch.setattr(METRICS, "_targets", metrics)
    for metric in ("RESIDUE", "POSE"):
        monkeypatch.delenv(f"MILDBENCH_{metric}", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("104")
    Path("b").write_text("250")
    return tmp_path


def residues(root: Path) -> list[float]:
    return scores(root, "noise")["residue.mask.raw"].tolist()


def test_another_annotator_scores_again_and_the_first_is_not_forgotten(run: Run, tmp_path: Path) -> None:
    found = {}
    for model in ("a", "b", "a"):
        (summary,) = run("noise", metrics=["psnr", f"residue:annotator=reader:model={model}"])
        found.setdefault(model, residues(tmp_path))
        assert found[model] == residues(tmp_path)
        (record,) = (metric for metric in summary.metrics if metric.name == "residue")
        assert record.identity == {
            "annotator": "reader",
            "revision": "1",
            "reader.bin": file_sha256(Path(model)),
        }
    assert found["a"] != found["b"]
    assert len(Calls.erased) == 6


def test_an_annotator_of_another_revision_is_another(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = "residue:annotator=reader:model=a"
    (before,) = run("noise", metrics=[spec])
    monkeypatch.setattr(Reader, "info", replace(Reader.info, revision=2))
    (after,) = run("noise", metrics=[spec])
    assert [summary.metrics[0].identity["revision"] for summary in (before, after)] == ["1", "2"]
    assert Reader().versions()["reader"] == "revision 2", "annotations say so as well"


def test_an_annotator_whose_weights_changed_is_another(run: Run, tmp_path: Path) -> None:
    spec = "residue:annotator=reader:model=a"
    run("noise", metrics=[spec])
    before = residues(tmp_path)
    Path("a").write_text("250")
    run("noise", metrics=[spec])
    again = residues(tmp_path)
    run("noise", metrics=[spec], out=tmp_path / "fresh")
    assert again == residues(tmp_path / "fresh") != before


@pytest.mark.parametrize(("metric", "kind"), [("RESIDUE", Residue), ("POSE", PoseOks)])
def test_the_variable_names_the_annotator_where_the_option_does_not(
    monkeypatch: pytest.MonkeyPatch, metric: str, kind: type[AnnotatedMetric]
) -> None:
    assert kind()._spec == AnnotatorSpec("litert")
    monkeypatch.setenv(f"MILDBENCH_{metric}", "reader:model=b")
    assert kind()._spec == AnnotatorSpec("reader", {"model": "b"})
    assert kind("reader:model=a")._spec == AnnotatorSpec("reader", {"model": "a"})


def test_an_annotator_that_the_variable_names_scores_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for model in ("a", "b"):
        monkeypatch.setenv("MILDBENCH_RESIDUE", f"reader:model={model}")
        run("noise", metrics=["residue"])
        found.append(residues(tmp_path))
    assert found[0] != found[1]
    run("noise", metrics=["residue:annotator=reader:model=a"])
    assert residues(tmp_path) == found[0]


def test_a_path_counts_by_content_and_a_number_as_a_number() -> None:
    Path("0.7").write_text("a file that happens to be called so")
    Path("deep").mkdir()
    Path("deep/copy").write_text(Path("a").read_text())

    def identity(options: str) -> dict[str, str]:
        metric = Residue(f"reader:{options}")
        metric.load()
        return metric.identity()

    assert identity("model=a") == identity("model=./deep/copy") != identity("model=b")
    assert identity("model=a,score=0.7")["reader score"] == "0.7"


def test_the_annotator_takes_all_that_follows() -> None:
    spec = MetricSpec.parse("residue:annotator=reader:model=a,score=0.7")
    assert spec == MetricSpec("residue", {"annotator": "reader:model=a,score=0.7"})
    assert MetricSpec.parse("psnr") == MetricSpec("psnr")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (
            ["residue:annotator=reader:model=a", "residue:annotator=reader:model=b"],
            "given with different options",
        ),
        (["residue:models=a"], "metric 'residue' has no option 'models'"),
        (["residue:device=cuda"], "metric 'residue' has no option 'device'"),
        (["psnr:annotator"], "the option 'annotator' has no value"),
    ],
)
def test_mistakes_are_told_before_anything_runs(run: Run, metrics: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run("noise", metrics=metrics)
    assert Calls.erased == []


def test_networks_are_known_by_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = weights.entry("inception-tf")
    assert entry.sha256[:12] in CleanInception().key
    assert Lpips().identity() == {"lpips-alex": weights.digest("lpips-alex")}
    assert MeanColour().key == MeanColour.name
    before = CleanInception().key
    monkeypatch.setattr(weights.store.manifest, "entry", lambda name: replace(entry, sha256="0" * 64))
    assert CleanInception().key != before


def test_the_same_metric_twice_is_one() -> None:
    metrics, lacking = panel.find(["psnr", "psnr"], "cpu")
    assert ([metric.info.name for metric in metrics], lacking) == (["psnr"], [])
