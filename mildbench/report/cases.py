"""Pictures for the report: every run's worst, median and best samples, small, inside the page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.images import encode_webp, read_rgb
from mildbench.results import wording
from mildbench.results.board import Board
from mildbench.results.finished import FinishedRun
from mildbench.scene import Triplet

SIDE = 384
"""Pixels of a picture's longer side; larger ones are made smaller."""
_QUALITY = 80
_COUNTS = {"worst": 4, "median": 2, "best": 2}
"""Kind of case -> how many a run has at most."""
_TINT = np.array([230, 120, 0], dtype=np.float32)
"""RGB of what is to be erased, laid over the input at half strength."""


class CasePicture(NamedTuple):
    """One picture of a case."""

    title: str
    uri: str
    score: str
    """In the headline column; empty for what has none."""


@dataclass(eq=False)
class Case:
    """One sample with what every run made of it."""

    sample_id: str
    kind: str
    """`worst`, `median` or `best`."""
    facts: str
    width: int
    """Of its pictures in the page, in pixels, like `height`."""
    height: int
    pictures: list[CasePicture]
    """Input, mask, truth, then the runs' outputs."""
    left: int
    """Place in `pictures` of what the slider shows on its left, at first."""
    right: int
    roles: list[str] = field(default_factory=list)
    """Which run it is the worst, median or best sample of."""


@dataclass
class Budget:
    """Characters of pictures that the page may still take."""

    left: int


def choose(board: Board[FinishedRun], dataset: TripletSource, budget: Budget) -> tuple[list[Case], int]:
    """Make cases while the budget lasts, worst ones first.

    Returns:
        Cases in the order of kinds, and how many more did not fit.
    """
    cases: dict[str, Case] = {}
    left_out = set()
    for kind, run, sample_id, role in _wanted(board):
        if sample_id not in cases:
            if budget.left <= 0:
                left_out.add(sample_id)
                continue
            case = _case(board, dataset, sample_id, kind, run)
            budget.left -= sum(len(picture.uri) for picture in case.pictures)
            cases[sample_id] = case
        cases[sample_id].roles.append(role)
    kinds = list(_COUNTS)
    return sorted(cases.values(), key=lambda case: kinds.index(case.kind)), len(left_out)


def _wanted(board: Board[FinishedRun]) -> Iterator[tuple[str, str, str, str]]:
    """Kind, run, sample, role: turn by turn, so that every run has its worst before any has its second worst."""
    if board.headline is None:
        return
    metric = board.metric(board.headline)
    orders: dict[str, list[int]] = {}
    for run in board.results:
        values = board.values[board.headline].get(run.summary.run)
        if values is None:
            continue
        known = values[~np.isnan(values)]
        # A run whose samples all score the same (the oracle) has no worst one.
        if len(np.unique(known)) > 1:
            goodness = values if metric.higher_is_better else -values
            orders[run.summary.run] = np.argsort(goodness, kind="stable")[: len(known)].tolist()
    places = wording.digits(metric.unit)
    for kind, count in _COUNTS.items():
        for turn in range(count):
            for run_name, order in orders.items():
                at = {"worst": turn, "median": (len(order) - 1) // 2 + turn, "best": len(order) - 1 - turn}[
                    kind
                ]
                if 0 <= at < len(order):
                    score = board.values[board.headline][run_name][order[at]]
                    role = f"{kind} {turn + 1} of {board.names[run_name]} ({score:.{places}f})"
                    yield kind, run_name, board.ids[order[at]], role


def _case(board: Board[FinishedRun], dataset: TripletSource, sample_id: str, kind: str, run: str) -> Case:
    summary = board.results[0].summary
    triplet = dataset.triplet(summary.task, sample_id, mask=summary.config.mask)
    pictures = [
        CasePicture("input", _uri(triplet.image), ""),
        CasePicture("to erase", _uri(tinted(triplet)), ""),
        CasePicture("truth", _uri(triplet.truth), ""),
    ]
    # Without its own output (it cannot be read any more) the slider shows the truth.
    right = 2
    for other in board.results:
        made = output(other, sample_id, triplet)
        if made is None:
            continue
        if other.summary.run == run:
            right = len(pictures)
        pictures.append(
            CasePicture(
                board.names[other.summary.run], _uri(made), _score(board, other.summary.run, sample_id)
            )
        )
    width, height = _size(triplet.image)
    return Case(sample_id, kind, _facts(triplet), width, height, pictures, 0, right)


def tinted(triplet: Triplet) -> np.ndarray:
    """uint8[H, W, 3]: the input with the mask that methods were shown in colour."""
    picture = triplet.image.astype(np.float32)
    picture[triplet.mask_shown] = (picture[triplet.mask_shown] + _TINT) / 2
    return picture.astype(np.uint8)


def output(run: FinishedRun, sample_id: str, triplet: Triplet) -> np.ndarray | None:
    """uint8[H, W, 3]: what the run made of a sample; None where that cannot be read any more."""
    path = run.folder.prediction(sample_id)
    try:
        image = read_rgb(path, "prediction")
    except UserError:  # a failed sample, or one that was cleared away: its score says so
        return None
    return image if image.shape == triplet.image.shape else None


def _score(board: Board[FinishedRun], run: str, sample_id: str) -> str:
    assert board.headline is not None
    values = board.values[board.headline].get(run)
    if values is None:
        return wording.NOT_POSSIBLE
    metric = board.metric(board.headline)
    value = values[board.ids.index(sample_id)]
    if np.isnan(value):
        return wording.UNDEFINED
    return f"{metric.name.upper()} {value:.{wording.digits(metric.unit)}f} {metric.unit}".rstrip()


def _facts(triplet: Triplet) -> str:
    meta = triplet.meta
    facts = [
        f"family {meta['family']}" if meta.get("family") else "",
        f"{meta['people']} people" if meta.get("people") is not None else "",
        f"visible ratio {meta['visible_ratio']:.2f}" if meta.get("visible_ratio") is not None else "",
        f"mask {100 * float(triplet.mask.mean()):.0f} % of the picture",
    ]
    return ", ".join(fact for fact in facts if fact)


def _size(image: np.ndarray) -> tuple[int, int]:
    """Width and height in the page: at most `SIDE`."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _uri(image: np.ndarray) -> str:
    """uint8[H, W, 3] as a data URI."""
    size = _size(image)
    if size != image.shape[1::-1]:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return f"data:image/webp;base64,{base64.b64encode(encode_webp(image, _QUALITY)).decode()}"
