"""The same pixels on other kinds of CPU: exact operations, and scenes of every recipe from photos.

    python tests/portability/photos.py              other kinds by switching features of this CPU off
    python tests/portability/photos.py --emulated   emulated CPUs too, by Debian's qemu-user; half an hour

Pictures are drawn once, on the CPU as it is; every kind then makes digests of all that it computes from them, one by
one, so that a difference names the operation or the scene. One line a kind; the exit code is 1 if any differs.

What came out, with OpenCV 4.14, numpy 2.4 and scipy 1.17 from PyPI, on an x86-64 CPU with AVX2: all results the same
over the features switched off, and emulated by QEMU 7.2 as Nehalem (SSE 4.2 at most) and as Haswell (AVX2, FMA).
With CCP's and COCO's people on photographed places, features switched off, all the same too (olrd was not among them).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from cpu_kinds import digest
from cpu_kinds import main as compared

from mildbench.labels import KEYPOINTS
from synth import exact
from synth.blend import BLENDS, clone
from synth.cutout import refine
from synth.harmonise import edge_blur, noise_sigma
from synth.planner import open_planner
from synth.recipe import Recipe
from synth.recipe_files import load
from synth.render import render

SIZE = 128
"""Width and height of the scenes, in pixels."""
SKYLINE = 150
"""Row in which the ground begins in the drawn photos, which are 360 high."""
RECIPES = ("multi-ip", "crowd", "entangled", "camouflage", "train", "olrd")


def main() -> int:
    """Compare the kinds; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=3, help="scenes of each recipe (default: 3)")
    parser.add_argument(
        "--people", metavar="SOURCE", help="real people, such as ccp:FOLDER, in place of drawn ones"
    )
    parser.add_argument("--backgrounds", metavar="SOURCE", help="real places, such as folder:FOLDER")
    parser.add_argument("--recipe", action="append", help="only this recipe (default: all)")
    parser.add_argument("--drawn", type=Path, help=argparse.SUPPRESS)
    if "--drawn" in sys.argv:
        return compared(parser, __file__, digests)
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
        return compared(parser, __file__, digests, given=["--drawn", folder])


def digests(options: argparse.Namespace) -> Iterator[Sequence[str]]:
    """Name and digest of each operation's output, of each plan and of each scene."""
    cv2.setNumThreads(1)
    photo = cv2.imread(str(options.drawn / "train2017" / f"{1:012d}.png"))
    for name, result in operations(photo):
        yield f"operation {name}", digest(result)
    drawn = f"coco:{options.drawn}"
    for name in options.recipe or RECIPES:
        planner = open_planner(recipe(name, options.people or drawn, options.backgrounds or drawn), 0)
        for index in range(options.scenes):
            plan, _ = planner.plan(index)
            yield f"plan {name} {index}", digest(json.dumps(asdict(plan), sort_keys=True))
            scene, composite, backdrop = render(plan, planner.catalogue)
            yield f"scene {name} {index}", digest(composite, backdrop.image, scene.layers)


def operations(image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Results of the exact operations, and of what is made of them, on uint8[h, w, 3]."""
    image = np.ascontiguousarray(image[:211, :173])
    grey = image[..., 1].copy()
    known = grey > 140
    for size in ((60, 77), (173, 211), (300, 350), (40, 400)):
        yield f"resize {size}", exact.resize(image, size)
    for sigma in (0.5, 1.0, 1.6, 6.0):
        yield f"gaussian {sigma}", exact.gaussian(image, sigma)
        yield f"gaussian16 {sigma}", exact.gaussian(grey.astype(np.uint16) * 256, sigma)
    values = image.astype(np.float32) / 255
    for radius in (1, 2, 5, 11):
        yield f"box_mean {radius}", exact.box_mean(values * values, radius)
        yield f"box_sum {radius}", exact.box_sum(grey.astype(np.int16), radius)
    yield "steepness", exact.steepness(grey)
    yield "distance", exact.distance(known)
    yield "spread", exact.spread(image, known)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    yield "to Lab", lab
    yield "from Lab", cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    yield "clone", clone(image, np.ascontiguousarray(image[::-1]), known)
    yield "refine", refine(image, cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    everywhere = np.ones(grey.shape, bool)
    yield "edge_blur", np.array(edge_blur(grey, everywhere))
    yield "noise_sigma", np.array(noise_sigma(grey, everywhere))


def recipe(name: str, people: str, backgrounds: str) -> Recipe:
    """A shipped recipe, small, from these sources."""
    changes: dict[str, Any] = {"backgrounds": [backgrounds], "size": SIZE, "splits": {"test": 1}}
    if name != "olrd":
        changes |= {"people": [people], "blends": dict.fromkeys(BLENDS.names(), 1), "jpeg": 0.5}
    return Recipe.model_validate(load(name).model_dump() | changes)


def draw(folder: Path) -> None:
    """A COCO folder: photos of one person with a bag, photos of a place, panoptic segments of all.

    Drawn with soft edges, textures and noise, so that matting, harmonising and camouflage have something to do.
    """
    maps = folder / "annotations" / "panoptic_train2017"
    maps.mkdir(parents=True)
    (folder / "train2017").mkdir()
    images, persons, panoptic = [], [], []
    for number in range(1, 17):
        rng, name = np.random.default_rng(number), f"{number:012d}.png"
        place = texture(rng, 360, 300)
        parts = [] if number > 10 else [(1, person(rng)), (27, bag(rng))]
        ids = np.full(place.shape[:2], 1, np.uint8)
        ids[:SKYLINE] = 5
        segments = [{"id": key, "category_id": kind, "iscrowd": 0} for key, kind in ((1, 193), (5, 187))]
        for category, outline in parts:
            cover = np.zeros(ids.shape, np.uint8)
            cv2.fillPoly(cover, [outline], 255)
            soft = cv2.GaussianBlur(cover, (0, 0), 1.2)[..., None] / 255
            place = np.rint(soft * texture(rng, 360, 300) + (1 - soft) * place).astype(np.uint8)
            ids[cover > 0] = category + 1
            left, top, width, height = cv2.boundingRect(outline)
            annotation = {
                "id": len(persons) + 1,
                "image_id": number,
                "category_id": category,
                "iscrowd": 0,
                "segmentation": [outline.ravel().tolist()],
                "area": int(np.count_nonzero(cover)),
                "bbox": [left, top, width, height],
            }
            if category == 1:
                annotation |= keypoints(left, top, width, height)
            persons.append(annotation)
            segments.append({"id": category + 1, "category_id": category, "iscrowd": 0})
        cv2.imwrite(str(folder / "train2017" / name), place)
        cv2.imwrite(str(maps / name), np.dstack([0 * ids, 0 * ids, ids]))
        images.append({"id": number, "file_name": name, "width": 300, "height": 360, "license": 1})
        panoptic.append({"image_id": number, "file_name": name, "segments_info": segments})
    names = {1: "person", 27: "backpack", 187: "sky-other-merged", 193: "grass"}
    shared = {
        "images": images,
        "licenses": [{"id": 1, "name": "CC0-1.0"}],
        "categories": [{"id": key, "name": name, "isthing": int(key < 100)} for key, name in names.items()],
    }
    for kind, listed in (
        ("person_keypoints", [each for each in persons if each["category_id"] == 1]),
        ("instances", persons),
        ("panoptic", panoptic),
    ):
        content = shared | {"annotations": listed}
        (folder / "annotations" / f"{kind}_train2017.json").write_text(json.dumps(content))


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8[height, width, 3]: noise at several scales around a colour."""
    whole = np.full((height, width, 3), rng.uniform(40, 215, 3))
    for cells in (3, 11, 60):
        grid = rng.normal(0, 18, (cells, cells, 3))
        whole += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(whole + rng.normal(0, 3, whole.shape), 0, 255).astype(np.uint8)


def person(rng: np.random.Generator) -> np.ndarray:
    """int32[n, 2]: the outline of a head, a trunk and two legs, x and y in pixels."""
    middle, half = rng.integers(110, 160), rng.integers(28, 40)
    across = np.array([0.2, 0.45, 0.35, 0.9, 1.0, 0.7, 0.6, 0.5, 0.1])
    down = np.array([30, 45, 75, 90, 170, 190, 300, 325, 325])
    side = np.column_stack([across * half, down + rng.uniform(-4, 4, 9)])
    crotch = np.array([[0, 210]])
    outline = np.vstack([side, crotch, side[::-1] * (-1, 1)])
    return np.rint(outline + np.array([middle, 0])).astype(np.int32)


def bag(rng: np.random.Generator) -> np.ndarray:
    """int32[4, 2]: something square at the person's side."""
    left, top = rng.integers(160, 170), rng.integers(140, 160)
    return np.array(
        [[left, top], [left + 34, top + 4], [left + 30, top + 52], [left - 2, top + 48]], np.int32
    )


def keypoints(left: int, top: int, width: int, height: int) -> dict[str, Any]:
    """Of somebody who stands upright in this box: all seen, heads above hips above ankles."""
    down = [0.05] * 5 + [0.2, 0.2, 0.35, 0.35, 0.5, 0.5, 0.52, 0.52, 0.75, 0.75, 0.95, 0.95]
    across = [0.5] * 5 + [0.65, 0.35] * 6
    points = [v for x, y in zip(across, down, strict=True) for v in (left + x * width, top + y * height, 2)]
    return {"keypoints": points, "num_keypoints": len(KEYPOINTS)}


if __name__ == "__main__":
    sys.exit(main())
