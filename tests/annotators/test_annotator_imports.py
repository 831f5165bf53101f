"""No model library is imported unless its back end is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_annotator import FakeAnnotator
from typer.testing import CliRunner

from mildbench.annotators import ANNOTATORS
from mildbench.cli import commands
from mildbench.cli.doctor import _annotators
from mildbench.dataset import Dataset

HEAVY = (
    "torch",
    "torchvision",
    "transformers",
    "ai_edge_litert",
    "detectron2",
    "mmpose",
    "mmcv",
    "tensorflow",
)


def modules_after(code: str) -> list[str]:
    shown = f"import sys\n{code}\nprint('heavy:', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return done.stdout.rpartition("heavy:")[2].split()


def test_listing_every_annotator_imports_none_of_their_libraries() -> None:
    code = (
        "from mildbench.annotators import ANNOTATORS\n"
        "for name in ANNOTATORS.names():\n"
        "    annotator = ANNOTATORS.load(name)\n"
        "    annotator.lacking()\n"
        "    annotator()"
    )
    assert modules_after(code) == []


def test_the_commands_import_what_their_annotator_needs_and_no_more(testdata: Path) -> None:
    load = f"AnnotatorSpec.parse('litert:models={testdata / 'weights'}').create('people')"
    assert modules_after(f"from mildbench.annotators import AnnotatorSpec\n{load}") == ["ai_edge_litert"]
    assert (
        modules_after("import mildbench.annotators.segment, mildbench.annotators.quality, mildbench.photo")
        == []
    )


def test_annotate_and_evaluate_annotations_on_the_command_line(dataset_folder: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(commands(), ["annotate", str(dataset_folder), "--pose", "fake", "--split", "train"])
    assert done.exit_code == 0, done.output
    assert "pictures annotated" in done.output
    assert "fake.bin (sha256 000000000000)" in done.output
    arguments = [
        "evaluate-annotations",
        str(dataset_folder),
        "--pose",
        "fake",
        "--parsing",
        "fake",
        "--name",
        "two",
    ]
    done = runner.invoke(commands(), arguments)
    assert done.exit_code == 0, done.output
    assert (dataset_folder / "annotations" / "two" / "quality_test.json").is_file()
    calls = len(FakeAnnotator.asked)
    assert runner.invoke(commands(), arguments).exit_code == 0
    assert len(FakeAnnotator.asked) == calls
    assert np.sum([len(asked) for asked in FakeAnnotator.asked]) == sum(
        Dataset.open(dataset_folder).info.samples.values()
    )


def test_every_annotator_says_what_it_lacks_and_how_to_get_it() -> None:
    for name in ("litert", "torchvision", "transformers", "detectron2", "mmpose"):
        kind = ANNOTATORS.load(name)
        assert kind.info.name == name
        assert all(callable(getattr(kind, part)) and part in vars(kind) for part in kind.info.parts)
        if lacking := kind.lacking():
            assert lacking.startswith("needs ")
            assert kind.info.install in lacking


def test_doctor_says_which_weights_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path))
    lacks = {one.name: one.lacks for one in _annotators()}
    assert f"no movenet*lightning*.tflite under {tmp_path / 'weights' / 'litert'}" in lacks["litert (pose)"]
    models = tmp_path / "weights" / "litert"
    models.mkdir(parents=True)
    (models / "movenet_lightning.tflite").touch()
    assert {one.name: one.lacks for one in _annotators()}["litert (pose)"] == ""
