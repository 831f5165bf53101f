"""How a worker's memory is allocated."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3), from malloc.h."""
MEGABYTE = 2**20


def keep_freed_memory() -> None:
    """Have this process use freed memory again instead of returning it, where the C library is glibc.

    Scenes are made of many arrays of megabytes that live for milliseconds. By default glibc takes each from the
    operating system and gives it back, and every page of it is filled with zeros anew: half the time of a
    cut-out. Memory between arrays that are kept longer is used again all the same; up to 256 MB at the end of
    the heap stay with the process. Arrays above 32 MB, the largest threshold that every glibc takes, are
    returned as before.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 * MEGABYTE)
        libc.mallopt(M_TRIM_THRESHOLD, 256 * MEGABYTE)
