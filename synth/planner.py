"""From recipe, seed and index to a plan: who stands where. No pixel of the result is made here.

Difficulty, by family: `occlusion`, 1 - the smallest visible ratio; `entanglement`, the share of people who carry
or ride something; `camouflage`, 1 - the mean distance between clothes and background.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from synth.camouflage import Surroundings, look_of_clothes
from synth.canvas import Canvas, Standing
from synth.catalogue import Catalogue, View, split_of_sample
from synth.fit import SizedFigure
from synth.harmonise import Harmony
from synth.plan import AllRejected, CoversTooLittle, Finish, Notes, Plan, PlannedPerson, Unsuitable
from synth.recipe import Band
from synth.rng import generator
from synth.sources.base import PersonChoice, Rejected

PEOPLE_TRIED = 12
"""People tried for one place of a scene before a wish is given up."""
PEOPLE_READ = 48
"""People read in vain, because they cover too little or are broken, before a wish is given up."""
PEOPLE_COMPARED = 4
"""People of whom the best camouflaged is taken, or the first for whom there is room."""
PLACES_TRIED = 24
"""Places drawn for a person who is to stand free, or camouflaged."""
MARGIN = 0.12
"""A person's foot stays so far inside the frame, as a share of its width."""

Origin = tuple[int, int]


@dataclass(frozen=True)
class _Candidate:
    """A person with everything decided except where, from left to right, they stand."""

    choice: PersonChoice
    figure: SizedFigure
    scale: float
    mirrored: bool
    finish: Finish
    foot_row: float

    @property
    def row(self) -> int:
        """Of the layer's origin."""
        return round(self.foot_row) - self.figure.foot[1]


@dataclass(frozen=True)
class _Place:
    """Where somebody is to stand, and why there."""

    origin: Origin
    victim: Standing | None = None
    ratio: float | None = None
    """The visible ratio that the victim was to keep."""
    distance: float | None = None
    """Of a camouflaged person's clothes to the background."""


class Planner:
    """Plans the scenes of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe

    def plan(self, index: int) -> tuple[Plan, Notes]:
        """The plan of scene `index`; depends on recipe, sources, seed and index alone.

        Raises `AllRejected` when the split's pool holds nothing usable.
        """
        return _Scene(self.catalogue, index).plan()


class _Scene:
    """One scene in the making."""

    def __init__(self, catalogue: Catalogue, index: int) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe
        self.index = index
        self.rng = generator(catalogue.seed, "scene", index)
        self.notes = Notes()
        self.split = split_of_sample(index, self.recipe.splits)
        self.family: str = _draw(self.rng, self.recipe.families)
        self.canvas = Canvas(self.recipe.size)
        self.groups: set[str] = set()
        self.carrying = 0
        self.distances: list[float] = []
        self.asked: dict[int, float] = {}

    def plan(self) -> tuple[Plan, Notes]:
        background, self.view = self._background()
        self.surroundings = Surroundings(self.view.image) if self.family == "camouflage" else None
        count = _draw(self.rng, self.recipe.crowd)
        low, high = self.recipe.stature
        statures = sorted(self.rng.uniform(low, high, count) * self.recipe.size)  # farthest first
        for position, stature in enumerate(statures):
            self._add_somebody(float(stature), front=position == count - 1)
        if not self.canvas.standing:
            raise AllRejected(
                f"no person of split {self.split!r} fits scene {self.index}", self.notes.rejections
            )
        people = [standing.person for standing in self.canvas.standing]
        if len(people) < count:
            self.notes.unmet["a person left out: nobody fits who keeps the others visible"] += count - len(
                people
            )
        family = "single" if self.family == "occlusion" and len(people) == 1 else self.family
        difficulty = round(self._difficulty(), 6)
        plan = Plan(self.index, self.split, family, difficulty, background, people, self.asked)
        return plan, self.notes

    def _difficulty(self) -> float:
        if self.family == "entanglement":
            return self.carrying / len(self.canvas.standing)
        if self.family == "camouflage":
            return 1 - float(np.mean(self.distances))
        return 1 - min(standing.visible_ratio() for standing in self.canvas.standing)

    def _background(self) -> tuple[dict[str, Any], View]:
        pool = self.catalogue.backgrounds[self.split]
        for choice in _draws(self.rng, pool):
            number = int(self.rng.integers(self.recipe.background_views))
            try:
                view = self.catalogue.view(choice.source, choice.ref.key, number)
            except Rejected as rejected:
                self.notes.rejections.add(rejected)
                continue
            return {"source": choice.source, "key": choice.ref.key, "view": number}, view
        raise AllRejected(f"no background of split {self.split!r} can be read", self.notes.rejections)

    def _add_somebody(self, stature: float, *, front: bool) -> None:
        """Place one more person, in front of those who stand already; nobody if nobody fits.

        A visible ratio that was drawn is tried with several people before it is given up: drawing another each
        time would favour the ratios that are easy to reach.
        """
        if self.canvas.standing and self.family != "camouflage" and self.rng.random() < self.recipe.occlude:
            ratio = round(_draw_ratio(self.rng, self.recipe.visible_ratio), 3)
            hidden = min(
                (other.visible_area - ratio * other.amodal_area for other in self._victims()), default=np.inf
            )
            for candidate in self._candidates(stature, front, least_area=hidden):
                place = self._in_front_of_somebody(candidate, ratio)
                if place is not None:
                    self._put(candidate, place)
                    return
            self.notes.unmet["a visible ratio given up: nobody behind can be hidden so far"] += 1
        best: tuple[float, _Candidate, _Place] | None = None
        for candidate in islice(self._candidates(stature, front), PEOPLE_COMPARED):
            place = self._camouflaged(candidate) if self.family == "camouflage" else self._free(candidate)
            if place is None:
                continue
            cost = place.distance or 0.0
            if best is None or cost < best[0]:
                best = (cost, candidate, place)
            if self.family != "camouflage":
                break
        if best is not None:
            self._put(best[1], best[2])

    def _put(self, candidate: _Candidate, place: _Place) -> None:
        person = PlannedPerson(
            id=len(self.canvas.standing) + 1,
            source=candidate.choice.source,
            key=candidate.choice.ref.key,
            scale=candidate.scale,
            mirrored=candidate.mirrored,
            origin=place.origin,
            finish=candidate.finish,
        )
        if place.victim is not None and place.ratio is not None:
            place.victim.asked = self.asked[place.victim.person.id] = place.ratio
        if place.distance is not None:
            self.distances.append(place.distance)
        self.carrying += candidate.choice.ref.carries
        self.groups.add(candidate.choice.ref.group)
        self.last_foot_row = candidate.foot_row
        self.canvas.add(person, candidate.figure.mask)

    def _candidates(self, stature: float, front: bool, least_area: float = 0) -> Iterator[_Candidate]:
        """People of the split in random order, brought to size, as far as they fit this place of the scene.

        Whoever covers fewer than `least_area` pixels is passed over before any work is done on them.
        """
        pool = self.catalogue.people[self.split]
        if self.family == "entanglement":
            pool = [choice for choice in pool if choice.ref.carries]
        tried = read = 0
        for choice in _draws(self.rng, pool):
            if tried == PEOPLE_TRIED or read == PEOPLE_READ:
                return
            if choice.ref.group in self.groups:  # nobody meets a copy of themselves
                continue
            try:
                yield self._candidate(choice, stature, front, least_area)
            except CoversTooLittle:
                read += 1
            except Unsuitable:
                continue
            except Rejected as rejected:
                self.notes.rejections.add(rejected)
                read += 1
            else:
                tried += 1

    def _candidate(self, choice: PersonChoice, stature: float, front: bool, least_area: float) -> _Candidate:
        size, ref = self.recipe.size, choice.ref
        stature = min(stature, self.recipe.max_upscale * ref.height)
        if stature < self.recipe.stature[0] * size:
            raise Unsuitable
        foot_row = self.view.horizon + stature * self.view.camera_height
        mirrored = bool(self.rng.random() < 0.5)
        finish = self._finish()
        if ref.cut_at_bottom:
            # The picture that the person comes from ends here, so the frame has to as well; and whoever is cut
            # off by the frame is nearest to the camera.
            if not front:
                raise Unsuitable
            foot_row = size - 1 + stature * self.rng.uniform(0, 0.1)
            finish = replace(finish, shadow=0.0)
        if self.canvas.standing and foot_row < self.last_foot_row:
            raise Unsuitable  # too small to stand in front of somebody
        if foot_row - stature > (1 - MARGIN) * size:
            raise Unsuitable  # told before any pixel is read
        scale = round(float(stature / ref.height), 4)
        if least_area > 0 and self.catalogue.cutout(choice.source, ref.key).area * scale**2 < least_area:
            raise CoversTooLittle
        figure = self.catalogue.figure(choice.source, ref.key, scale, mirrored, finish.shadow > 0)
        if foot_row - figure.foot[1] > (1 - MARGIN) * size:
            raise Unsuitable  # nothing but the hair would show
        return _Candidate(choice, figure, scale, mirrored, finish, foot_row)

    def _finish(self) -> Finish:
        recipe, rng = self.recipe, self.rng
        return Finish(
            shadow=round(float(rng.uniform(*recipe.shadow)), 3),
            blend=_draw(rng, recipe.blends),
            harmony=Harmony(
                colour=round(float(rng.uniform(*recipe.colour_match)), 3),
                noise=recipe.match_noise,
                blur=recipe.match_blur,
                jpeg=int(rng.integers(60, 96)) if rng.random() < recipe.jpeg else None,
            ),
        )

    def _victims(self) -> list[Standing]:
        """Those of whom no visible ratio has been asked for yet."""
        return [standing for standing in self.canvas.standing if standing.asked is None]

    def _in_front_of_somebody(self, candidate: _Candidate, ratio: float) -> _Place | None:
        """A place at which somebody behind keeps this visible ratio, or None."""
        pairs = [(victim, side) for victim in self._victims() for side in (-1, 1)]
        for position in self.rng.permutation(len(pairs)):
            victim, side = pairs[position]
            origin = self.canvas.offset_for(candidate.figure.mask, candidate.row, victim, ratio, side)
            if origin is None or not self._acceptable(candidate, origin, victim):
                continue
            reached = self.canvas.ratio_behind(candidate.figure.mask, origin, victim)
            if abs(reached - ratio) <= self.recipe.tolerance / 2:
                return _Place(origin, victim, ratio)
        return None

    def _free(self, candidate: _Candidate) -> _Place | None:
        """The place that hides least of those drawn; None when each hides somebody too much."""
        places = []
        for origin in self._random_places(candidate):
            hidden = sum(
                other.visible_ratio() - self.canvas.ratio_behind(candidate.figure.mask, origin, other)
                for other in self.canvas.standing
            )
            if hidden == 0:
                return _Place(origin)
            places.append((hidden, origin))
        return _Place(min(places)[1]) if places else None

    def _camouflaged(self, candidate: _Candidate) -> _Place | None:
        """The place, of those drawn, whose colours and texture are nearest to the clothes."""
        assert self.surroundings is not None
        places, clothes = [], look_of_clothes(candidate.figure)
        for origin in self._random_places(candidate):
            window, part = self.canvas.clip(candidate.figure.mask, origin)
            places.append((self.surroundings.distance(clothes, part, window), origin))
        if not places:
            return None
        distance, origin = min(places)
        return _Place(origin, distance=distance)

    def _random_places(self, candidate: _Candidate) -> Iterator[Origin]:
        for _ in range(PLACES_TRIED):
            x = int(self.rng.uniform(MARGIN, 1 - MARGIN) * self.recipe.size) - candidate.figure.foot[0]
            origin = (x, candidate.row)
            if self._acceptable(candidate, origin, None):
                yield origin

    def _acceptable(self, candidate: _Candidate, origin: Origin, victim: Standing | None) -> bool:
        """Inside the frame, on the ground, and nobody's visible ratio but the victim's is spoiled."""
        if not self._stands_well(candidate, origin):
            return False
        for other in self.canvas.standing:
            if other is victim:
                continue
            ratio = self.canvas.ratio_behind(candidate.figure.mask, origin, other)
            if ratio < self.recipe.min_visible_ratio:
                return False
            if other.asked is not None and abs(ratio - other.asked) > self.recipe.tolerance:
                return False
        return True

    def _stands_well(self, candidate: _Candidate, origin: Origin) -> bool:
        size, ground = self.recipe.size, self.view.ground
        foot_x, foot_y = origin[0] + candidate.figure.foot[0], origin[1] + candidate.figure.foot[1]
        if not MARGIN * size <= foot_x < (1 - MARGIN) * size:
            return False
        return ground is None or foot_y >= size or bool(ground[foot_y, foot_x])


def _draws(rng: np.random.Generator, pool: list[Any]) -> Iterator[Any]:
    """The pool in random order, without making a permutation of a million entries for a handful of draws."""
    seen: set[int] = set()
    while len(seen) < len(pool):
        position = int(rng.integers(len(pool)))
        if 2 * len(seen) > len(pool):  # few are left: list them rather than draw in vain
            rest = [index for index in range(len(pool)) if index not in seen]
            yield from (pool[rest[index]] for index in rng.permutation(len(rest)))
            return
        if position not in seen:
            seen.add(position)
            yield pool[position]


def _draw(rng: np.random.Generator, weights: dict[Any, float]) -> Any:
    names = list(weights)
    shares = np.array([weights[name] for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def _draw_ratio(rng: np.random.Generator, bands: list[Band]) -> float:
    band = bands[_draw(rng, {index: band.weight for index, band in enumerate(bands)})]
    return float(rng.uniform(*band.range))
