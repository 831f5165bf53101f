"""Scenes per second and core: ours beside a naive full-frame implementation, and a public one on request.

    python tests/benchmarks/naive.py --people coco:/data/coco --backgrounds folder:/data/backgrounds
        [--peer DIR]    a checkout of github.com/conradry/copy-paste-aug (MIT; needs scikit-image)

Everybody makes the same composites: the placed people of a built data set's plans on the same backgrounds, from
cut-outs of scene size that are in memory. *Whole job* is our build, with all its files and all its planning, cutting
out and scaling; *pixels* is what the others do too: composite, visible and amodal masks, and their PNG files.

- naive: float64 blending of whole frames, a mask a person by comparing whole frames, Pillow's PNG at its defaults.
- peer: the repository's own functions for image, masks and boxes, called once a person as its transform does, with
  its own blending; files as in naive. It knows no amodal masks: those it is spared.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
from PIL import Image

from mildbench.dataset import Dataset
from mildbench.executors import SerialExecutor
from mildbench.images import write_png
from mildbench.scene import Layer, Scene
from synth.build import build
from synth.recipe_files import check, load


def ours(scene: Scene, out: Path) -> None:
    people = scene.people()
    write_png(out / f"{scene.id}.png", scene.composite())
    write_png(out / f"{scene.id}.instances.png", people.instance_map())
    for k in range(len(people.ids)):
        write_png(out / f"{scene.id}-{k}.amodal.png", people.amodal[k].view(np.uint8) * 255)


def naive(scene: Scene, out: Path) -> None:
    height, width = scene.background.shape[:2]
    image = scene.background.astype(np.float64)
    instances = np.zeros((height, width), np.uint8)
    for k, layer in enumerate(scene.layers):
        colour, alpha, shadow, mask = whole_frame(layer, height, width)
        image = image * (1 - shadow[..., None])
        image = colour * alpha[..., None] + image * (1 - alpha[..., None])
        instances = np.where(mask, layer.person.id, instances).astype(np.uint8)
        Image.fromarray((mask * 255).astype(np.uint8)).save(out / f"{scene.id}-{k}.amodal.png")
    Image.fromarray(image.round().astype(np.uint8)).save(out / f"{scene.id}.png")
    Image.fromarray(instances).save(out / f"{scene.id}.instances.png")


def whole_frame(
    layer: Layer, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Colour (0..255), alpha and shadow (0..1) as float64 and the mask as bool, all as large as the scene."""
    there, here = layer.window(height, width)
    frame = np.zeros((height, width, 6))
    frame[there][..., :4] = layer.rgba[here]
    if layer.shadow is not None:
        frame[there][..., 4] = layer.shadow[here]
    frame[there][..., 5] = layer.mask[here]
    return frame[..., :3], frame[..., 3] / 255, frame[..., 4] / 255, frame[..., 5] > 0


def peer(module: ModuleType) -> Callable[[Scene, Path], None]:
    def work(scene: Scene, out: Path) -> None:
        height, width = scene.background.shape[:2]
        image = scene.background
        masks: list[np.ndarray] = []
        for layer in scene.layers:
            colour, _, _, mask = whole_frame(layer, height, width)
            pasted = mask.astype(np.uint8)
            image = module.image_copy_paste(image, colour.astype(np.uint8), mask.astype(np.float64))
            masks = module.masks_copy_paste(masks, [pasted], pasted)
            module.extract_bboxes(masks)
        Image.fromarray(image).save(out / f"{scene.id}.png")
        for k, mask in enumerate(masks):
            Image.fromarray(mask * 255).save(out / f"{scene.id}-{k}.visible.png")

    return work


def load_peer(folder: Path) -> ModuleType:
    """Its module. What it imports of albumentations serves a transform class that is not used here."""
    sys.modules.setdefault("albumentations", SimpleNamespace(DualTransform=object))  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("peer_copy_paste", folder / "copy_paste.py")
    if spec is None or spec.loader is None or not (folder / "copy_paste.py").is_file():
        raise SystemExit(
            f"--peer {folder}: no copy_paste.py there: give a checkout of conradry/copy-paste-aug"
        )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", action="append", required=True, help="people source; repeatable")
    parser.add_argument("--backgrounds", action="append", required=True, help="background source; repeatable")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="checkout of the public implementation")
    arguments = vars(parser.parse_args())
    repeats, checkout = arguments.pop("repeats"), arguments.pop("peer")
    recipe = check(load("multi-ip").model_dump() | arguments, "benchmark")
    cv2.setNumThreads(1)
    folder = Path(tempfile.mkdtemp())
    found: dict[str, list[float]] = {}

    def whole_job(out: Path) -> None:
        build(recipe, 0, out, SerialExecutor(1), lambda count: None)

    def measure(name: str, work: Callable[[], object]) -> None:
        start = time.process_time()  # CPU seconds: other load on the machine does not count
        work()
        found.setdefault(name, []).append(time.process_time() - start)

    try:
        measure("mildbench, whole job", lambda: whole_job(folder / "built"))
        dataset = Dataset.open(folder / "built")
        scenes = [dataset.scene(name) for name in dataset.samples["id"]]
        pixels: dict[str, Callable[[Scene, Path], None]] = {"mildbench, pixels": ours, "naive": naive}
        if checkout is not None:
            pixels["peer"] = peer(load_peer(checkout))
        for turn in range(repeats):
            for name, function in pixels.items():
                out = folder / f"{name}-{turn}"
                out.mkdir()
                measure(name, lambda f=function, o=out: [f(scene, o) for scene in scenes])  # type: ignore[misc]
            # Nothing is deleted in between: file systems are slow to create files right after many were deleted.
            measure("mildbench, whole job", lambda o=folder / f"built-{turn}": whole_job(o))  # type: ignore[misc]
    finally:
        shutil.rmtree(folder)
    seconds = {name: statistics.median(times) for name, times in found.items()}
    people = sum(len(scene.layers) for scene in scenes)
    print(f"{recipe.count} scenes of {recipe.size} px, {people} people; CPU time, medians of {repeats}")
    print("                        ms/scene   scenes/s and core   times ours, pixels")
    for name, time_taken in seconds.items():
        per_scene = time_taken / recipe.count
        ratio = time_taken / seconds["mildbench, pixels"]
        print(f"  {name:20} {per_scene * 1000:9.1f} {1 / per_scene:12.1f} {ratio:18.2f}")


if __name__ == "__main__":
    main()
