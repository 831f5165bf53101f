"""Networks in full single precision, whatever the process has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Inference without TF32: cuDNN's default rounds to 10 bits, and a GPU would score unlike a CPU."""
    convolutions: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # not in the stubs
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        with torch.inference_mode():
            yield
    finally:
        convolutions.fp32_precision = before
