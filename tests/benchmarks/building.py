"""Scenes per second against the floor, and how two workers scale.

    python tests/benchmarks/building.py --people coco:/data/coco --backgrounds folder:/data/backgrounds

The floor decodes every source file that the build used once and encodes and writes every output file once, from
pixels already in memory, on one core: what any implementation that makes these files has to do. It is taken twice:
with our PNG encoder, and with OpenCV's at its fast defaults, the floor of whoever leaves encoding to OpenCV.

One-worker build, floor and two-worker build take turns, and medians are shown: other load on the machine then
falls on all three. CPU seconds say what was computed, seconds on the clock also what was waited for.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mildbench.dataset import Dataset
from mildbench.dataset.validate import checksums
from mildbench.executors import ProcessExecutor, SerialExecutor, Spec
from mildbench.files import write_bytes
from mildbench.images import encode_png, read_rgb
from synth import build as building
from synth.catalogue import PeopleCatalogue
from synth.recipe import Recipe
from synth.recipe_files import check, load
from synth.store import Store
from synth.survey import Survey


@dataclass(frozen=True)
class Times:
    """Seconds on the clock, and CPU seconds of this process and of the children that it waited for."""

    clock: float
    cpu: float


def timed(work: Callable[[], object]) -> Times:
    def cpu() -> float:
        own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime

    start, used = time.perf_counter(), cpu()
    work()
    return Times(time.perf_counter() - start, cpu() - used)


def median(times: list[Times]) -> Times:
    return Times(statistics.median(t.clock for t in times), statistics.median(t.cpu for t in times))


def build(recipe: Recipe, out: Path, workers: int) -> None:
    """From nothing to the finished data set."""
    engine = SerialExecutor(1) if workers == 1 else ProcessExecutor(workers)
    building.build(recipe, 0, out, engine, lambda count: None)


def open_sources(spec: Spec) -> None:
    """What a worker does before its first scene."""
    PeopleCatalogue(Recipe.model_validate(spec["recipe"]), 0, Survey(), Store(Path(spec["store"])))


def start_up(recipe: Recipe, workers: int, shared: Path) -> None:
    """What a build does before its first scene: workers start, everybody opens the sources."""
    spec: Spec = {"recipe": recipe.model_dump(mode="json"), "store": str(shared)}
    catalogue = PeopleCatalogue(recipe, 0)
    if workers > 1:
        catalogue.share(Store(shared))
        list(ProcessExecutor(workers).run(open_sources, [spec] * workers))


class Floor:
    """The pixels of a built data set's files, and the source pictures they were made from."""

    def __init__(self, recipe: Recipe, built: Path) -> None:
        self.outputs = {}
        for name, _ in checksums(built):
            if name.endswith(".png"):
                pixels = np.asarray(cv2.imread(str(built / name), cv2.IMREAD_UNCHANGED))
                if pixels.ndim == 3:
                    code = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
                    pixels = cv2.cvtColor(pixels, code)
                self.outputs[name] = pixels
        posers, backdrops = PeopleCatalogue(recipe, 0).pools()
        plans = [json.loads(plan) for plan in Dataset.open(built).samples["plan"]]
        backgrounds = {(plan["background"]["source"], plan["background"]["key"]) for plan in plans}
        people = {(person["source"], person["key"]) for plan in plans for person in plan["people"]}
        self.sources = {backdrops.sources[source].photo(key) for source, key in backgrounds}
        self.sources |= {posers.sources[source].photo(key) for source, key in people}

    def run(self, out: Path, encode: Callable[[np.ndarray], bytes]) -> None:
        for path in self.sources:
            if path is not None:  # rendered, or a cut-out without its photo
                read_rgb(path)
        for name, pixels in self.outputs.items():
            write_bytes(out / name, encode(pixels))


def encode_by_opencv(pixels: np.ndarray) -> bytes:
    # Channels are not swapped back to OpenCV's order: that is not what is measured.
    return cv2.imencode(".png", pixels)[1].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", action="append", required=True, help="a coco: source; repeatable")
    parser.add_argument("--backgrounds", action="append", required=True, help="a folder: source; repeatable")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--harmonise", action="store_true", help="with the recipe's colour, blur and noise match"
    )
    arguments = parser.parse_args()
    content = load("multi-ip").model_dump() | vars(arguments)
    repeats = content.pop("repeats")
    if not content.pop("harmonise"):
        content |= {"colour_match": (0, 0), "match_blur": False, "match_noise": False}
    recipe = check(content, "benchmark")
    cv2.setNumThreads(1)
    folder = Path(tempfile.mkdtemp())
    found: dict[str, list[Times]] = {}

    def measure(name: str, work: Callable[[], object]) -> None:
        found.setdefault(name, []).append(timed(work))

    try:
        build(recipe, folder / "first", 1)  # sources come into the file cache
        floor = Floor(recipe, folder / "first")
        for _ in range(repeats):
            measure("start 1", lambda: start_up(recipe, 1, folder / "shared"))
            measure("build 1", lambda: build(recipe, folder / "one", 1))
            measure("floor", lambda: floor.run(folder / "floor", encode_png))
            measure("floor, OpenCV", lambda: floor.run(folder / "opencv", encode_by_opencv))
            measure("start 2", lambda: start_up(recipe, 2, folder / "shared"))
            measure("build 2", lambda: build(recipe, folder / "two", 2))
            for name in ("one", "floor", "opencv", "two"):
                shutil.rmtree(folder / name)
    finally:
        shutil.rmtree(folder)
    report(recipe, {name: median(times) for name, times in found.items()}, repeats)


def report(recipe: Recipe, found: dict[str, Times], repeats: int) -> None:
    one, two, floor, opencv = (found[name] for name in ("build 1", "build 2", "floor", "floor, OpenCV"))
    print(f"{recipe.count} scenes of {recipe.size} px, multi-ip; medians of {repeats}")
    print("                     ms/scene    CPU ms/scene   scenes/s")
    for name, times in (
        ("build, 1 worker", one),
        ("floor", floor),
        ("floor, OpenCV PNG", opencv),
        ("build, 2 workers", two),
    ):
        per_scene = times.clock / recipe.count * 1000, times.cpu / recipe.count * 1000
        print(f"  {name:17} {per_scene[0]:9.1f} {per_scene[1]:15.1f} {recipe.count / times.clock:10.1f}")
    print(
        f"start-up, in the above: {found['start 1'].clock:.2f} s, with 2 workers {found['start 2'].clock:.2f} s"
    )
    for name, times in (("floor", floor), ("floor, OpenCV", opencv)):
        print(f"build / {name:17} {one.clock / times.clock:5.2f}   (CPU {one.cpu / times.cpu:.2f})")
    steady = (one.clock - found["start 1"].clock) / (two.clock - found["start 2"].clock)
    print(f"two workers / one worker  {one.clock / two.clock:5.2f}   (without start-up {steady:.2f})")
    print(
        f"CPU of two / of one       {two.cpu / one.cpu:5.2f}   (above 1: cores share, or work is done twice)"
    )


if __name__ == "__main__":
    main()
