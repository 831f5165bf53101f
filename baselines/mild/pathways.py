"""From a picture with people to MILD's pathways: what each one sees, what it makes, and who is around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baselines.people import HiddenPerson, hidden_people, touching
from mildbench.labels import UNLABELLED
from mildbench.method import EraseBatch

GREY = 128
"""Neutral grey: what an instance pathway has around its person, in its condition and in its target."""

NOBODY = np.zeros((0, 17, 3), np.float32)


@dataclass(frozen=True, eq=False)
class Pathway:
    """What one UNet pathway denoises. Arrays have the picture's size."""

    sample: int
    """Place in the batch."""
    name: str
    """As `AttentionRecord` names pathways."""
    layer: int | None
    """Place of the layer that it makes, from the back: that of its person in `EraseBatch.instances`, or 0 of the one
    that everybody shares; None where it makes a background or the whole picture."""
    picture: np.ndarray
    """uint8[H, W, 3]; what is in the hole is not looked at."""
    hole: np.ndarray
    """bool[H, W]: what is to be made."""
    mask: np.ndarray
    """bool[H, W]: what is to be erased from the input."""
    visible: np.ndarray
    """bool[H, W]: where the input shows what this pathway makes."""
    in_front: np.ndarray
    """bool[H, W]: the people in front of it, who may hide it."""
    behind: np.ndarray
    """bool[H, W]: the people behind it who touch it."""
    rank: float
    """Among those who touch it, the share that stands behind it; 0 for the background, 1/2 where nobody does."""
    others: np.ndarray
    """bool[H, W]: people whom attention should tell apart from what this pathway makes."""
    poses: np.ndarray
    """float32[N, 17, 3]: the keypoints of the people whom this pathway makes."""
    parsing: np.ndarray
    """uint8[H, W]: CIHP-20 labels of what is visible of them; 255 where unknown."""

    @property
    def shown(self) -> np.ndarray:
        """bool[H, W]: where its picture is the input. Around a person there is nothing but grey."""
        return ~self.hole if self.layer is None else self.visible


def pathways(batch: EraseBatch) -> list[Pathway]:
    """The pathways of all samples: of each its background first, then its people back to front.

    A person has a pathway if they are to be completed (see `baselines.people.hidden_people`); an erased person's layer
    would never be used, so it is not computed. The hole is where they may be hidden, and where they are seen under
    the erase mask, since a soft edge or a shadow of the erased lies there.

    The background's hole is all people and the erase mask: survivors are laid over it again. Where people are
    unknown there is only the background, and its hole is the mask.
    """
    found, hidden = [], hidden_people(batch)
    for sample in range(len(batch)):
        people = _People.of(batch, sample)
        found.append(people.background())
        found += [people.instance(person) for person in hidden if person.sample == sample]
    return found


def dual_pathways(batch: EraseBatch) -> list[Pathway]:
    """The pathways of all samples, of each at most two: its background, and everybody who stays.

    The second is there if somebody is to be completed. It is shown all who stay, on grey, and makes them one layer.
    """
    found, hidden = [], hidden_people(batch)
    for sample in range(len(batch)):
        people = _People.of(batch, sample)
        found.append(people.background())
        if mine := [person for person in hidden if person.sample == sample]:
            found.append(people.everybody(mine))
    return found


def single_pathways(batch: EraseBatch) -> list[Pathway]:
    """One pathway a sample, which inpaints the mask in the whole picture: the ablation without pathways.

    It is guided by all survivors together, and makes no layers.
    """
    return [_People.of(batch, sample).together() for sample in range(len(batch))]


@dataclass(frozen=True, eq=False)
class _People:
    """One sample with what is known of the people in it."""

    sample: int
    image: np.ndarray
    mask: np.ndarray
    visible: np.ndarray
    """bool[K, H, W]; K = 0 where people are unknown."""
    survivors: Sequence[int]
    erased: Sequence[int]
    keypoints: np.ndarray | None
    parsing: np.ndarray | None
    touching: np.ndarray

    @classmethod
    def of(cls, batch: EraseBatch, sample: int) -> _People:
        image, mask = batch.images[sample], batch.masks[sample]
        visible, erased = np.zeros((0, *mask.shape), dtype=bool), tuple[int, ...]()
        if batch.instances is not None and batch.targets is not None:
            visible, erased = batch.instances[sample], batch.targets[sample]
        return cls(
            sample,
            image,
            mask,
            visible,
            [person for person in range(len(visible)) if person not in erased],
            erased,
            None if batch.keypoints is None else batch.keypoints[sample],
            None if batch.parsing is None else batch.parsing[sample],
            touching(visible),
        )

    def background(self) -> Pathway:
        people = self._union(range(len(self.visible)))
        seen = ~(people | self.mask)
        return Pathway(
            sample=self.sample,
            name="background",
            layer=None,
            picture=self.image,
            hole=~seen,
            mask=self.mask,
            visible=seen,
            in_front=people,
            behind=np.zeros_like(people),
            rank=0.0,
            others=self._union(self.survivors),
            poses=NOBODY,
            parsing=self._labels(seen),
        )

    def instance(self, hidden: HiddenPerson) -> Pathway:
        person = hidden.index
        near = np.flatnonzero(self.touching[person])
        near = near[near != person]
        behind = near[near < person]
        hole = hidden.observability | (hidden.visible & ~hidden.seen)
        others = [other for other in range(len(self.visible)) if other != person]
        return Pathway(
            sample=self.sample,
            name=f"person {person}",
            layer=person,
            picture=np.where(hidden.seen[..., None], self.image, np.uint8(GREY)),
            hole=hole,
            mask=self.mask,
            visible=hidden.seen,
            in_front=hidden.in_front,
            behind=self._union(behind),
            rank=len(behind) / len(near) if len(near) else 0.5,
            others=self._union(others) & ~hole,
            poses=self._poses([person]),
            parsing=self._labels(hidden.seen),
        )

    def everybody(self, hidden: Sequence[HiddenPerson]) -> Pathway:
        visible: np.ndarray = np.any([person.seen for person in hidden], axis=0)
        whole = set(self.survivors).difference(person.index for person in hidden)
        visible = visible | self._union(sorted(whole))
        hole: np.ndarray = np.any(
            [person.observability | (person.visible & ~person.seen) for person in hidden], axis=0
        )
        return Pathway(
            sample=self.sample,
            name="people",
            layer=0,
            picture=np.where(visible[..., None], self.image, np.uint8(GREY)),
            hole=hole & ~visible,
            mask=self.mask,
            visible=visible,
            in_front=self._union(self.erased),
            behind=np.zeros_like(self.mask),
            rank=0.5,
            others=self._union(self.erased) & ~hole,
            poses=self._poses(self.survivors),
            parsing=self._labels(visible),
        )

    def together(self) -> Pathway:
        survivors = self._union(self.survivors) & ~self.mask
        return Pathway(
            sample=self.sample,
            name="picture",
            layer=None,
            picture=self.image,
            hole=self.mask,
            mask=self.mask,
            visible=survivors,
            in_front=self._union(self.erased),
            behind=np.zeros_like(self.mask),
            rank=0.0,
            others=survivors,
            poses=self._poses(self.survivors),
            parsing=self._labels(~self.mask),
        )

    def _union(self, people: Sequence[int] | np.ndarray) -> np.ndarray:
        """bool[H, W]: what is seen of these people."""
        return np.asarray(self.visible[list(people)].any(axis=0))

    def _poses(self, people: Sequence[int]) -> np.ndarray:
        return NOBODY if self.keypoints is None else self.keypoints[list(people)]

    def _labels(self, where: np.ndarray) -> np.ndarray:
        """uint8[H, W]: the parsing where it belongs to the pathway."""
        known = UNLABELLED if self.parsing is None else self.parsing
        return np.where(where, known, UNLABELLED).astype(np.uint8)
