"""How far the estimate of the ground can be believed, where somebody knows the ground.

    python tests/benchmarks/ground.py --panoptic /data/coco --coco /data/coco --rendered 32

Rows: photos with a panoptic segmentation (`--panoptic`, a folder as `coco:` reads it), rendered places (exact), and
photos with instances (`--coco`), of which only what is no ground is known. Columns:

    pictures   how many
    answered   share of which the ground is estimated at all
    precision  share of the estimated pixels that are ground (with instances: that show no object)
    recall     share of the ground's pixels that are found, over the pictures that are answered
    feet       share of people who show their ankles whose feet lie on estimated ground, or within 2 % of the height
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mildbench.errors import UserError
from mildbench.images import read_rgb
from mildbench.labels import KEYPOINTS
from synth import embedded, exact
from synth.ground import estimated_ground, panoptic_ground
from synth.sources.coco_content import Item, is_crowd
from synth.sources.coco_folder import CocoFolder, decode
from synth.sources.panoptic import PanopticImages

Case = tuple[np.ndarray, np.ndarray | None, np.ndarray, list[tuple[int, int]]]
"""Image; bool[H, W] ground, where known; bool[H, W] pixels that are surely none; people's feet (x, y)."""


def segmented(folder: str) -> Iterator[Case]:
    source = PanopticImages(folder)
    for ref in source.images():
        picture = source.image(ref.key)
        ground = panoptic_ground(picture.segments, picture.image.shape[:2]).mask
        assert ground is not None
        yield picture.image, ground, ~ground, []


def rendered(count: int) -> Iterator[Case]:
    for seed in range(count):
        place = embedded.place(seed, 256, 256)
        above = np.arange(256)[:, None] < place.horizon * 256
        yield place.image, place.ground, above & ~place.ground, []


def annotated(folder: str, split: str) -> Iterator[Case]:
    coco = CocoFolder(folder, split)
    instances, people = coco.read("instances"), coco.read("person_keypoints")
    for key, record in instances.records.items():
        try:
            image = read_rgb(coco.photo(record))
        except UserError:
            continue
        objects = np.zeros(image.shape[:2], dtype=bool)
        for item in instances.annotations:
            if item["image_id"] == key and not is_crowd(item):
                objects |= decode(item["segmentation"], *image.shape[:2], key)
        feet = [foot for item in people.annotations if item["image_id"] == key for foot in _feet(item)]
        yield image, None, objects, feet


def _feet(item: Item) -> Iterator[tuple[int, int]]:
    """Where a person whose ankles show touches the ground."""
    points = np.array(item["keypoints"]).reshape(-1, 3)
    ankles = points[[KEYPOINTS.index("left_ankle"), KEYPOINTS.index("right_ankle")]]
    left, top, width, height = item["bbox"]
    if (ankles[:, 2] > 0).all() and not is_crowd(item):
        yield round(left + width / 2), round(top + height)


def row(name: str, cases: Iterator[Case]) -> None:
    pictures = answered = estimated = right = found = ground = standing = feet = 0
    exactly = True
    for image, truth, never, places in cases:
        pictures += 1
        mask = estimated_ground(image).mask
        if mask is None:
            continue
        answered += 1
        estimated += np.count_nonzero(mask)
        right += np.count_nonzero(mask & ~never)
        if truth is None:
            exactly = False
        else:
            found += np.count_nonzero(mask & truth)
            ground += np.count_nonzero(truth)
        near = exact.distance(mask) <= 0.02 * image.shape[0] if mask.any() else mask
        for x, y in places:
            feet += 1
            standing += near[min(y, image.shape[0] - 1), min(x, image.shape[1] - 1)]
    share = f"{answered / pictures:9.2f} {right / max(estimated, 1):10.3f}" if pictures else ""
    recall = f"{found / max(ground, 1):7.2f}" if exactly else "      -"
    on = f"{standing}/{feet}" if feet else "-"
    print(f"{name:12} {pictures:8} {share} {recall} {on:>6}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panoptic", nargs="*", default=[])
    parser.add_argument("--coco", nargs="*", default=[])
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--rendered", type=int, default=0, help="how many places")
    options = parser.parse_args()
    print("             pictures  answered  precision  recall   feet")
    for folder in options.panoptic:
        row(f"panoptic {Path(folder).name}", segmented(folder))
    if options.rendered:
        row("rendered", rendered(options.rendered))
    for folder in options.coco:
        row(Path(folder).name, annotated(folder, options.split))


if __name__ == "__main__":
    main()
