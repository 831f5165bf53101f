"""A GPU: the machine's own where it has one, and elsewhere a pretend one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from accelerate.state import AcceleratorState
from pretend_cuda import Gpu, pretend_cuda

REAL = torch.cuda.is_available()


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    """`cuda` is a device within it. A real one notes nothing."""
    if REAL:
        yield Gpu()
        return
    with pretend_cuda() as pretended:
        yield pretended


@pytest.fixture
def pretended(gpu: Gpu) -> Gpu:
    """For tests of what only the pretend device notes."""
    if REAL:
        pytest.skip("a real GPU notes nothing")
    return gpu


@pytest.fixture
def real() -> None:
    """For tests of what only a real GPU can do."""
    if not REAL:
        pytest.skip("no GPU here")


@pytest.fixture
def any_device() -> Iterator[None]:
    """Training on several devices in one process: accelerate would keep to the first."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
