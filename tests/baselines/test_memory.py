"""How pathways are divided by the memory of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from baselines.diffusion.memory import SHARE, Budget
from mildbench import device

TOTAL = 1000


@dataclass
class Gpu:
    """What torch says of a GPU of `TOTAL` bytes."""

    allocated: int = 100
    reserved: int = 100
    peak: int = 100

    def take(self, size: int) -> None:
        """Allocate and give back; torch keeps the block."""
        self.peak = max(self.peak, self.allocated + size)
        self.reserved = max(self.reserved, self.allocated + size)

    def forget(self) -> None:
        self.peak = self.allocated


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    found = Gpu()
    answers: dict[str, Callable[[], object]] = {
        "mem_get_info": lambda: (TOTAL - found.reserved, TOTAL),
        "memory_allocated": lambda: found.allocated,
        "memory_reserved": lambda: found.reserved,
        "max_memory_allocated": lambda: found.peak,
        "reset_peak_memory_stats": found.forget,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, answer=answer: answer())
    monkeypatch.setattr(device, "_peaks", {})
    return found


def lengths(chunks: list[slice]) -> list[int]:
    rows = list(range(chunks[-1].stop))
    assert [row for chunk in chunks for row in rows[chunk]] == rows
    return [len(rows[chunk]) for chunk in chunks]


@pytest.mark.parametrize(
    ("need", "count", "expected"),
    [
        (70, 10, [10]),  # 720 bytes may be used
        (72, 10, [10]),
        (73, 10, [5, 5]),
        (200, 10, [2, 3, 2, 3]),
        (360, 3, [1, 2]),
        (5000, 3, [1, 1, 1]),  # the first will run out, and say so
        (0, 3, [3]),
    ],
)
def test_as_few_chunks_as_fit(gpu: Gpu, need: int, count: int, expected: list[int]) -> None:
    found = lengths(Budget("cuda").chunks(count, (64,), lambda: gpu.take(need)))
    assert found == expected
    if need < TOTAL:
        assert max(found) * need <= SHARE * (TOTAL - gpu.allocated)


def test_only_what_is_larger_than_all_that_was_measured_is_measured(gpu: Gpu) -> None:
    budget = Budget("cuda")
    tried = []

    def chunks(height: int, people: int) -> list[int]:
        def trial() -> None:
            tried.append((height, people))
            gpu.take(height * people)

        return lengths(budget.chunks(4, (height, people), trial))

    assert chunks(50, 4) == [2, 2]
    assert chunks(50, 4) == chunks(40, 3) == [2, 2]
    assert tried == [(50, 4)]
    assert chunks(60, 1) == [4]
    assert chunks(40, 10) == [1, 1, 1, 1]
    assert tried == [(50, 4), (60, 1), (40, 10)]
    assert chunks(55, 1) == [4]
    assert len(tried) == 3


def test_what_cannot_be_divided_is_not_measured() -> None:
    def trial() -> None:
        raise AssertionError

    assert Budget("cpu").chunks(40, (64,), trial) == [slice(0, 40)]
    assert Budget("cuda").chunks(1, (64,), trial) == [slice(0, 1)]


def test_measuring_hides_no_peak_of_a_run(gpu: Gpu) -> None:
    device.reset_peak_memory("cuda")
    gpu.take(600)
    assert device.memory_needed("cuda", lambda: gpu.take(50)) == 50
    assert device.peak_memory("cuda") == 700
    gpu.take(800)
    assert device.peak_memory("cuda") == 900
    device.reset_peak_memory("cuda")
    assert device.peak_memory("cuda") == 100
