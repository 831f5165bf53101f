"""Is anybody there? What refuses a background, and what `residue` asks of an erased picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mildbench.annotators.base import Annotator, Picture

LEAST_SHARE = 0.002
"""Share of a picture's pixels from which people count: 23 x 23 pixels of 512 x 512."""
SURE = 0.15
"""Score below which a found person is nobody. Low: a false alarm costs a background, a miss spoils a truth. Of COCO
photos litert so misses 1 of 57 with people, and takes 5 of 68 without for such."""


def where_people_are(
    annotator: Annotator, images: Sequence[np.ndarray], *, sure: float = 0.0
) -> list[np.ndarray]:
    """Per picture bool[H, W]: whatever is part of a person.

    Args:
        annotator: loaded for `people`.
        images: uint8[H, W, 3], RGB, of any sizes.
        sure: score below which a person is left out.
    """
    found = annotator.people([Picture(str(place), image) for place, image in enumerate(images)])
    return [np.any(people.masks[people.scores >= sure], axis=0) for people in found]


def holds_people(annotator: Annotator, image: np.ndarray) -> bool:
    """Whether somebody is in a picture that should be empty; `annotator` is loaded for `people`."""
    (mask,) = where_people_are(annotator, [image], sure=SURE)
    return bool(mask.mean() >= LEAST_SHARE)
