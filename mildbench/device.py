"""Which device to use, and what a run records of the machine it ran on."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from mildbench.errors import UserError


def resolve_device(name: str) -> str:
    """`auto` becomes `cuda` where torch has it and `cpu` elsewhere; `UserError` for one that is not there."""
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise UserError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return name
    count = gpu_count()
    if kind == "auto":
        return "cuda" if count else "cpu"
    if count == 0:
        raise UserError(f"device {name!r}: no CUDA GPU is usable here (torch sees none): use --device cpu")
    if index and int(index) >= count:
        raise UserError(f"device {name!r}: torch sees {count} GPU(s), numbered from 0")
    return name


def gpu_count() -> int:
    """GPUs that torch can use here; 0 without torch."""
    if importlib.util.find_spec("torch") is None:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """Within it torch, where it is in use, computes in one thread on a CPU, as in a worker beside others.

    Sums that are split over threads differ in their last bits, and so would what a method or an annotator makes.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or device != "cpu":
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_tf32() -> Iterator[None]:
    """Within it torch, where it is in use, convolves float32 in full.

    cuDNN's default rounds it to 10 bits, and a GPU would compute unlike a CPU.
    """
    torch: Any = sys.modules.get("torch")
    # Methods of others may run on a torch older than ours need, from before 2.9, which has no such setting.
    convolutions = None if torch is None else getattr(torch.backends.cudnn, "conv", None)
    if convolutions is None:
        yield
        return
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before


def describe(device: str) -> dict[str, str]:
    """Versions and hardware that can move a number; torch only where something has imported it already."""
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "cv2": cv2.__version__,
    }
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        facts["torch"] = str(torch.__version__)
        if device.startswith("cuda"):
            facts["gpu"] = torch.cuda.get_device_name(device)
            facts["cuda"] = str(torch.version.cuda)
    return facts


_peaks: dict[str, int] = {}
"""By device: the highest peak from before `memory_needed` had torch count anew."""


def reset_peak_memory(device: str) -> None:
    """Start counting anew for `peak_memory`."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        _peaks.pop(device, None)
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: str) -> int | None:
    """Bytes that torch had allocated on the GPU at most; None on a CPU, where nothing counts them cheaply."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return None
    return max(_peaks.get(device, 0), int(torch.cuda.max_memory_allocated(device)))


def memory_needed(device: str, do: Callable[[], object]) -> int:
    """Bytes that a call has allocated on the GPU at most, beside those before it; `peak_memory` counts on."""
    torch: Any = sys.modules["torch"]
    _peaks[device] = max(_peaks.get(device, 0), int(torch.cuda.max_memory_allocated(device)))
    torch.cuda.reset_peak_memory_stats(device)
    before = int(torch.cuda.memory_allocated(device))
    do()
    return int(torch.cuda.max_memory_allocated(device)) - before
