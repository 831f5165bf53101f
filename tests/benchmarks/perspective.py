"""How well the size of an object is told from the others in its photo.

    python tests/benchmarks/perspective.py --coco /data/coco --split train2017

Every object that stands on the ground in full is left out once, and its height predicted from the others of its photo
and its foot. Columns, over all objects left out of photos with at least so many others:

    objects   how many were predicted
    error     median of |predicted / true - 1|
    flat      the same when the others' median scale is taken, without perspective
    within 2  share predicted to within a factor of two

The last line counts the photos without people that are close-ups, by their objects.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from mildbench.files import read_json
from synth.material import SeenObject
from synth.perspective import TYPICAL, fit, is_close_up, standing

Photo = tuple[int, int, list[SeenObject]]
"""Height, width, and what it shows."""


def photos(folder: Path, split: str) -> list[Photo]:
    content = read_json(folder / "annotations" / f"instances_{split}.json", "COCO annotations")
    names = {item["id"]: item["name"] for item in content["categories"]}
    seen: dict[int, list[SeenObject]] = defaultdict(list)
    for item in content["annotations"]:
        if not item["iscrowd"]:
            seen[item["image_id"]].append(SeenObject(names[item["category_id"]], tuple(item["bbox"])))
    return [(item["height"], item["width"], seen[item["id"]]) for item in content["images"]]


def errors(photo: Photo, others: int) -> list[tuple[str, float, float]]:
    """Class, and predicted over true height with and without perspective, of each object left out."""
    height, width, objects = photo
    stood = standing(objects, height, width)
    found = []
    for place, item in enumerate(stood):
        rest = stood[:place] + stood[place + 1 :]
        if len(rest) < others:
            continue
        fitted = fit(rest, height, width)
        if fitted is None:
            continue
        metres, foot = TYPICAL[item.category].metres, item.box[1] + item.box[3]
        flat = float(np.median([one.box[3] / TYPICAL[one.category].metres for one in rest]))
        found.append((item.category, fitted.pixels(metres, foot) / item.box[3], metres * flat / item.box[3]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", type=Path, nargs="+", required=True)
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--classes", action="store_true", help="one line a class, too")
    options = parser.parse_args()
    found = [photo for folder in options.coco for photo in photos(folder, options.split)]
    print("others  objects  error   flat  within 2")
    for others in (1, 2, 3, 5):
        of_class = [error for photo in found for error in errors(photo, others)]
        ratio, flat = np.array([error[1:] for error in of_class]).T
        off, flat_off = np.abs(ratio - 1), np.abs(flat - 1)
        near = np.mean((ratio > 0.5) & (ratio < 2))
        print(f"{others:6} {len(ratio):8} {np.median(off):6.2f} {np.median(flat_off):6.2f} {near:9.2f}")
        if options.classes and others == 2:
            for name in sorted({error[0] for error in of_class}):
                mine = [error[1] for error in of_class if error[0] == name]
                print(f"        {name:14} {len(mine):4}  median of predicted / true {np.median(mine):.2f}")
    empty = [photo for photo in found if photo[2] and all(item.category != "person" for item in photo[2])]
    print(f"close-ups: {sum(is_close_up(photo[2], photo[0]) for photo in empty)} of {len(empty)}")


if __name__ == "__main__":
    main()
