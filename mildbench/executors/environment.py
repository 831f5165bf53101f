"""What the processes find that an engine starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = "OMP_NUM_THREADS"
"""Read by OpenMP, OpenBLAS and MKL when they are loaded, so before a worker's first line of ours."""

GPUS = "CUDA_VISIBLE_DEVICES"
"""Read by CUDA when it is first used: the GPUs of this process."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """What is started meanwhile computes in one thread, as the shards are the parallelism; a user's wish stands."""
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[THREADS]
