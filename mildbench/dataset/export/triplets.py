"""What an outside method needs to take part, for every task: what a hosted method sees, and the answers apart.

    OUT/README.md                what is where, in words
    OUT/TASK/samples.csv         a row a sample: id, width, height, the people to erase
    OUT/TASK/input/ID.png        the picture, RGB
    OUT/TASK/mask/ID.png         255 where a method is shown that something is to be erased, 0 elsewhere
    OUT/TASK/instances/ID.png    0 where nobody is visible, else a person's number, back to front from 1
    OUT/TASK/truth/ID.png        the exact answer: to train on or to look at, never to be shown to the method

Where nobody knows the answer there is no `truth`. Outputs named ID.png are read back by
`mildbench evaluate --predictions`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.reader import Dataset
from mildbench.errors import UserError
from mildbench.files import inside, write_bytes
from mildbench.images import write_png
from mildbench.marking import FOOTPRINT, MARKINGS
from mildbench.scene import Triplet
from mildbench.tasks import task_of

NAME = "triplets"
"""What `mildbench export --to` calls it."""
_MOST_PEOPLE = 255
"""Numbers of an 8-bit label map."""
_COVERS = "Outside it the input is already the answer."
_MARKS = "Whatever goes with these people must go, marked or not: the truth shows what is asked."


def export_triplets(
    dataset: Dataset,
    out: Path,
    advance: Callable[[int], None],
    *,
    tasks: Sequence[str],
    split: str,
    mask: str = FOOTPRINT,
) -> dict[str, int]:
    """Write the tasks of a split; returns how many samples each has. `advance` is called once a sample.

    Raises `UserError` for an unknown task, split or mask, and when `out` is taken.
    """
    counts = {}
    with new_folder(out) as folder:
        for task in tasks:
            ids = dataset.task_ids(task, split)
            counts[task] = len(ids)
            (folder / task).mkdir()
            rows = [_write(folder / task, dataset.triplet(task, name, mask=mask), advance) for name in ids]
            write_bytes(folder / task / "samples.csv", _table(rows))
        write_bytes(folder / "README.md", _readme(dataset, split, counts, mask).encode())
    return counts


def _write(folder: Path, triplet: Triplet, advance: Callable[[int], None]) -> dict[str, object]:
    def write(part: str, pixels: np.ndarray) -> None:
        write_png(inside(folder, f"{part}/{triplet.id}.png", "sample id"), pixels)

    write("input", triplet.image)
    write("mask", triplet.mask_shown.astype(np.uint8) * 255)
    if triplet.truth_known:
        write("truth", triplet.truth)
    height, width = triplet.mask.shape
    row: dict[str, object] = {"id": triplet.id, "width": width, "height": height, "erase": ""}
    if triplet.people is not None:
        people = triplet.people.visible
        if len(people) > _MOST_PEOPLE:
            raise UserError(f"sample {triplet.id} has {len(people)} people: a label map holds {_MOST_PEOPLE}")
        numbers = np.arange(1, len(people) + 1, dtype=np.uint8)[:, None, None]
        # Visible masks do not overlap.
        write("instances", (people * numbers).sum(axis=0, dtype=np.uint8))
        row["erase"] = " ".join(str(target + 1) for target in triplet.targets)
    advance(1)
    return row


def _table(rows: list[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("id", "width", "height", "erase"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _readme(dataset: Dataset, split: str, counts: dict[str, int], mask: str) -> str:
    described = "\n".join(
        f"- `{task}` ({count} samples): {task_of(task).summary}" for task, count in counts.items()
    )
    options = [*(f"--task {task}" for task in counts), *([] if mask == FOOTPRINT else [f"--mask {mask}"])]
    known = dataset.info.source != "amodal"
    truth = "| `TASK/truth/ID.png` | the exact answer. A method that takes part must not see it |\n"
    return f"""# {dataset.name}, split {split}: triplets for methods that run elsewhere

From the data set with the fingerprint `{dataset.fingerprint}`.

{described}

| file | what |
| --- | --- |
| `TASK/samples.csv` | a row a sample: its id, its size in pixels, the numbers of the people to erase |
| `TASK/input/ID.png` | the picture, 8-bit RGB |
| `TASK/mask/ID.png` | 255 where something is marked to be erased, 0 elsewhere |
| `TASK/instances/ID.png` | 0 where nobody is visible, else a person's number, 1 the furthest back; absent if unknown |
{truth if known else ""}
The mask is the `{mask}`: {MARKINGS[mask]}. {_COVERS if mask == FOOTPRINT else _MARKS}

Write one picture a sample, `ID.png` (or `.jpg`, `.webp`), of the input's size, into a folder for each task. Then score
them as if the method had run here:

    mildbench evaluate --dataset DATASET {" ".join(options)} --split {split} --predictions FOLDER

What is outside the mask is scored as it came (raw) and replaced by the input (pasted), for every method alike.
"""
