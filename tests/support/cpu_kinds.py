"""Other kinds of CPU: this one with features switched off, and emulated ones; programs run there and compared."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMPY = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"
"""numpy's names of features since version 2.4 and before; it warns of what it does not know."""
OPENCV = "AVX2,AVX,FMA3,FP16,AVX512F,AVX512-COMMON,AVX512-SKX,AVX512-CNL,AVX512-CLX,AVX512-ICL"


@dataclass(frozen=True)
class Kind:
    """A kind of CPU, or of settings that must not matter either."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    emulated: str | None = None
    """The CPU's name in QEMU."""


AS_IT_IS = Kind("as it is")
NOTHING_BUT_SSE = Kind(
    "nothing but SSE, an old BLAS",
    {
        "NPY_DISABLE_CPU_FEATURES": NUMPY,
        "OPENCV_CPU_DISABLE": f"{OPENCV},POPCNT,SSE4.2,SSE4.1,SSSE3",
        "OPENCV_IPP": "disabled",
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4",
    },
)
SWITCHED = (
    AS_IT_IS,
    Kind("numpy without SIMD", {"NPY_DISABLE_CPU_FEATURES": NUMPY}),
    Kind("OpenCV without AVX2", {"OPENCV_CPU_DISABLE": OPENCV}),
    Kind("OpenCV without IPP", {"OPENCV_IPP": "disabled"}),
    NOTHING_BUT_SSE,
    Kind("BLAS for Sandy Bridge, two threads", {"OPENBLAS_CORETYPE": "Sandybridge", "OMP_NUM_THREADS": "2"}),
    Kind("BLAS for Haswell", {"OPENBLAS_CORETYPE": "Haswell"}),
    Kind("BLAS for SkylakeX", {"OPENBLAS_CORETYPE": "SkylakeX"}),
    Kind("BLAS for Zen", {"OPENBLAS_CORETYPE": "ZEN"}),
)
EMULATED = tuple(Kind(f"{name}, emulated", emulated=name) for name in ("Nehalem", "Haswell"))


def run(kind: Kind, script: str | Path, arguments: Sequence[str] = ()) -> list[list[str]]:
    """Name and digest, in their order, of everything that a script prints on this kind of CPU, a JSON list a line."""
    emulator = [] if kind.emulated is None else ["qemu-x86_64", "-cpu", kind.emulated]
    done = subprocess.run(
        [*emulator, sys.executable, str(script), *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | kind.environment,
        capture_output=True,  # OpenCV and numpy warn of each switch
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{kind.name}: {done.stderr or f'{script} ended with {done.returncode}'}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(kinds: Iterable[Kind], script: str | Path, arguments: Sequence[str], most: int = 8) -> bool:
    """Print a line a kind, with the names of at most `most` results that differ; whether all are the same."""
    first: list[list[str]] | None = None
    same = True
    for kind in kinds:
        found = run(kind, script, arguments)
        first = found if first is None else first
        different = [mine[0] for mine, other in zip(found, first, strict=False) if mine != other]
        same &= not different and len(found) == len(first)
        result = (
            f"differs in {', '.join(different[:most])}" if different else f"{len(found)} results, the same"
        )
        print(f"{kind.name:36s} {result}", flush=True)
    return same


def main(
    parser: argparse.ArgumentParser,
    script: str,
    digests: Callable[[argparse.Namespace], Iterable[Sequence[str]]],
    most: int = 8,
    given: Sequence[str] = (),
) -> int:
    """A script that runs itself on each kind: prints digests, or the comparison; returns the exit code.

    Args:
        parser: with what the script takes; `--emulated` and `--digests` are added.
        script: its path.
        digests: makes the results' names and digests of the arguments.
        most: names of results shown where a kind differs.
        given: arguments besides those of the command line.
    """
    parser.add_argument("--emulated", action="store_true", help="emulated CPUs as well")
    parser.add_argument("--digests", action="store_true", help=argparse.SUPPRESS)
    arguments = [*sys.argv[1:], *given]
    options = parser.parse_args(arguments)
    if options.digests:
        for pair in digests(options):
            print(json.dumps(list(pair)), flush=True)
        return 0
    if options.emulated and shutil.which("qemu-x86_64") is None:
        print("no qemu-x86_64 here: install Debian's qemu-user, or leave --emulated out")
        return 2
    kinds = SWITCHED + (EMULATED if options.emulated else ())
    theirs = ["--digests", *(part for part in arguments if part != "--emulated")]
    return 0 if compare(kinds, script, theirs, most) else 1


def digest(*values: object) -> str:
    """Of the bits of all numbers in values: arrays, and what sequences, mappings and dataclasses hold of them."""
    state = hashlib.sha256()
    for value in values:
        _feed(state, value, 4)
    return state.hexdigest()[:16]


def _feed(state: Any, value: object, depth: int) -> None:
    if isinstance(value, np.ndarray):
        state.update(repr((value.dtype.str, value.shape)).encode())
        state.update(np.ascontiguousarray(value).tobytes() if value.dtype != object else b"")
    elif isinstance(value, float | int | str | np.generic | None):
        state.update(repr(value).encode())
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(state, item, depth)
    elif isinstance(value, dict):
        for item in value.items():
            _feed(state, item, depth)
    elif is_dataclass(value) and depth:
        for part in fields(value):
            _feed(state, getattr(value, part.name), depth - 1)
