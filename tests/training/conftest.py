"""Quick runs that the tests of training share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from training_fakes import FakeScenes, LinearTrainer

from mildbench.training import loop
from mildbench.training.loop import TrainingOutcome, train
from mildbench.training.record import TrainingRecord
from mildbench.training.settings import Execution, TrainingSettings
from mildbench.training.trainer import Trainer

Run = Callable[..., TrainingOutcome]

SETTINGS = TrainingSettings(steps=12, batch_size=4, size=32, lr=1e-2, warmup=2, ema=0.9)
EXECUTION = Execution(device="cpu", save_every=4)


def _run(
    folder: Path,
    trainer: Trainer | None = None,
    out: str = "run",
    source: FakeScenes | None = None,
    **given: Any,
) -> TrainingOutcome:
    execution = replace(EXECUTION, **{key: given.pop(key) for key in list(given) if hasattr(EXECUTION, key)})
    settings = replace(SETTINGS, **given)
    scenes = source or FakeScenes(size=settings.size)
    chosen = trainer or LinearTrainer()
    fresh = TrainingRecord.fresh(chosen.info.name, {}, scenes, settings)
    return train(chosen, scenes, fresh, settings, execution, folder / out)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(trainer, out=..., source=..., SETTING=..., ...)` trains in the test's folder."""
    return partial(_run, tmp_path)


@pytest.fixture(autouse=True)
def undrawn(without_curves: None) -> None:
    """Only `unbroken` has curves."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scenes to validate on, and panels of two steps."""
    monkeypatch.setattr(loop, "_VALIDATION", 2)
    monkeypatch.setattr("baselines.diffusion.training.base.PANEL_STEPS", 2)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; not to be changed."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert _run(folder).finished
    return folder / "run"
