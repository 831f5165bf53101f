"""Builds killed at random moments and resumed until they are whole: one fingerprint, one set of pixels, one of bytes.

    python tests/portability/killed_builds.py --runs 100

Each run builds the same few scenes of drawn people in a process group of its own, which is killed (SIGKILL) after a
random time, up to twice; then the same command runs to its end. Formats and numbers of workers take turns. Ends with
code 1 if any run came out differently.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

from mildbench.dataset import Dataset
from mildbench.dataset.content import Fingerprint, contents
from mildbench.files import file_sha256
from mildbench.identity import pixels_sha256

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from small import draw_sources, small_recipe

KILLS = 2
"""At most, in a run."""


def command(recipe: Path, out: Path, layout: str, workers: int) -> list[str]:
    engine = ["--executor", "serial"] if workers == 1 else ["--workers", str(workers)]
    start = [sys.executable, "-m", "mildbench", "build-dataset", "--recipe", str(recipe), "--out", str(out)]
    return [*start, "--format", layout, *engine]


def run(words: list[str], seconds: float | None = None) -> bool:
    """Run a command; kill it and all its processes after so many seconds. Returns whether it came to its end."""
    process = subprocess.Popen(
        words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    if process.returncode:
        raise SystemExit(errors.decode())
    return True


def outcome(root: Path) -> tuple[str, str, str]:
    """What was made: recomputed fingerprint, pixels of composites, bytes of all files."""
    dataset = Dataset.open(root)
    found = Fingerprint()
    for content_sha256 in contents(dataset):
        found.add(content_sha256)
    pixels = [pixels_sha256(dataset.picture(row["composite"], "composite")) for row in dataset.rows()]
    files = sorted(path for path in root.rglob("*") if path.is_file())
    data = [(path.relative_to(root).as_posix(), file_sha256(path)) for path in files]
    return found.hexdigest(), str(hash(tuple(pixels))), str(hash(tuple(data)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument(
        "--seed", type=int, default=None, help="of the moments; drawn and printed unless given"
    )
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    rng = random.Random(seed)
    print(f"seed {seed}")
    found: dict[str, Counter[tuple[str, str, str]]] = {"folder": Counter(), "webdataset": Counter()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = small_recipe(*draw_sources(folder)).model_copy(update={"count": options.scenes})
        recipe = folder / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(wanted.model_dump(mode="json")))
        seconds = {}
        for layout, outcomes in found.items():
            start = time.perf_counter()
            run(command(recipe, folder / layout, layout, 1))
            seconds[layout] = time.perf_counter() - start
            outcomes[outcome(folder / layout)] += 1
        kills = 0
        for number in range(options.runs):
            layout = ("folder", "webdataset")[number % 2]
            out = folder / f"killed-{number}"
            for _ in range(rng.randint(1, KILLS)):
                words = command(recipe, out, layout, rng.randint(1, 2))
                kills += not run(words, rng.uniform(0.2, 1) * seconds[layout])
            run(command(recipe, out, layout, rng.randint(1, 2)))
            found[layout][outcome(out)] += 1
    fingerprints = {made[0] for outcomes in found.values() for made in outcomes}
    pixels = {made[1] for outcomes in found.values() for made in outcomes}
    for layout, outcomes in found.items():
        print(f"{layout}: {outcomes.total()} builds, {len(outcomes)} different sets of files")
    print(f"{kills} kills, {len(fingerprints)} fingerprints, {len(pixels)} sets of pixels")
    sys.exit(
        any(len(outcomes) > 1 for outcomes in found.values()) or len(fingerprints) > 1 or len(pixels) > 1
    )


if __name__ == "__main__":
    main()
