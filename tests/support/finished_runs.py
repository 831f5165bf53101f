"""Finished runs on a small data set, for what reads runs from disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from evaluation_fakes import Calls

from mildbench.dataset import Dataset
from mildbench.evaluation.runner import evaluate
from mildbench.method import METHODS, MethodSpec
from mildbench.metrics.base import METRICS

FAKES = {
    METHODS: {
        "attentive": "evaluation_fakes:Attentive",
        "copy": "baselines.controls:Copy",
        "noise": "evaluation_fakes:Noise",
        "oracle": "baselines.controls:Oracle",
        "precise": "evaluation_fakes:Precise",
        "precomputed": "baselines.precomputed:Precomputed",
        "telea": "baselines.opencv:Telea",
    },
    METRICS: {
        "amodal-iou": "mildbench.metrics.amodal:AmodalIou",
        "cag": "mildbench.metrics.attention:Cag",
        "cag-kappa": "mildbench.metrics.attention:CagKappa",
        "kept-kappa": "mildbench.metrics.attention:KeptKappa",
        "kept-logodds": "mildbench.metrics.attention:KeptLogOdds",
        "comp-kappa": "mildbench.metrics.attention:CompletionKappa",
        "foreign": "mildbench.metrics.attention:Foreign",
        "lacking": "evaluation_fakes:Lacking",
        "leak": "mildbench.metrics.attention:Leak",
        "psnr": "mildbench.metrics.psnr:Psnr",
        "shift": "evaluation_fakes:Shift",
        "ssim": "mildbench.metrics.ssim:Ssim",
    },
}


@contextmanager
def registered() -> Iterator[None]:
    """The methods and metrics of `FAKES`, and no others."""
    with pytest.MonkeyPatch.context() as patch:
        for registry, names in FAKES.items():
            points = {name: EntryPoint(name, target, "fake") for name, target in names.items()}
            patch.setattr(registry, "_targets", points, raising=False)
        Calls.clear()
        yield
        Calls.clear()


def evaluated(
    data: Path,
    out: Path,
    *methods: str,
    task: str = "erase-one",
    metrics: tuple[str, ...] = ("psnr", "ssim"),
    limit: int | None = None,
) -> dict[str, Path]:
    """Evaluate on the CPU; method as written -> its run's folder."""
    specs = [MethodSpec.parse(text) for text in methods]
    dataset = Dataset.open(data)
    made = evaluate(dataset, task, "test", specs, out=out, metrics=metrics, device="cpu", limit=limit)
    return {text: run.folder.path for text, run in zip(methods, made.runs, strict=True)}


def contenders(data: Path, out: Path, task: str, metrics: tuple[str, ...]) -> dict[str, Path]:
    """Controls, a real method, random weights with attention, and `noise:strength=90`, which fails on one sample."""
    with registered():
        names = ("copy", "telea", "noise", "attentive", "oracle")
        found = evaluated(data, out, *names, task=task, metrics=metrics)
        Calls.failing = {Dataset.open(data).task_ids(task, "test")[0]}
        return found | evaluated(data, out, "noise:strength=90", task=task, metrics=metrics)
