"""Networks in full single precision, whatever the process has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mildbench.device import without_tf32


@contextmanager
def full_precision() -> Iterator[None]:
    """Inference without TF32."""
    with without_tf32(), torch.inference_mode():
        yield
