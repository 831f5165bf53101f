"""What surrounds a method's `erase`."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from batches import batch

from mildbench.method import EraseBatch, EraseMethod, EraseResult, MethodInfo


class OneAtATime(EraseMethod):
    """Has room for one sample; notes whether what it needed for more is still held when it is asked again."""

    info = MethodInfo("one-at-a-time", "external", "for tests")

    def __init__(self) -> None:
        self.held: list[bool] = []
        self._needed: weakref.ref[np.ndarray] | None = None

    def erase(self, batch: EraseBatch) -> EraseResult:
        if self._needed is not None:
            self.held.append(self._needed() is not None)
        needed = batch.images.astype(np.float32)
        if len(batch) > 1:
            self._needed = weakref.ref(needed)
            raise MemoryError("no room")
        return EraseResult(needed.astype(np.uint8))


class Precision(EraseMethod):
    """Notes how float32 is convolved, where this torch can tell."""

    info = MethodInfo("precision", "external", "for tests")

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def erase(self, batch: EraseBatch) -> EraseResult:
        if convolutions := getattr(torch.backends.cudnn, "conv", None):
            self.seen.add(convolutions.fp32_precision)
        return EraseResult(batch.images)


def test_what_a_failed_batch_needed_is_free_when_its_samples_run_alone() -> None:
    method = OneAtATime()
    outcomes = method.run(batch(3))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert method.held == [False] * 3


def test_a_method_convolves_in_full_precision_and_leaves_the_setting() -> None:
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # not in the stubs
    before = convolutions.fp32_precision
    method = Precision()
    method.run(batch(1))
    assert method.seen == {"ieee"}
    assert convolutions.fp32_precision == before != "ieee"


def test_a_method_runs_on_a_torch_without_that_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(type(torch.backends.cudnn), "conv")
    method = Precision()
    assert [outcome.error for outcome in method.run(batch(1))] == [None]
    assert not method.seen
