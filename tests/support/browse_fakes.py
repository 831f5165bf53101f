"""Real runs of fake methods, and a metric under a name that saved views are made for, without weights."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from evaluation_fakes import Calls, Difference
from finished_runs import evaluated, registered

from mildbench.dataset import Dataset
from mildbench.metrics.base import METRICS, MetricInfo


class FakeLpips(Difference):
    info = MetricInfo("lpips", "lpips@fake", "mean absolute difference under another name", False, "")


def make_runs(data: Path, out: Path, task: str, *methods: str) -> list[Path]:
    """Run folders, in the order of the methods; `noise` and `attentive` fail on the first sample."""
    lpips = EntryPoint("lpips", "browse_fakes:FakeLpips", "fake")
    with registered(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS._targets, "lpips", lpips)
        Calls.failing = {Dataset.open(data).task_ids(task, "test")[0]}
        return list(evaluated(data, out, *methods, task=task, metrics=("psnr", "lpips", "leak")).values())


SLICES = {"composite", "truth"} | {
    f"{run}{part}" for run in ("noise", "attentive", "oracle") for part in ("", " difference")
}
"""Of a sample that the runs of `noise`, `attentive` and `oracle` have outputs of."""


def documents(made: Any) -> dict[tuple[str, str], Any]:
    """Sample id and slice -> document."""
    every = made.select_group_slices(_allow_mixed=True)
    return {(sample["sample_id"], sample["group"].name): sample for sample in every}
