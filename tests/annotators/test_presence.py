"""Is anybody there: refused backgrounds, and the residue of an erased person."""

from __future__ import annotations

import numpy as np
import torch
from fake_annotator import FakeAnnotator

from mildbench.annotators.base import Found
from mildbench.annotators.presence import holds_people, where_people_are
from mildbench.metrics.base import Pairs
from mildbench.metrics.residue import Residue


class Bright(FakeAnnotator):
    """Takes every white pixel for a person, as sure as the picture's blue corner says."""

    def people(self, pictures: list) -> list[Found]:
        found = []
        for picture in pictures:
            mask = (picture.image == 255).all(axis=2)
            masks = mask[None] if mask.any() else np.zeros((0, *mask.shape), dtype=bool)
            found.append(Found(masks, np.full(len(masks), picture.image[0, 0, 2] / 255, np.float32)))
        return found


def picture(size: int, sure: int, at: int = 20) -> np.ndarray:
    image = np.zeros((100, 100, 3), np.uint8)
    image[at : at + size, at : at + size] = 255
    image[0, 0, 2] = sure
    return image


def test_somebody_sure_and_large_enough_is_refused() -> None:
    assert holds_people(Bright(), picture(20, 200))
    assert not holds_people(Bright(), picture(20, 20))
    assert not holds_people(Bright(), picture(3, 200))
    assert not holds_people(Bright(), picture(0, 200))


def test_everybody_counts_where_nothing_is_asked_of_the_score() -> None:
    (there,) = where_people_are(Bright(), [picture(20, 0)])
    assert there.sum() == 400


def test_residue_is_the_share_of_the_mask_that_is_still_a_person() -> None:
    metric = Residue("fake")
    metric.load()
    metric._annotator = Bright()
    masks = np.zeros((4, 100, 100), dtype=bool)
    masks[:3, 20:40, 20:60] = True
    outputs = np.stack([picture(20, 9), picture(0, 9), picture(20, 9), picture(20, 9)])
    truths = np.stack([picture(0, 9), picture(0, 9), picture(20, 9), picture(0, 9)])
    pairs = Pairs(torch.from_numpy(outputs), torch.from_numpy(truths), {"mask": torch.from_numpy(masks)})
    np.testing.assert_array_equal(metric.score(pairs)["mask"], [0.5, 0, 0, np.nan])
