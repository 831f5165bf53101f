"""How good annotations are, against the exact truth of a data set of scenes, by how much of a person is seen.

- `oks-ap`: COCO's keypoint AP at OKS .50:.05:.95 by pycocotools' COCOeval, at most 20 people a picture.
- `oks`: mean OKS of all people with known keypoints; 0 for a person who was not found.
- `pck`: share of keypoints within 0.1 of the longer side of the person's amodal box.
- `miou`: mean IoU over the CIHP-20 classes of people that the truth has, pixels pooled over pictures, unlabelled
  truth left out. The background counts in the unions, not in the mean: where masks are known it would be 1.
- `region-miou`: the same over the five regions of `mapping.REGIONS`.

OKS takes the *amodal* area as the person's size: the tolerance must not shrink because somebody stands in front.
All keypoints in the frame count, hidden ones too. In a stratum of the visible ratio, people of other strata are
ignored as COCO ignores crowds, together with the poses found for them, and parsing
is counted on the visible masks of the stratum's people.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mildbench.annotators.base import boxes_of
from mildbench.annotators.mapping import REGIONS
from mildbench.annotators.store import Annotation, Annotations
from mildbench.dataset import Dataset
from mildbench.errors import UserError
from mildbench.labels import KEYPOINTS, PARSING, UNLABELLED
from mildbench.progress import Advance
from mildbench.records import Strict
from mildbench.scene import People

BINS = 10
PCK_SHARE = 0.1
SAME_PERSON = 0.5
"""Mask IoU from which a found person is the truth's."""

SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
) / 1000  # fmt: skip
"""COCO's per-keypoint constants, index as in `labels.KEYPOINTS`."""


class AnnotationScores(Strict):
    """The numbers of one stratum; None where there is nothing to score."""

    people: int
    """People with known keypoints."""
    found: float | None
    """Share of them that were found (1 where people are the truth's)."""
    oks_ap: float | None
    oks_ap50: float | None
    oks: float | None
    pck: float | None
    pck_seen: float | None
    """Over the keypoints that can be seen (v=2)."""
    pck_hidden: float | None
    """Over those hidden by another person (v=1)."""
    miou: float | None
    region_miou: float | None


class Quality(Strict):
    """`quality_SPLIT.json`."""

    dataset: str
    split: str
    samples: int
    failed: int
    overall: AnnotationScores
    by_visible_ratio: dict[str, AnnotationScores]
    """Ten bins, `0.0-0.1` and so on; the last includes 1."""
    iou: dict[str, float | None]
    """CIHP-20 class -> IoU, overall; None for a class that neither side has."""


def measure(dataset: Dataset, annotations: Annotations, advance: Advance) -> Quality:
    """Compare a split's annotations with its truth; a sample that failed counts as one in which nobody was found.

    Raises `UserError` for imported pairs, which have no truth about people.
    """
    require_truth(dataset)
    split = annotations.record.split
    with_pose = annotations.record.pose is not None
    tally = _Tally()
    failed = 0
    for index, row in enumerate(dataset.rows(["id", "split"])):
        if row["split"] != split:
            continue
        people = dataset.scene(row["id"]).people()
        found = annotations.of(row["id"])
        failed += found is None
        if with_pose:
            tally.pose(index + 1, people, found)
        if annotations.record.parsing is not None:
            tally.parsing(people, None if found is None else found.parsing)
        advance(1)
    return Quality(
        dataset=dataset.fingerprint,
        split=split,
        samples=dataset.info.samples[split],
        failed=failed,
        overall=tally.scores(None),
        by_visible_ratio={f"{k / BINS:.1f}-{(k + 1) / BINS:.1f}": tally.scores(k) for k in range(BINS)},
        iou=_per_class(tally.pixels),
    )


def require_truth(dataset: Dataset) -> None:
    """Raise `UserError` for imported data, which have no truth about pose and parsing."""
    if dataset.info.source != "scenes":
        raise UserError(
            f"people are unknown in {dataset.root}: only a data set of scenes has a truth to compare with"
        )


def oks(found: np.ndarray, truth: np.ndarray, area: float) -> float:
    """Object keypoint similarity of one person, 0 .. 1.

    Args:
        found: float[17, 2 or more], x and y in pixels.
        truth: float[17, 3], x, y and v, which is above 0 somewhere.
        area: of the person, in square pixels.
    """
    known = truth[:, 2] > 0
    squared = ((found[known, :2].astype(np.float64) - truth[known, :2]) ** 2).sum(axis=1)
    return float(np.exp(-squared / (2 * area * (2 * SIGMAS[known]) ** 2)).mean())


@dataclass
class _Joints:
    """One person of the truth with known keypoints, and how well they were met."""

    stratum: int
    found: bool
    oks: float
    hits: np.ndarray
    """bool[17]."""
    visibility: np.ndarray
    """[17]: 0, 1, 2."""


@dataclass
class _Tally:
    """Everything that is counted on the way."""

    truths: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    persons: list[_Joints] = field(default_factory=list)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((len(PARSING), len(PARSING) + 1), np.int64))
    """[truth, found]: pixels of whole pictures; the last column is 255."""
    strata: np.ndarray = field(
        default_factory=lambda: np.zeros((BINS, len(PARSING), len(PARSING) + 1), np.int64)
    )
    """The same for the visible masks of each stratum's people."""

    def pose(self, image: int, people: People, found: Annotation | None) -> None:
        """Count one picture's poses. `image` is its number for COCO."""
        ratios = people.visible_ratio()
        match = _match(people, found)
        for k, name in enumerate(people.categories):
            truth = people.keypoints[k]
            if name != "person" or not people.amodal[k].any():
                continue
            area, stratum = float(people.amodal[k].sum()), _stratum(ratios[k])
            left, top, right, bottom = boxes_of(people.amodal[k : k + 1])[0].tolist()
            known = truth[:, 2] > 0
            self.truths.append(
                {
                    "id": len(self.truths) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "keypoints": truth.ravel().tolist(),
                    "num_keypoints": int(known.sum()),
                    "area": area,
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": 0,
                    "stratum": stratum,
                }
            )
            if not known.any():
                continue
            keypoints = None if found is None or match[k] is None else _poses(found)[match[k]]
            hits = np.zeros(17, dtype=bool)
            if keypoints is not None:
                distance = np.hypot(*(keypoints[:, :2] - truth[:, :2]).T)
                hits = distance <= PCK_SHARE * max(right - left, bottom - top)
            value = 0.0 if keypoints is None else oks(keypoints, truth, area)
            self.persons.append(_Joints(stratum, keypoints is not None, value, hits, truth[:, 2]))
        if found is not None:
            of = {place: _stratum(ratios[k]) for k, place in enumerate(match) if place is not None}
            for place, (keypoints, score) in enumerate(zip(_poses(found), found.scores, strict=True)):
                self.results.append(
                    {
                        "image_id": image,
                        "category_id": 1,
                        "keypoints": keypoints.ravel().tolist(),
                        "score": float(score * keypoints[:, 2].mean()),
                        "stratum": of.get(place),
                    }
                )

    def parsing(self, people: People, labels: np.ndarray | None) -> None:
        """Count one picture's parsing; a picture without one has no person anywhere."""
        truth = people.parsing
        labels = np.zeros_like(truth) if labels is None else labels
        self.pixels += _confusion(truth, labels, truth != UNLABELLED)
        for k, ratio in enumerate(people.visible_ratio()):
            inside = people.visible[k] & (truth != UNLABELLED)
            self.strata[_stratum(ratio)] += _confusion(truth, labels, inside)

    def scores(self, stratum: int | None) -> AnnotationScores:
        """The numbers of a stratum, of everything for None."""
        mine = [p for p in self.persons if stratum is None or p.stratum == stratum]
        pixels = self.pixels if stratum is None else self.strata[stratum]
        ap, ap50 = self._average_precision(stratum) if mine else (None, None)
        hits = np.array([p.hits for p in mine]).reshape(-1, 17)
        visibility = np.array([p.visibility for p in mine]).reshape(-1, 17)
        return AnnotationScores(
            people=len(mine),
            found=_mean([p.found for p in mine]),
            oks_ap=ap,
            oks_ap50=ap50,
            oks=_mean([p.oks for p in mine]),
            pck=_mean(hits[visibility > 0]),
            pck_seen=_mean(hits[visibility == 2]),
            pck_hidden=_mean(hits[visibility == 1]),
            miou=_mean(_truth_ious(pixels)),
            region_miou=_mean(_truth_ious(_merged(pixels))),
        )

    def _average_precision(self, stratum: int | None) -> tuple[float, float]:
        """AP and AP at OKS 0.5, from COCOeval; those outside the stratum are ignored."""
        results = [r for r in self.results if stratum is None or r["stratum"] in (None, stratum)]
        if not results:
            return 0.0, 0.0
        ignored = [
            truth | {"iscrowd": int(stratum is not None and truth["stratum"] != stratum)}
            for truth in self.truths
        ]
        images = sorted({truth["image_id"] for truth in self.truths} | {r["image_id"] for r in results})
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            truth = COCO()
            truth.dataset = {
                "info": {},
                "images": [{"id": image} for image in images],
                "annotations": ignored,
                "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
            }
            truth.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
            evaluation.params.areaRng = [[0, 1e10]]
            evaluation.params.areaRngLbl = ["all"]
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][:, :, 0, 0, -1]  # [threshold, recall]
        valid = precision > -1
        return float(precision[valid].mean()), float(precision[0][valid[0]].mean())


def _stratum(ratio: float) -> int:
    return min(int(ratio * BINS), BINS - 1)


def _poses(found: Annotation) -> np.ndarray:
    assert found.keypoints is not None
    return found.keypoints


def _match(people: People, found: Annotation | None) -> list[int | None]:
    """For each person of the truth, which found person it is: by id, or greedily by the IoU of visible masks."""
    match: list[int | None] = [None] * len(people.ids)
    if found is None:
        return match
    if found.masks is None:
        places = {person: place for place, person in enumerate(found.ids)}
        return [places.get(person) for person in people.ids]
    common = np.einsum("khw,nhw->kn", people.visible.astype(np.float32), found.masks.astype(np.float32))
    areas = people.visible.sum(axis=(1, 2))[:, None] + found.masks.sum(axis=(1, 2))[None] - common
    iou = common / np.maximum(areas, 1)
    while iou.size and iou.max() >= SAME_PERSON:
        k, n = np.unravel_index(iou.argmax(), iou.shape)
        match[k] = int(n)
        iou[k, :] = iou[:, n] = 0
    return match


def _confusion(truth: np.ndarray, found: np.ndarray, where: np.ndarray) -> np.ndarray:
    """int64[20, 21]: pixels by true and found label."""
    width = len(PARSING) + 1
    columns = np.minimum(found[where], len(PARSING)).astype(np.int64)
    counts = np.bincount(truth[where].astype(np.int64) * width + columns, minlength=len(PARSING) * width)
    return counts.reshape(len(PARSING), width)


def _merged(pixels: np.ndarray) -> np.ndarray:
    """The confusion over background and the regions of `REGIONS`, as [truth, found], 255 last."""
    group = np.zeros(len(PARSING) + 1, dtype=np.intp)
    for number, classes in enumerate(REGIONS.values(), start=1):
        group[[PARSING.index(name) for name in classes]] = number
    group[-1] = len(REGIONS) + 1
    merged = np.zeros((len(REGIONS) + 1, len(REGIONS) + 2), np.int64)
    np.add.at(merged, (group[:-1, None], group[None, :]), pixels)
    return merged


def _ious(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(intersection, union) of each class in a confusion [truth, found]."""
    hit = np.diagonal(pixels)
    return hit, pixels.sum(axis=1) + pixels.sum(axis=0)[: len(hit)] - hit


def _truth_ious(pixels: np.ndarray) -> list[float]:
    """The IoU of every class but the background that the truth has."""
    hit, union = _ious(pixels)
    present = pixels.sum(axis=1) > 0
    present[0] = False
    return [float(value) for value in hit[present] / union[present]]


def _per_class(pixels: np.ndarray) -> dict[str, float | None]:
    hit, union = _ious(pixels)
    return {name: None if union[k] == 0 else float(hit[k] / union[k]) for k, name in enumerate(PARSING)}


def _mean(values: Any) -> float | None:
    """The mean of numbers, None of none."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else None
