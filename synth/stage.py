"""One scene of people on a background in the making: who could stand where, by the rules all families share.

Each decision is one method: which background (`_background`), how tall somebody appears (`_stature`) and which row they
stand on (`_foot_row`), where they stand from left to right (`places`, `in_front_of_somebody`), and whether that is a
place to stand (`_stands_well`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from synth.canvas import Canvas, Standing
from synth.catalogue import PeopleCatalogue
from synth.fit import SizedFigure
from synth.harmonise import Harmony
from synth.plan import AllRejected, CoversTooLittle, Finish, Notes, PlannedPerson, Unsuitable
from synth.recipe import Band
from synth.rng import shuffled, weighted
from synth.sources.base import PersonChoice, Rejected
from synth.splits import split_of_sample
from synth.views import View

PEOPLE_TRIED = 12
"""People tried for one place of a scene before a wish is given up."""
PEOPLE_READ = 48
"""People read in vain, because they cover too little or are broken, before a wish is given up."""
PLACES_TRIED = 24
"""Places drawn for a person whose place is not given by whom they hide."""
MARGIN = 0.12
"""A person's foot stays so far inside the frame, as a share of its width."""

Origin = tuple[int, int]


@dataclass(frozen=True)
class Candidate:
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
class Place:
    """Where somebody is to stand, and why there."""

    origin: Origin
    victim: Standing | None = None
    """Whom they are to hide."""
    ratio: float | None = None
    """The visible ratio that the victim was to keep."""


class Stage:
    """A background, and the people who stand on it so far.

    Raises `AllRejected` when no background of the scene's split can be read.
    """

    def __init__(self, catalogue: PeopleCatalogue, index: int, rng: np.random.Generator) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe
        self.rng = rng
        self.notes = Notes()
        self.split = split_of_sample(index, self.recipe.splits)
        self.canvas = Canvas(self.recipe.size)
        self.cast: list[Candidate] = []
        """Who stands on the canvas, back to front."""
        self.asked: dict[int, float] = {}
        """Person id -> visible ratio that the recipe asked for."""
        self.background, self.view = self._background()

    @property
    def people(self) -> list[PlannedPerson]:
        """Back to front."""
        return [standing.person for standing in self.canvas.standing]

    def _background(self) -> tuple[dict[str, Any], View]:
        for choice in shuffled(self.rng, self.catalogue.backgrounds[self.split]):
            number = int(self.rng.integers(self.recipe.background_views))
            try:
                view = self.catalogue.view(choice.source, choice.ref.key, number)
            except Rejected as rejected:
                self.notes.rejections.add(rejected)
                continue
            return {"source": choice.source, "key": choice.ref.key, "view": number}, view
        raise AllRejected(f"no background of split {self.split!r} can be read", self.notes.rejections)

    def draw_statures(self) -> list[float]:
        """How tall each person of the scene is to appear, in pixels, farthest first."""
        count = weighted(self.rng, self.recipe.crowd)
        low, high = self.recipe.stature
        return sorted((self.rng.uniform(low, high, count) * self.recipe.size).tolist())

    def draw_ratio(self) -> float:
        """A visible ratio to ask for."""
        bands = self.recipe.visible_ratio
        band: Band = bands[weighted(self.rng, {index: band.weight for index, band in enumerate(bands)})]
        return round(float(self.rng.uniform(*band.range)), 3)

    def candidates(
        self, pool: Sequence[PersonChoice], stature: float, *, front: bool, least_area: float = 0
    ) -> Iterator[Candidate]:
        """People of a pool in random order, brought to size, as far as they fit in front of all who stand already.

        Args:
            pool: whom to draw from.
            stature: how tall they are to appear, in pixels.
            front: whether nobody is to stand in front of them.
            least_area: whoever covers fewer pixels is passed over before any work is done on them.
        """
        tried = read = 0
        for choice in shuffled(self.rng, pool):
            if tried == PEOPLE_TRIED or read == PEOPLE_READ:
                return
            if any(choice.ref.group == other.choice.ref.group for other in self.cast):
                continue  # nobody meets a copy of themselves
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

    def _candidate(self, choice: PersonChoice, stature: float, front: bool, least_area: float) -> Candidate:
        """One person brought to size; raises `Unsuitable` or `Rejected`."""
        size, ref = self.recipe.size, choice.ref
        stature = self._stature(choice, stature)
        foot_row = self._foot_row(stature)
        mirrored = bool(self.rng.random() < 0.5)
        finish = self._finish()
        if ref.cut_at_bottom:
            # The picture that the person comes from ends here, so the frame has to as well; and whoever is cut
            # off by the frame is nearest to the camera.
            if not front:
                raise Unsuitable
            foot_row = size - 1 + stature * self.rng.uniform(0, 0.1)
            finish = replace(finish, shadow=0.0)
        if self.cast and foot_row < self.cast[-1].foot_row:
            raise Unsuitable  # too small to stand in front of somebody
        if foot_row - stature > (1 - MARGIN) * size:
            raise Unsuitable  # told before any pixel is read
        scale = round(float(stature / ref.height), 4)
        if least_area > 0 and self.catalogue.cutout(choice.source, ref.key).area * scale**2 < least_area:
            raise CoversTooLittle
        figure = self.catalogue.figure(choice.source, ref.key, scale, mirrored, finish.shadow > 0)
        if foot_row - figure.foot[1] > (1 - MARGIN) * size:
            raise Unsuitable  # nothing but the hair would show
        return Candidate(choice, figure, scale, mirrored, finish, foot_row)

    def _stature(self, choice: PersonChoice, wanted: float) -> float:
        """How tall somebody appears who is to appear `wanted` pixels tall: no cut-out is enlarged too far."""
        stature = min(wanted, self.recipe.max_upscale * choice.ref.height)
        if stature < self.recipe.stature[0] * self.recipe.size:
            raise Unsuitable
        return stature

    def _foot_row(self, stature: float) -> float:
        """The row that somebody stands on who appears `stature` pixels tall."""
        return self.view.horizon + stature * self.view.camera_height

    def _finish(self) -> Finish:
        recipe, rng = self.recipe, self.rng
        return Finish(
            shadow=round(float(rng.uniform(*recipe.shadow)), 3),
            blend=weighted(rng, recipe.blends),
            harmony=Harmony(
                colour=round(float(rng.uniform(*recipe.colour_match)), 3),
                noise=recipe.match_noise,
                blur=recipe.match_blur,
                jpeg=int(rng.integers(60, 96)) if rng.random() < recipe.jpeg else None,
            ),
        )

    def victims(self) -> list[Standing]:
        """Those of whom no visible ratio has been asked for yet."""
        return [standing for standing in self.canvas.standing if standing.asked is None]

    def in_front_of_somebody(self, candidate: Candidate, ratio: float) -> Place | None:
        """A place at which somebody behind keeps this visible ratio, or None."""
        pairs = [(victim, side) for victim in self.victims() for side in (-1, 1)]
        for position in self.rng.permutation(len(pairs)):
            victim, side = pairs[position]
            origin = self.canvas.offset_for(candidate.figure.mask, candidate.row, victim, ratio, side)
            if origin is None or not self._acceptable(candidate, origin, victim):
                continue
            reached = self.canvas.ratio_behind(candidate.figure.mask, origin, victim)
            if abs(reached - ratio) <= self.recipe.tolerance / 2:
                return Place(origin, victim, ratio)
        return None

    def free_place(self, candidate: Candidate) -> Place | None:
        """The place that hides least of those drawn; None when each hides somebody too much."""
        places = []
        for origin in self.places(candidate):
            hidden = sum(
                other.visible_ratio() - self.canvas.ratio_behind(candidate.figure.mask, origin, other)
                for other in self.canvas.standing
            )
            if hidden == 0:
                return Place(origin)
            places.append((hidden, origin))
        return Place(min(places)[1]) if places else None

    def places(self, candidate: Candidate) -> Iterator[Origin]:
        """Random places to stand."""
        for _ in range(PLACES_TRIED):
            x = int(self.rng.uniform(MARGIN, 1 - MARGIN) * self.recipe.size) - candidate.figure.foot[0]
            origin = (x, candidate.row)
            if self._acceptable(candidate, origin, None):
                yield origin

    def _acceptable(self, candidate: Candidate, origin: Origin, victim: Standing | None) -> bool:
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

    def _stands_well(self, candidate: Candidate, origin: Origin) -> bool:
        size, ground = self.recipe.size, self.view.ground
        foot_x, foot_y = origin[0] + candidate.figure.foot[0], origin[1] + candidate.figure.foot[1]
        if not MARGIN * size <= foot_x < (1 - MARGIN) * size:
            return False
        return ground is None or foot_y >= size or bool(ground[foot_y, foot_x])

    def put(self, candidate: Candidate, place: Place) -> None:
        """Have somebody stand in front of all who stand already."""
        person = PlannedPerson(
            id=len(self.cast) + 1,
            source=candidate.choice.source,
            key=candidate.choice.ref.key,
            scale=candidate.scale,
            mirrored=candidate.mirrored,
            origin=place.origin,
            finish=candidate.finish,
        )
        if place.victim is not None and place.ratio is not None:
            place.victim.asked = self.asked[place.victim.person.id] = place.ratio
        self.cast.append(candidate)
        self.canvas.add(person, candidate.figure.mask)
