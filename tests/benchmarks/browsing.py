"""How long `mildbench browse` takes until the app can be opened, and how much memory, for made-up runs.

    python tests/benchmarks/browsing.py DATASET [METHODS] [-- OPTIONS OF BROWSE]

The runs' pictures are the composites, their scores random; a second call finds everything there already. FiftyOne
is the user's own, with FIFTYONE_DATABASE_URI if that is set.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from mildbench.dataset import Dataset


def make_runs(data: Path, out: Path, methods: int) -> Path:
    """The folder of so many runs, each with a picture and random scores for every sample of the split `test`."""
    from mildbench.evaluation.runner import evaluate
    from mildbench.method import MethodSpec

    dataset = Dataset.open(data)
    specs = [MethodSpec("telea", {"radius": str(radius)}) for radius in range(1, methods + 1)]
    made = evaluate(
        dataset, "erase-all", "test", specs, out=out, device="cpu", metrics=["psnr", "ssim"], limit=1
    )
    facts = pd.DataFrame(list(dataset.rows(["id", "split", "family", "people", "mask_share", "difficulty"])))
    facts = facts[facts["split"] == "test"]
    for number, finished in enumerate(made.runs):
        run = finished.folder.path
        first = pd.read_parquet(run / "scores.parquet")
        rows = pd.concat([first] * len(facts), ignore_index=True)
        for name in facts:
            rows[name] = facts[name].to_numpy()
        rows["scene"] = rows["id"]
        columns = [name for name in rows if "." in str(name)]
        rows[columns] = np.random.default_rng(number).normal(20, 4, (len(rows), len(columns)))
        rows.to_parquet(run / "scores.parquet")
        for row in dataset.rows(["id", "composite"]):
            prediction = run / "predictions" / f"{row['id']}.png"
            if not prediction.exists():
                prediction.hardlink_to(dataset.root / row["composite"])
    return run.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a built data set")
    parser.add_argument("methods", type=int, nargs="?", default=5)
    parser.add_argument("browse", nargs="*", metavar="-- OPTIONS", help="of `mildbench browse`")
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    with tempfile.TemporaryDirectory(dir=dataset.root.parent) as out:
        # In a process of its own: a child's peak memory counts that of the process it was forked from.
        with get_context("spawn").Pool(1) as pool:
            folder = pool.apply(make_runs, (dataset.root, Path(out), options.methods))
        command = [sys.executable, "-m", "mildbench", "browse", str(folder), "--no-launch", *options.browse]
        for what in ("first", "again"):
            start = time.perf_counter()
            process = subprocess.Popen(command)
            _, status, usage = os.wait4(process.pid, 0)
            seconds, memory = time.perf_counter() - start, usage.ru_maxrss / 1024
            print(
                f"{what}: {seconds:.1f} s, at most {memory:.0f} MiB, exit code {os.waitstatus_to_exitcode(status)}"
            )


if __name__ == "__main__":
    main()
