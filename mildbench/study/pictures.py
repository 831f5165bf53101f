"""The pictures of a study's page: made small and encoded alike, within a budget of bytes."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from itertools import groupby
from typing import NamedTuple

import cv2
import numpy as np

from mildbench.dataset.source import TripletSource
from mildbench.errors import UserError
from mildbench.images import encode_webp
from mildbench.progress import Advance, tracking
from mildbench.regions import near
from mildbench.scene import Triplet
from mildbench.study.runs import Contender

BUDGET = 38_000_000
"""Characters of base64 in a page, which stays under 40 MB with all the rest."""
_OUTLINE = np.array([255, 96, 0], dtype=np.uint8)
"""RGB of the line around what is to be erased."""
_HALO = np.array([255, 255, 255], dtype=np.uint8)
_LINE = 1 / 170
"""Width of the line, of the shorter side."""
_JUDGED_AFTER = 24
"""Pictures after which a compression's total is foretold."""


class Compression(NamedTuple):
    """How every picture of a page is stored: both sides of a pair lose alike."""

    side: int
    """Pixels at most of the longer side."""
    quality: int
    """Of WebP, 1 to 100."""


COMPRESSIONS = (
    Compression(1024, 90),
    Compression(1024, 80),
    Compression(768, 80),
    Compression(640, 80),
    Compression(512, 75),
    Compression(384, 75),
)
"""The best that fits is taken."""


class GivenPicture(Enum):
    """Pictures of a sample that no method made."""

    INPUT = "input"
    MARKED = "marked"
    """The input with what is to be erased in an outline, which raters see on demand."""
    TRUTH = "truth"


Key = tuple[str, GivenPicture | str]
"""A sample, and which picture of it: a part, or the output of the method of this name."""


def encoded(
    keys: Collection[Key],
    source: TripletSource,
    runs: Mapping[str, Contender],
    *,
    show: bool = False,
) -> tuple[Compression, dict[Key, str]]:
    """Every picture as base64 of WebP, by the best compression with which all of them fit into `BUDGET`.

    Args:
        keys: what is needed.
        source: the data set.
        runs: name -> run.
        show: progress.

    Raises:
        UserError: a picture that cannot be had (see `Contender.picture`), or too many for a page.
    """
    for compression in COMPRESSIONS:
        with tracking(f"pictures (WebP {compression.quality})", len(keys), show=show) as advance:
            found = _fitting(keys, source, runs, compression, advance)
        if found is not None:
            return compression, found
    raise UserError(
        f"{len(keys)} pictures do not fit into one page of {BUDGET / 1e6:.0f} MB: ask for fewer --pairs"
    )


def _fitting(
    keys: Collection[Key],
    source: TripletSource,
    runs: Mapping[str, Contender],
    compression: Compression,
    advance: Advance,
) -> dict[Key, str] | None:
    """The pictures by one compression; None as soon as it is plain that they take more than `BUDGET`."""
    found: dict[Key, str] = {}
    total = 0
    for key, pixels in _pictures(keys, source, runs):
        found[key] = base64.b64encode(
            encode_webp(_small(pixels, compression.side), compression.quality)
        ).decode()
        total += len(found[key])
        advance(1)
        foretold = total * len(keys) / len(found) if len(found) >= _JUDGED_AFTER else total
        if foretold > BUDGET:
            return None
    return found


def _pictures(
    keys: Collection[Key], source: TripletSource, runs: Mapping[str, Contender]
) -> Iterator[tuple[Key, np.ndarray]]:
    """The pictures as uint8[H, W, 3], sample by sample, so that each is read once."""
    alike = next(iter(runs.values()))  # runs of one study were shown the same
    for sample, group in groupby(sorted(keys, key=lambda key: key[0]), key=lambda key: key[0]):
        triplet = alike.triplet(source, sample)
        for key in group:
            what = key[1]
            if what is GivenPicture.INPUT:
                yield key, triplet.image
            elif what is GivenPicture.MARKED:
                yield key, marked(triplet)
            elif what is GivenPicture.TRUTH:
                if not triplet.truth_known:
                    raise UserError(f"{sample}: nobody knows its true picture, which attention checks show")
                yield key, triplet.truth
            else:
                yield key, runs[what].picture(sample, triplet)


def _small(pixels: np.ndarray, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def marked(triplet: Triplet) -> np.ndarray:
    """uint8[H, W, 3]: the input with a line around what is to be erased, outside of it."""
    width = max(2, round(min(triplet.mask.shape) * _LINE))
    picture = triplet.image.copy()
    picture[near(triplet.mask, 2 * width) & ~triplet.mask] = _HALO
    picture[near(triplet.mask, width) & ~triplet.mask] = _OUTLINE
    return picture
