"""People where the background looks like their clothes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np

from synth.families.people import PeopleFamily
from synth.framing import Framing
from synth.looks import Look, Surroundings, likeness, look_of_clothes
from synth.material import PersonChoice, Rejected
from synth.plan import AllRejected, Notes, Plan
from synth.rng import generator, shuffled
from synth.splits import split_of_sample
from synth.stage import Candidate, Place, Stage

SEARCHED = 48
"""People whose clothes are looked at for a scene;"""
BLOCK = 64
"""so many scenes share them, for whoever is looked at has to be cut out first."""
NEAREST = 8
"""Those of them who are tried where they would stand."""
BUILD = 0.3
"""Width to height of what stands for somebody's outline before they are tried."""
NEAR = 0.1
"""Percentile up to which a scene will do: further, and the next background is tried."""
BACKGROUNDS_TRIED = 4
"""Then the best of them is taken."""
RANDOM_SCENES, RANDOM_PEOPLE = 12, 8
"""Scenes and people in each, placed at random, that a split's distances are held against."""


@dataclass(frozen=True, eq=False)
class _Wardrobe:
    """People, and how each is dressed."""

    people: Sequence[PersonChoice]
    looks: Sequence[Look]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for look in self.looks for part in look)


class Camouflage(PeopleFamily):
    """People where the background looks like their clothes. Difficulty: 1 - the mean distance between the two.

    `Plan.distance_percentile` says how that distance compares with people and places taken at random.
    """

    name = "camouflage"
    hides = False
    compared = NEAREST

    def next_background(self) -> None:
        super().next_background()
        self._surroundings = Surroundings(self.stage.view.image)
        self._distances: list[float] = []

    def plan(self) -> tuple[Plan, Notes]:
        """On the first background that looks like somebody's clothes; on the best of a few where none does."""
        found: list[tuple[Plan, Notes]] = []
        try:
            while True:
                plan, notes = super().plan()
                share = self._share_nearer(float(np.mean(self._distances)))
                found.append((replace(plan, distance_percentile=share), notes))
                if share <= NEAR or len(found) == BACKGROUNDS_TRIED:
                    break
                self.next_background()
        except AllRejected:
            if not found:
                raise
        plan, notes = min(found, key=lambda tried: tried[0].distance_percentile or 0.0)
        for _, others in found:
            notes.rejections.items |= others.rejections.items
        if len(found) > 1:
            notes.unmet["a background passed over: nobody's clothes look like it"] += len(found) - 1
        return plan, notes

    def likely(self, framing: Framing) -> Sequence[PersonChoice]:
        """Those whose clothes look most like a place where somebody of that framing can stand."""
        size, wardrobe = self.recipe.size, self._wardrobe(self.index // BLOCK)
        stature = framing.height * size
        row = round(self.stage.view.row(stature))
        outline = np.ones((max(1, round(stature)), max(1, round(BUILD * stature))), dtype=bool)
        places = []
        for column in self.stage.columns(row, framing.centre):
            origin = column - outline.shape[1] // 2, row - outline.shape[0]
            window, part = self.stage.layout.clip(outline, origin)
            places.append(self._surroundings.look(part, window))
        if not places or not wardrobe.people:
            return self.pool()
        best = likeness(wardrobe.looks, places).max(axis=1)
        order = np.argsort(-best, kind="stable")
        return [wardrobe.people[position] for position in order[:NEAREST].tolist()]

    def settle(self, candidates: Iterator[Candidate]) -> tuple[Candidate, Place] | None:
        """Of all people and the places drawn for each, those that are nearest in colours and texture."""
        found = [nearest for candidate in candidates if (nearest := self._nearest(candidate)) is not None]
        if not found:
            return None
        distance, place, candidate = min(found, key=lambda nearest: nearest[0])
        self._distances.append(distance)
        return candidate, place

    def _nearest(self, candidate: Candidate) -> tuple[float, Place, Candidate] | None:
        places = [
            (distance, origin) for origin, distance in _distances(self.stage, self._surroundings, candidate)
        ]
        if not places:
            return None
        distance, origin = min(places)
        return distance, Place(origin), candidate

    def difficulty(self) -> float:
        return 1 - float(np.mean(self._distances))

    def _wardrobe(self, block: int) -> _Wardrobe:
        """Some of the split's people, others for each block of scenes, and how they are dressed."""
        catalogue, split = self.catalogue, self.stage.split

        def look() -> _Wardrobe:
            rng = generator(catalogue.seed, "wardrobe", split, block)
            people, looks = [], []
            for choice in islice(shuffled(rng, catalogue.people[split]), SEARCHED):
                try:
                    cutout = catalogue.cutout(choice.source, choice.ref.key)
                except Rejected as rejected:
                    self.stage.notes.rejections.add(rejected)
                else:
                    people.append(choice)
                    looks.append(look_of_clothes(cutout))
            return _Wardrobe(people, looks)

        if len(catalogue.people[split]) <= SEARCHED:
            block = 0  # there are no others
        return catalogue.findings.get(("wardrobe", split, block), look)

    def _share_nearer(self, distance: float) -> float:
        """Which share of the people placed at random in the split is at least as near to what lies under them."""
        split = self.stage.split
        random = self.catalogue.findings.get(("random placement", split), lambda: self._at_random(split))
        return int(np.count_nonzero(random <= distance)) / max(len(random), 1)

    def _at_random(self, split: str) -> np.ndarray:
        """float64[N]: distances of people placed as other families place them, in the split's first scenes."""
        found: list[float] = []
        catalogue = self.catalogue
        people = self._wardrobe(0).people
        scenes = (index for index in count() if split_of_sample(index, self.recipe.splits) == split)
        for index in islice(scenes, RANDOM_SCENES):
            try:
                rng = generator(catalogue.seed, "random placement", index)
                stage = Stage(catalogue, index, rng, catalogue.background_of(index))
            except AllRejected:
                continue
            surroundings = Surroundings(stage.view.image)
            for candidate in islice(stage.candidates(people, stage.draw_framing()), RANDOM_PEOPLE):
                found += [distance for _, distance in islice(_distances(stage, surroundings, candidate), 1)]
        return np.array(found)


def _distances(
    stage: Stage, surroundings: Surroundings, candidate: Candidate
) -> Iterator[tuple[tuple[int, int], float]]:
    """The places drawn for somebody, and how far each is from their clothes."""
    clothes = look_of_clothes(candidate.figure)
    for origin in stage.places(candidate):
        window, part = stage.layout.clip(candidate.figure.mask, origin)
        yield origin, surroundings.distance(clothes, part, window)
