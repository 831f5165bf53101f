"""How people are framed in a COCO folder, as a table that recipes draw from.

    python -m synth.framing_survey --coco /data/coco --split train2017 --out coco.json

Reads `person_keypoints_SPLIT.json`; no image. Of those whom the frame cuts, the keypoints tell how tall they are;
crowds, broken annotations, and those of whom too little shows to tell, are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mildbench.files import write_json
from mildbench.labels import KEYPOINTS
from mildbench.posture import upright
from synth.framing import LEAST_CUT, Framing, table_of
from synth.material import Rejected
from synth.sources.coco_content import Content, Item, is_crowd
from synth.sources.coco_folder import CocoFolder, check_box

BORDER = 0.015
"""A box that comes so near to the frame, as a share of its height, is cut by it: outlines end a little before."""


def framings(content: Content) -> Iterator[Framing]:
    """The framing of every person of a `person_keypoints` file that tells it."""
    for item in content.annotations:
        record = content.records.get(item["image_id"])
        if record is not None and not is_crowd(item) and (found := framing_of(item, record)) is not None:
            yield found


def framing_of(item: Item, record: Item) -> Framing | None:
    """Of one annotation of an image; None where it cannot be told."""
    width, height = record["width"], record["height"]
    keypoints = item.get("keypoints")
    if not isinstance(keypoints, list) or len(keypoints) != 3 * len(KEYPOINTS):
        return None
    try:
        left, top, w, h = check_box(item.get("bbox"), str(item.get("id")))
    except Rejected:
        return None
    points = np.array(keypoints, dtype=np.float64).reshape(-1, 3)
    head, foot = top, top + h
    above, below = top < BORDER * height, foot > (1 - BORDER) * height
    if above or below:
        whole = upright(points)
        if whole is None:
            return None
        head = min(whole[0], 0.0) if above else head
        foot = max(whole[0] + whole[1], (1 + LEAST_CUT) * height) if below else foot
    return Framing((foot - head) / height, head / height, (left + w / 2) / width)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", nargs="+", required=True, help="folders that hold annotations/")
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--source", default="COCO", help="what the table calls the people's source")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    people = [
        framing
        for folder in options.coco
        for framing in framings(CocoFolder(folder, options.split).read("person_keypoints"))
    ]
    write_json(options.out, table_of(people, options.source).model_dump())


if __name__ == "__main__":
    main()
