"""Scenes per second against the floor, and how two workers scale.

    python tests/benchmarks/building.py --people coco:/data/coco --backgrounds folder:/data/backgrounds

The floor decodes every source file that the build used once and encodes and writes every output file once, from
pixels already in memory, on one core: what any implementation that makes these files has to do.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import cv2

from mildbench.dataset import Dataset
from mildbench.dataset.validate import read_checksums
from mildbench.executors import ProcessExecutor, SerialExecutor
from mildbench.files import write_bytes
from mildbench.images import encode_png, read_rgb
from synth import build as building
from synth.build import build
from synth.catalogue import Catalogue
from synth.recipe import Recipe, check, load


def timed_build(recipe: Recipe, out: Path, workers: int) -> float:
    """Seconds from the first shard to the finished data set; workers start and read their sources before."""
    building._catalogue.cache_clear()
    cv2.setNumThreads(1)
    engine = SerialExecutor(1) if workers == 1 else ProcessExecutor(workers)
    start = time.perf_counter()
    build(recipe, 0, out, engine, lambda count: None)
    return time.perf_counter() - start


def floor(recipe: Recipe, built: Path, out: Path) -> float:
    """Seconds to decode the sources and to encode and write the outputs of a built data set."""
    dataset = Dataset.open(built)
    outputs = {}
    for name in read_checksums(built):
        if name.endswith(".png"):
            outputs[name] = cv2.imread(str(built / name), cv2.IMREAD_UNCHANGED)
            if outputs[name].ndim == 3:
                code = cv2.COLOR_BGR2RGB if outputs[name].shape[2] == 3 else cv2.COLOR_BGRA2RGBA
                outputs[name] = cv2.cvtColor(outputs[name], code)
    catalogue = Catalogue(recipe, 0)
    used = {
        ("b", p["background"]["source"], p["background"]["key"])
        for p in map(json.loads, dataset.samples["plan"])
    }
    for plan in map(json.loads, dataset.samples["plan"]):
        used |= {("p", person["source"], person["key"]) for person in plan["people"]}
    files = {source_file(catalogue, *item) for item in used}
    start = time.perf_counter()
    for path in files:
        read_rgb(path)
    for name, pixels in outputs.items():
        write_bytes(out / name, encode_png(pixels))
    return time.perf_counter() - start


def source_file(catalogue: Catalogue, role: str, source: int, key: str) -> Path:
    """The picture behind a person of `coco:` or a background of `folder:`."""
    if role == "b":
        return catalogue._background_sources[source].root / key  # type: ignore[attr-defined]
    people = catalogue._people_sources[source]
    record = people._records[people._annotations[key]["image_id"]]  # type: ignore[attr-defined]
    return people._folder.root / people._folder.split / record["file_name"]  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", action="append", required=True, help="a coco: source; repeatable")
    parser.add_argument("--backgrounds", action="append", required=True, help="a folder: source; repeatable")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    content = load("multi-ip").model_dump() | vars(arguments)
    recipe = check(content, "benchmark")
    folder = Path(tempfile.mkdtemp())
    try:
        one = timed_build(recipe, folder / "one", 1)
        lowest = floor(recipe, folder / "one", folder / "floor")
        two = timed_build(recipe, folder / "two", 2)
        print(f"{recipe.count} scenes of {recipe.size} px, multi-ip, one core unless said otherwise")
        print(f"build  {one / recipe.count * 1000:7.1f} ms/scene   {recipe.count / one:6.1f} scenes/s")
        print(f"floor  {lowest / recipe.count * 1000:7.1f} ms/scene   {recipe.count / lowest:6.1f} scenes/s")
        print(f"build / floor             {one / lowest:5.2f}   (aim: at most 1.5)")
        print(f"two workers / one worker  {one / two:5.2f}   (aim: at least 1.8)")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
