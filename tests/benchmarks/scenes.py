"""How far the people of built scenes are framed as those of photos are, and whether they stand on ground.

    mildbench build-dataset --recipe multi-ip --count 64 --out data/multi-ip
    python tests/benchmarks/scenes.py data/multi-ip --coco /data/coco --split train2017

Both are measured alike, by their boxes inside the frame and their masks, as their COCO files have them. Columns:

    people    how many, at least `--least` frame heights tall
    height    median of the box, in frame heights; head, foot and centre likewise
    cut       share whose box touches the frame's lower edge
    W         Wasserstein-1 distances to the photos' people: of height, head, foot and centre
    told      balanced accuracy, five-fold, of a logistic regression that tells the set's people from the photos' by
              height, head, foot, centre, cut and area: 0.5 is chance
    ground    share of those who stand in the frame, on ground that is known, whose foot is on it

`ground` needs the sources that the set was built of, at the recipe's paths: `--recipe FILE` names it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from mildbench.dataset import Dataset
from mildbench.files import read_json
from synth import recipe_files as recipes
from synth.catalogue import PeopleCatalogue
from synth.framing import wasserstein
from synth.plan import Plan
from synth.planner import open_planner
from synth.recipe import Recipe
from synth.sources.coco_content import is_crowd

EDGE = 0.01
"""A box that comes so near to the frame's lower edge touches it."""
MEASURES = ("height", "head", "foot", "centre", "cut", "area")
WEIGHT_DECAY = 1e-2


def measured(content: dict[str, Any], least: float) -> np.ndarray:
    """float64[N, 6]: `MEASURES` of the people of a COCO file."""
    people = {item["id"] for item in content["categories"] if item["name"] == "person"}
    images = {item["id"]: item for item in content["images"]}
    rows = []
    for item in content["annotations"]:
        if item["category_id"] not in people or is_crowd(item):
            continue
        image = images[item["image_id"]]
        width, height = image["width"], image["height"]
        x, y, w, h = item["bbox"]
        if h >= least * height:
            foot = (y + h) / height
            area = np.sqrt(item["area"] / (width * height))
            rows.append([h / height, y / height, foot, (x + w / 2) / width, foot > 1 - EDGE, area])
    return np.array(rows, dtype=np.float64).reshape(-1, len(MEASURES))


def told_apart(ours: np.ndarray, theirs: np.ndarray, folds: int = 5) -> float:
    """Balanced accuracy of a cross-validated logistic regression on the measures and their squares."""
    x = np.concatenate([ours, theirs])
    x = np.concatenate([x, x[:, :4] ** 2], axis=1)
    x = np.column_stack([(x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9), np.ones(len(x))])
    y = np.repeat([1.0, 0.0], [len(ours), len(theirs)])
    fold = np.random.default_rng(0).permutation(len(y)) % folds
    right = np.zeros(len(y), dtype=bool)
    for number in range(folds):
        train = fold != number
        share = y[train].mean()
        weight = np.where(y[train] == 1, 0.5 / share, 0.5 / (1 - share))
        weights = _fitted(x[train], y[train], weight)
        right[~train] = (x[~train] @ weights > 0) == (y[~train] == 1)
    return float((right[y == 1].mean() + right[y == 0].mean()) / 2)


def _fitted(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w
        value = np.mean(weight * (np.logaddexp(0, z) - y * z)) + WEIGHT_DECAY * (w @ w)
        return float(value), x.T @ (weight * (expit(z) - y)) / len(y) + 2 * WEIGHT_DECAY * w

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True).x)


def feet(data: Dataset, recipe: Recipe, seed: int) -> Iterator[bool]:
    """For each person who stands in the frame, on ground that is known, whether the foot is on it."""
    catalogue = open_planner(recipe, seed).catalogue
    assert isinstance(catalogue, PeopleCatalogue)
    for row in data.rows(["plan"]):
        plan = Plan.from_json(json.loads(row["plan"]))
        view = catalogue.view(plan.background["source"], plan.background["key"], plan.background["view"])
        if view.ground is None:
            continue
        for person in plan.people:
            shadow = person.finish.shadow > 0
            figure = catalogue.figure(person.source, person.key, person.scale, person.mirrored, shadow)
            x, y = (place + foot for place, foot in zip(person.origin, figure.foot, strict=True))
            if 0 <= y < recipe.size and 0 <= x < recipe.size:
                yield bool(view.ground[y, x])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+", help="built data sets")
    parser.add_argument("--coco", type=Path, nargs="+", required=True, help="folders that hold annotations/")
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--least", type=float, default=0.1, help="in frame heights (default: 0.1)")
    parser.add_argument("--recipe", help="of the one data set, for `ground`")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    name = f"annotations/person_keypoints_{options.split}.json"
    photos = np.concatenate(
        [measured(read_json(folder / name, "COCO annotations"), options.least) for folder in options.coco]
    )
    shown = "  ".join(f"{measure:>6}" for measure in MEASURES[:5])
    print(f"{'set':<16} people  {shown}  W height    head    foot  centre    told")
    print(_line("photos", photos))
    for folder in options.data:
        files = sorted(folder.glob("annotations/person_keypoints_*.json"))
        parts = [measured(read_json(file, "annotations"), options.least) for file in files]
        ours = np.concatenate(parts)
        distances = "  ".join(f"{wasserstein(ours[:, k], photos[:, k]):6.3f}" for k in range(4))
        print(f"{_line(folder.name, ours)}    {distances}  {told_apart(ours, photos):6.3f}")
    if options.recipe is not None:
        recipe = recipes.load(options.recipe)
        standing = list(feet(Dataset.open(options.data[0]), recipe, options.seed))
        print(f"feet on ground: {np.mean(standing):.4f} of {len(standing)} people who stand in the frame")


def _line(name: str, people: np.ndarray) -> str:
    medians = "  ".join(f"{np.median(people[:, k]):6.2f}" for k in range(4))
    return f"{name:<16} {len(people):6d}  {medians}  {people[:, 4].mean():6.2f}"


if __name__ == "__main__":
    main()
