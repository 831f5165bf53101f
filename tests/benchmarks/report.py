"""How long a report takes, how big it is, and how much memory it needs: N samples, five methods.

    python tests/benchmarks/report.py 1000

Pictures are 384 px wide, as large as the report shows any, and grainy, which compresses badly.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import numpy as np
from evaluation_fakes import FakeDataset
from finished_runs import registered

from mildbench.evaluation.runner import evaluate
from mildbench.marking import FOOTPRINT
from mildbench.method import MethodSpec
from mildbench.report import cases, page
from mildbench.results import finished
from mildbench.scene import Triplet

METHODS = [f"noise:strength={strength}" for strength in (4, 8, 16, 32, 64)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", type=int, help="samples")
    parser.add_argument("runs", type=Path, nargs="?", help="their folder; without it they are made first")
    options = parser.parse_args()
    count = options.count
    if options.runs is not None:
        report(count, options.runs)
        return
    with TemporaryDirectory() as scratch:
        specs = [MethodSpec.parse(text) for text in METHODS]
        with registered():
            evaluate(
                dataset(count),
                "erase-all",
                "test",
                specs,
                out=Path(scratch),
                metrics=["psnr"],
                device="cpu",
            )
        # In a process of its own, whose memory is the report's alone.
        subprocess.run([sys.executable, __file__, str(count), scratch], check=True)


class Grainy(FakeDataset):
    """Its pictures have the grain of a photo at night."""

    def triplet(self, task: str, id: str, /, mask: str = FOOTPRINT) -> Triplet:
        found = super().triplet(task, id, mask)
        grain = np.random.default_rng(int(id[1:4])).normal(0, 6, found.image.shape)
        image, truth = (np.clip(p + grain, 0, 255).astype(np.uint8) for p in (found.image, found.truth))
        return replace(found, image=image, truth=truth)


def dataset(count: int) -> FakeDataset:
    return Grainy(count, ((288, 384),))


def report(count: int, folder: Path) -> None:
    data = dataset(count)
    cases.Dataset.open = lambda path: data  # type: ignore[method-assign, assignment, return-value]
    out = folder / "report.html"
    start = time.perf_counter()
    with registered():
        lacking = page.write(out, [finished.read(path) for path in finished.find([folder])], folder)
    seconds = time.perf_counter() - start
    assert not lacking, lacking
    size = f"{out.stat().st_size / 1e6:.1f} MB page, peak memory {peak_memory()} MiB"
    print(f"{count} samples, {len(METHODS)} methods: {seconds:.1f} s, {size}")


def peak_memory() -> int:
    """MiB of this process alone (the one that `getrusage` knows began with its parent's)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
