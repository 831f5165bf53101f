"""The same people and places on other kinds of CPU, without a single file.

    python tests/portability/world.py --people 30 --places 30      switch features of this CPU off
    python tests/portability/world.py --emulated --people 2        emulated CPUs too, by Debian's qemu-user; slow
    python tests/portability/world.py --functions --people 1       where a difference arises

Each kind of CPU makes a digest of every person and place. With --functions it makes one of whatever each function of
`synth` returns, in the order of the calls, and the first that differs is named: what it calls has been the same until
then, so the difference is its own. One line a kind; the exit code is 1 if any differs.

What came out, with numpy 2.4 and OpenCV 4 on an x86-64 CPU with AVX2, so far: every exact operation the same with
nothing but SSE; those, two people and one place the same emulated by QEMU as Nehalem. The other kinds have not been
run on this code.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import cpu_kinds
import exact_operations

import synth
from synth import embedded

ROOT = str(Path(synth.__file__).parent)
STATURE = 480


@dataclass(frozen=True)
class Kind:
    """A kind of CPU, or of settings that must not matter either."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    emulated: str | None = None
    """The CPU's name in QEMU."""


AS_IT_IS = Kind("as it is")
NOTHING_BUT_SSE = Kind("nothing but SSE, an old BLAS", cpu_kinds.NOTHING_BUT_SSE)
SWITCHED = (
    AS_IT_IS,
    Kind("numpy without SIMD", {"NPY_DISABLE_CPU_FEATURES": cpu_kinds.NUMPY}),
    Kind("OpenCV without AVX2", {"OPENCV_CPU_DISABLE": cpu_kinds.OPENCV}),
    Kind("OpenCV without IPP", {"OPENCV_IPP": "disabled"}),
    NOTHING_BUT_SSE,
    Kind("BLAS for Nehalem", {"OPENBLAS_CORETYPE": "Nehalem"}),
    Kind("BLAS for Haswell, two threads", {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2"}),
    Kind("BLAS for SkylakeX", {"OPENBLAS_CORETYPE": "SkylakeX"}),
    Kind("BLAS for Zen", {"OPENBLAS_CORETYPE": "ZEN"}),
)
EMULATED = tuple(Kind(f"{name}, emulated", emulated=name) for name in ("Nehalem", "Haswell"))


def main() -> int:
    """Compare the kinds; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--places", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--side", type=int, default=256, help="of a place, in pixels (default: 256)")
    parser.add_argument("--functions", action="store_true", help="name the function that differs first")
    parser.add_argument("--emulated", action="store_true", help="emulated CPUs as well")
    parser.add_argument("--digests", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = [str(options.people), str(options.places), str(options.side)]
    if options.digests:
        made = digests(options.people, options.places, options.side)
        for name, digest in recorded(made) if options.functions else made:
            print(json.dumps([name, digest]), flush=True)
        return 0
    if options.emulated and shutil.which("qemu-x86_64") is None:
        print("no qemu-x86_64 here: install Debian's qemu-user, or leave --emulated out")
        return 2
    extra = ["--functions"] if options.functions else []
    return compare(SWITCHED + (EMULATED if options.emulated else ()), work, extra)


def compare(kinds: tuple[Kind, ...], work: list[str], extra: list[str]) -> int:
    """Print a line a kind; returns 1 if any differs from the first."""
    first = run(kinds[0], work, extra)
    same = True
    for kind in kinds:
        found = first if kind is kinds[0] else run(kind, work, extra)
        different = [mine[0] for mine, other in zip(found, first, strict=False) if mine != other]
        if extra:
            different = different[:1]
        same &= not different and len(found) == len(first)
        result = f"differs in {', '.join(different[:8])}" if different else f"{len(found)} results, the same"
        print(f"{kind.name:30s} {result}", flush=True)
    return 0 if same else 1


def run(kind: Kind, work: list[str], extra: list[str]) -> list[list[str]]:
    """Name and digest of everything that this kind of CPU makes."""
    emulator = [] if kind.emulated is None else ["qemu-x86_64", "-cpu", kind.emulated]
    command = [*emulator, *cpu_kinds.python(__file__, "--digests", *extra)]
    command += ["--people", work[0], "--places", work[1], "--side", work[2]]
    return cpu_kinds.printed(command, kind.environment)


def digests(people: int, places: int, side: int) -> Iterator[Sequence[str]]:
    """Name and digest of each exact operation, each person, every other one carrying something, and each place."""
    cv2.setNumThreads(1)
    yield from exact_operations.digests()
    for number in range(people):
        yield f"person {number}", digest(embedded.person(number, STATURE, number % 2 == 1))
    for number in range(places):
        yield f"place {number}", digest(embedded.place(number, side, side))


def recorded(made: Iterator[Sequence[str]]) -> Iterator[Sequence[str]]:
    """What every function of `synth` returns while `made` goes on, by the place of the function."""
    calls: list[tuple[str, str]] = []

    def watch(frame: FrameType, event: str, result: Any) -> None:
        code = frame.f_code
        if event == "return" and code.co_filename.startswith(ROOT):
            calls.append(
                (f"{code.co_filename[len(ROOT) + 1 :]}:{code.co_firstlineno} {code.co_name}", digest(result))
            )

    sys.setprofile(watch)
    try:
        for _ in made:
            pass
    finally:
        sys.setprofile(None)
    yield from calls


def digest(value: object) -> str:
    """Of the bits of all numbers in a value: arrays, and what sequences and dataclasses hold of them."""
    state = hashlib.sha256()
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
            _feed(state, item, depth - 1)
    elif dataclasses.is_dataclass(value) and depth:
        for part in dataclasses.fields(value):
            _feed(state, getattr(value, part.name), depth - 1)


if __name__ == "__main__":
    raise SystemExit(main())
