"""Fixtures to evaluate fakes with: a registry of fakes, a data set in memory, and how to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke
from evaluation_fakes import Calls, FakeDataset

from mildbench.dataset import Dataset
from mildbench.evaluation.runner import evaluate
from mildbench.method import METHODS, MethodSpec
from mildbench.metrics.base import METRICS
from mildbench.results.summary import RunSummary

FAKE_METHODS = {
    "attentive": "Attentive",
    "copy": "Copy",
    "noise": "Noise",
    "oracle": "Oracle",
    "unweighted": "Unweighted",
    "watcher": "Watcher",
}
FAKE_METRICS = {
    "difference": "Difference",
    "lacking": "Lacking",
    "lpips": "Grain",
    "shift": "Shift",
    "spread": "Spread",
}


def _points(names: dict[str, str]) -> dict[str, EntryPoint]:
    return {name: EntryPoint(name, value, "fake") for name, value in names.items()}


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our fakes, and the real metrics that need no weights."""
    methods = {name: f"evaluation_fakes:{kind}" for name, kind in FAKE_METHODS.items()}
    methods |= {"precomputed": "baselines.precomputed:Precomputed", "telea": "baselines.opencv:Telea"}
    metrics = {name: f"evaluation_fakes:{kind}" for name, kind in FAKE_METRICS.items()}
    metrics |= {
        "amodal-iou": "mildbench.metrics.amodal:AmodalIou",
        "cag": "mildbench.metrics.attention:Cag",
        "cag-kappa": "mildbench.metrics.attention:CagKappa",
        "comp-kappa": "mildbench.metrics.attention:CompletionKappa",
        "foreign": "mildbench.metrics.attention:Foreign",
        "leak": "mildbench.metrics.attention:Leak",
        "psnr": "mildbench.metrics.psnr:Psnr",
        "ssim": "mildbench.metrics.ssim:Ssim",
    }
    monkeypatch.setattr(METHODS, "_targets", _points(methods), raising=False)
    monkeypatch.setattr(METRICS, "_targets", _points(metrics), raising=False)
    monkeypatch.setenv("MILDBENCH_CACHE", str(tmp_path / "no-weights"))
    Calls.clear()


@pytest.fixture
def dataset() -> FakeDataset:
    return FakeDataset()


@pytest.fixture
def command(tmp_path: Path, dataset: FakeDataset, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`command("--method", "copy")` runs in `tmp_path`, where `data/demo` is the fake; returns the exit code."""
    (tmp_path / "data/demo").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Dataset, "open", lambda path: dataset)
    return partial(invoke, "evaluate", "--device", "cpu")


@pytest.fixture
def run(tmp_path: Path, dataset: FakeDataset) -> Callable[..., list[RunSummary]]:
    """`run("noise", "copy", limit=3)`: evaluate into `tmp_path` on the CPU, quietly."""

    def evaluate_here(*methods: str, **changes: Any) -> list[RunSummary]:
        specs = [MethodSpec.parse(text) for text in methods]
        arguments: dict[str, Any] = {
            "out": tmp_path,
            "device": "cpu",
            "metrics": ["psnr", "difference"],
        } | changes
        source = arguments.pop("source", dataset)
        task = arguments.pop("task", "erase-all")
        split = arguments.pop("split", "test")
        return evaluate(source, task, split, specs, **arguments).summaries

    return evaluate_here
