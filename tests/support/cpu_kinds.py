"""Environment variables that make this CPU look like a lesser one, and programs run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NUMPY = "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"
"""numpy's names of features since version 2.4 and before; it warns of what it does not know."""
OPENCV = "AVX2,AVX,FMA3,FP16,AVX512-COMMON,AVX512-SKX,AVX512-CNL,AVX512-CLX,AVX512-ICL"
NOTHING_BUT_SSE = {
    "NPY_DISABLE_CPU_FEATURES": NUMPY,
    "OPENCV_CPU_DISABLE": f"{OPENCV},POPCNT,SSE4.2,SSE4.1,SSSE3",
    "OPENCV_IPP": "disabled",
    "OPENBLAS_CORETYPE": "Nehalem",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4",
}


def printed(program: list[str | Path], environment: dict[str, str]) -> list[Any]:
    """What a program prints, a JSON value a line, with the variables set."""
    done = subprocess.run(
        [str(part) for part in program],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,  # OpenCV and numpy warn of each switch
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr or f'ended with {done.returncode}'}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def python(script: str | Path, *arguments: str) -> list[str | Path]:
    """The command that runs a script with this interpreter."""
    return [sys.executable, script, *arguments]
