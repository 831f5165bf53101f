"""The same people and places on other kinds of CPU, without a single file.

    python tests/portability/world.py --people 30 --places 30      switch features of this CPU off
    python tests/portability/world.py --emulated --people 2        emulated CPUs too, by Debian's qemu-user; slow
    python tests/portability/world.py --functions --people 1       where a difference arises

Each kind of CPU makes a digest of every person and place. With --functions it makes one of whatever each function of
`synth` returns, in the order of the calls, and the first that differs is named: what it calls has been the same until
then, so the difference is its own. One line a kind; the exit code is 1 if any differs.

What came out, with numpy 2.4 and OpenCV 4 on an x86-64 CPU with AVX2: two people, two places and every exact operation
the same over all features switched off, and emulated by QEMU 7.2 as Nehalem (SSE 4.2) and as Haswell (AVX2, FMA).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import exact_operations
from cpu_kinds import digest
from cpu_kinds import main as compared

import synth
from synth import embedded

ROOT = str(Path(synth.__file__).parent)
STATURE = 480


def main() -> int:
    """Compare the kinds; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--places", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--side", type=int, default=256, help="of a place, in pixels (default: 256)")
    parser.add_argument("--functions", action="store_true", help="name the function that differs first")
    most = 1 if "--functions" in sys.argv else 8
    return compared(parser, __file__, digests, most)


def digests(options: argparse.Namespace) -> Iterator[Sequence[str]]:
    """What the arguments ask for: of whatever is drawn, or of whatever a function of `synth` returns."""
    cv2.setNumThreads(1)
    made = drawn(options.people, options.places, options.side)
    return recorded(made) if options.functions else made


def drawn(people: int, places: int, side: int) -> Iterator[Sequence[str]]:
    """Name and digest of each exact operation, each person, every other one carrying something, and each place."""
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


if __name__ == "__main__":
    raise SystemExit(main())
