"""One scene of people on a background in the making: who could stand where, by the rules all families share.

Each decision is one method: which background (`_background`), how people are framed (`draw_framings`), which row
somebody stands in (`View.row`), where they stand from left to right (`places`, `in_front_of_somebody`), and whether
that is a place to stand (`_stands_well`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mildbench.geometry import Box
from synth.catalogue import PeopleCatalogue
from synth.exact_math import exp
from synth.fit import SizedFigure
from synth.framing import HEIGHTS, Framing
from synth.harmonise import Harmony
from synth.layout import Layout, Standing
from synth.light import Cast
from synth.material import ADULT_METRES, BackgroundChoice, PersonChoice, Rejected, Sunlight
from synth.plan import AllRejected, CoversTooLittle, Notes, PlannedPerson, Treatment, Unsuitable
from synth.recipe import Band
from synth.rng import generator, shuffled, weighted
from synth.splits import split_of_sample
from synth.views import View

PEOPLE_TRIED = 12
"""People tried for one place of a scene before a wish is given up."""
PEOPLE_READ = 48
"""People read in vain, because they cover too little or are broken, before a wish is given up."""
PLACES_TRIED = 24
"""Places drawn for a person whose place is not given by whom they hide."""
MARGIN = 0.12
"""So much of the frame at its lower edge is not enough to show somebody by: nothing but the hair would be seen."""
SHOWN = 0.25
"""So much of somebody whom the frame cuts is in it, at least: less is a hat at the lower edge."""
SIDE = 0.03
"""A person's foot stays so far inside the frame, as a share of its width."""
ASIDE = 0.15
"""How far from where they were to be framed somebody may stand to have ground under their feet, as a share of the
frame's width."""
FRAMINGS_TRIED = 64
"""Framings drawn of one person before any height will do that the ground has room for."""
STEPS = 64
"""Heights that are tried for whether a background has room for them."""
FAR = 0.25
"""Frame heights that people are tall, at most, who are far away."""
GROUP = 0.2
"""A group's people stand so far from each other, at most, as a share of the frame's width, where there is room."""
ALIKE = 0.12
"""People who stand together differ so much in apparent height (standard deviation of the logarithm)."""

SHADOW_LENGTHS = (0.4, 1.6)
"""Of a shadow whose sun is drawn, in heights: a sun from 68 degrees down to 32."""

Origin = tuple[int, int]


@dataclass(frozen=True)
class Candidate:
    """A person with everything decided except where, from left to right, they stand."""

    choice: PersonChoice
    figure: SizedFigure
    scale: float
    mirrored: bool
    finish: Treatment
    wanted: Framing
    """How the person was to be framed."""
    stature: float
    """How tall the whole person is, in pixels."""
    foot_row: float
    """The row the person stands in; below the frame for those whom it cuts."""

    @property
    def row(self) -> int:
        """Of the layer's origin."""
        if self.choice.ref.cut_at_bottom:  # there are no feet
            return round(self.foot_row - self.stature) - self.figure.top
        return round(self.foot_row) - self.figure.foot[1]

    @cached_property
    def is_wide(self) -> bool:
        """Whether they are wider than tall, as riders with their mounts are: a wheel in the frame is not the rider."""
        box = Box.around(self.figure.mask)
        return box.width > box.height

    def mostly_within(self, left: int, size: int) -> bool:
        """Whether more of them is between the frame's sides than beyond, with the layer's first column at `left`."""
        mask = self.figure.mask
        inside = np.count_nonzero(mask[:, max(0, -left) : max(0, size - left)])
        return bool(2 * inside > np.count_nonzero(mask))


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

    Args:
        catalogue: what there is.
        index: of the scene.
        rng: the scene's own.
        backgrounds: those in question and which crop of each; as many are taken as it needs to find one of use.
        suits: whether one is of use to the family.

    Raises `AllRejected` when no background can be used.
    """

    def __init__(
        self,
        catalogue: PeopleCatalogue,
        index: int,
        rng: np.random.Generator,
        backgrounds: Iterator[tuple[BackgroundChoice, int]],
        suits: Callable[[View], bool] = lambda view: True,
    ) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe
        self.rng = rng
        self.notes = Notes()
        self.index = index
        self.split = split_of_sample(index, self.recipe.splits)
        self.mix = weighted(generator(catalogue.seed, "mix", index), self.recipe.mix)
        """Who is in the scene (`Recipe.mix`)."""
        self.layout = Layout(self.recipe.size)
        self.cast: list[Candidate] = []
        """Who stands on the canvas, back to front."""
        self.asked: dict[int, float] = {}
        """Person id -> visible ratio that the recipe asked for."""
        self.background, self.view = self._background(backgrounds, suits)
        self._sunlight = self._sun()

    @property
    def people(self) -> list[PlannedPerson]:
        """Back to front."""
        return [standing.person for standing in self.layout.standing]

    def _background(
        self, backgrounds: Iterator[tuple[BackgroundChoice, int]], suits: Callable[[View], bool]
    ) -> tuple[dict[str, Any], View]:
        for choice, number in backgrounds:
            try:
                view = self.catalogue.view(choice.source, choice.ref.key, number)
            except Rejected as rejected:
                self.notes.rejections.add(rejected)
                continue
            if not suits(view):
                self.notes.unmet["a background passed over: of no use to the scene's family"] += 1
                continue
            if not any(self._fits(view, height) for height in self._heights()):
                self.notes.unmet[
                    "a background passed over: nobody of the recipe's stature fits its ground"
                ] += 1
                continue
            return {"source": choice.source, "key": choice.ref.key, "view": number}, view
        raise AllRejected(f"no background of split {self.split!r} can be used", self.notes.rejections)

    def draw_framings(self) -> list[Framing]:
        """How the people of the scene are to be framed, farthest first.

        As in life some stand together, and look about equally tall: as many as are to hide each other, and all of a
        group.
        """
        found: list[Framing] = []
        for _ in range(weighted(self.rng, self.recipe.crowd)):
            together = bool(found) and (self.rng.random() < self.recipe.occlude or self.mix == "group")
            found.append(
                (together and self._beside(found[int(self.rng.integers(len(found)))])) or self.draw_framing()
            )
        return sorted(found, key=lambda framing: framing.height)

    def draw_framing(self) -> Framing:
        """How somebody is to be framed for whom there is room; far away, if that is the mix and there is."""
        far = self.mix == "far" and any(self._fits(self.view, height) for height in self._heights(FAR))
        framings = [self.catalogue.table.draw(self.rng) for _ in range(FRAMINGS_TRIED)]
        # Where few who are not cut would fit, most of those who fit are cut: so this is settled first.
        for framing in sorted(framings, key=lambda framing: framing.cut != framings[0].cut):
            if framing.height <= (FAR if far else HEIGHTS[1]) and self._frames(self.view, framing):
                return framing
        tallest = FAR if far else self.recipe.stature[1]
        heights = [height for height in self._heights(tallest) if self._fits(self.view, height)]
        height = heights[int(self.rng.integers(len(heights)))]
        return replace(framings[0], height=height, head=framings[0].foot - height)

    def _beside(self, other: Framing) -> Framing | None:
        """How somebody is to be framed who stands with somebody else; None where there is no room."""
        height = other.height * float(exp(ALIKE * float(self.rng.standard_normal())))
        cut = self._cuts(self.view, other.height)
        if self._cuts(self.view, height) != cut or not self._fits(self.view, height):
            return None
        centre = self.catalogue.table.draw(self.rng).centre
        if self.mix == "group":
            centre = min(max(other.centre + GROUP * (2 * centre - 1), SIDE), 1 - SIDE)
        return Framing(height, other.foot - height, centre)

    def _heights(self, tallest: float = HEIGHTS[1]) -> list[float]:
        """The heights in question, in frame heights, those up to `tallest` alone."""
        low, high = self.recipe.stature
        return [height for height in np.linspace(low, high, STEPS).tolist() if height <= tallest]

    def _frames(self, view: View, framing: Framing) -> bool:
        """Whether there is ground for somebody who is to be framed so, whom the frame then cuts if it is to."""
        return self._cuts(view, framing.height) == framing.cut and self._fits(view, framing.height)

    def _cuts(self, view: View, height: float) -> bool:
        """Whether the frame's lower edge cuts somebody of a height, in frame heights."""
        return view.row(height * self.recipe.size) > self.recipe.size

    def _fits(self, view: View, height: float) -> bool:
        """Whether there is ground for somebody of a height, in frame heights, and they show from the head down."""
        size = self.recipe.size
        low, high = self.recipe.stature
        stature = height * size
        if not low <= height <= high or stature > self.catalogue.tallest[self.split]:
            return False
        row = view.row(stature)
        if not 0 <= row - stature <= (1 - MARGIN) * size:
            return False  # the head would be above the frame, or hardly anything else inside
        if size - (row - stature) < SHOWN * stature:
            return False
        if row - stature + self.catalogue.shown[self.split] * stature < size:
            return False  # the frame would not cut them where their own photos did
        return bool(view.standable[size if row > size else min(round(row), size - 1)])

    def draw_ratio(self) -> float:
        """A visible ratio to ask for."""
        bands = self.recipe.visible_ratio
        band: Band = bands[weighted(self.rng, {index: band.weight for index, band in enumerate(bands)})]
        return round(float(self.rng.uniform(*band.range)), 3)

    def candidates(
        self, pool: Sequence[PersonChoice], framing: Framing, *, least_area: float = 0
    ) -> Iterator[Candidate]:
        """People of a pool in random order, brought to size, as far as they fit in front of all who stand already.

        Args:
            pool: whom to draw from.
            framing: how they are to be framed.
            least_area: whoever covers fewer pixels is passed over before any work is done on them.
        """
        tried = read = 0
        for choice in shuffled(self.rng, pool):
            if tried == PEOPLE_TRIED or read == PEOPLE_READ:
                return
            leader = self.catalogue.survey.leader
            if any(leader(choice.ref.group) == leader(other.choice.ref.group) for other in self.cast):
                continue  # nobody meets a copy of themselves
            try:
                yield self._candidate(choice, framing, least_area)
            except CoversTooLittle:
                read += 1
            except Unsuitable:
                continue
            except Rejected as rejected:
                self.notes.rejections.add(rejected)
                read += 1
            else:
                tried += 1

    def _candidate(self, choice: PersonChoice, framing: Framing, least_area: float) -> Candidate:
        """One person brought to size; raises `Unsuitable` or `Rejected`."""
        size, ref = self.recipe.size, choice.ref
        # Framings are of adults: a child who stands where one would be so tall is smaller.
        adult = framing.height * size
        stature = adult * (ref.metres / ADULT_METRES)
        if stature > self.recipe.max_upscale * ref.stature:
            raise Unsuitable  # no cut-out is enlarged too far
        foot_row = self.view.row(adult)
        scale = round(float(stature / ref.stature), 4)
        if ref.cut_at_bottom and foot_row - stature + ref.height * scale < size:
            raise Unsuitable  # the frame has to cut them where their own photo did, or above
        if self.cast and foot_row < self.cast[-1].foot_row:
            raise Unsuitable  # too small to stand in front of somebody
        mirrored = bool(self.rng.random() < 0.5)
        finish = self._finish(foot_row)
        if least_area > 0:
            area = ref.area or self.catalogue.cutout(choice.source, ref.key).area
            if area * scale**2 < least_area:
                raise CoversTooLittle
        figure = self.catalogue.figure(choice.source, ref.key, scale, mirrored, finish.shadow > 0)
        candidate = Candidate(choice, figure, scale, mirrored, finish, framing, stature, foot_row)
        if candidate.row + figure.top > (1 - MARGIN) * size:
            raise Unsuitable
        return candidate

    def _sun(self) -> Sunlight | None:
        """The shadows that the sun casts in the scene, as they are in the picture, else drawn where there is a sky."""
        view, rng, (low, high) = self.view, self.rng, self.recipe.cast_shadow
        drawn = Sunlight(
            float(rng.random()), float(rng.uniform(*SHADOW_LENGTHS)), round(float(rng.uniform(low, high)), 3)
        )
        if high == 0 or view.ground is None:
            return None
        return view.sunlight or (drawn if view.open_air else None)

    def _cast(self, foot_row: float) -> Cast | None:
        """The shadow of somebody who stands in a row."""
        sun = self._sunlight
        if sun is None or sun.opacity == 0 or foot_row >= self.recipe.size:
            return None
        foreshortening = (foot_row - self.view.perspective.horizon) / self.view.focal
        return Cast.of(sun.azimuth, sun.length, foreshortening, sun.opacity)

    def _reflection(self, foot_row: float) -> float:
        """How strongly the ground mirrors somebody who stands in a row."""
        if self.view.sheen is None or foot_row >= self.recipe.size:
            return 0.0
        return round(float(self.rng.uniform(*self.recipe.reflection)), 3)

    def _finish(self, foot_row: float) -> Treatment:
        recipe, rng = self.recipe, self.rng
        shadow = round(float(rng.uniform(*recipe.shadow)), 3)
        return Treatment(
            shadow=shadow if foot_row < recipe.size else 0.0,
            cast=self._cast(foot_row),
            reflection=self._reflection(foot_row),
            light=round(float(rng.uniform(*recipe.light)), 3),
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
        return [standing for standing in self.layout.standing if standing.asked is None]

    def in_front_of_somebody(self, candidate: Candidate, ratio: float) -> Place | None:
        """A place at which somebody behind keeps this visible ratio, or None."""
        pairs = [(victim, side) for victim in self.victims() for side in (-1, 1)]
        for position in self.rng.permutation(len(pairs)):
            victim, side = pairs[position]
            origin = self.layout.offset_for(candidate.figure.mask, candidate.row, victim, ratio, side)
            if origin is None or not self._acceptable(candidate, origin, victim):
                continue
            reached = self.layout.ratio_behind(candidate.figure.mask, origin, victim)
            if abs(reached - ratio) <= self.recipe.tolerance / 2:
                return Place(origin, victim, ratio)
        return None

    def free_place(self, candidate: Candidate) -> Place | None:
        """The place that hides least of those drawn; None when each hides somebody too much."""
        places = []
        for origin in self.places(candidate):
            hidden = sum(
                other.visible_ratio() - self.layout.ratio_behind(candidate.figure.mask, origin, other)
                for other in self.layout.standing
            )
            if hidden == 0:
                return Place(origin)
            places.append((hidden, origin))
        return Place(min(places)[1]) if places else None

    def places(self, candidate: Candidate) -> Iterator[Origin]:
        """Random places to stand, spread over the frame as people are."""
        foot_x, foot_y = candidate.figure.foot
        for column in self.columns(candidate.row + foot_y, candidate.wanted.centre):
            origin = (column - foot_x, candidate.row)
            if self._acceptable(candidate, origin, None):
                yield origin

    def columns(self, row: int, wanted: float) -> Iterator[int]:
        """Columns in which feet in a row stand on ground, spread over the frame as people are.

        Args:
            row: of the feet; below the frame for those whom it cuts.
            wanted: the place to try first, as a share of the width.
        """
        size, ground = self.recipe.size, self.view.ground
        centres = [wanted] + [self.catalogue.table.draw(self.rng).centre for _ in range(PLACES_TRIED - 1)]
        free = np.ones(size, dtype=bool) if ground is None else ground[min(row, size - 1)].copy()
        edge = round(SIDE * size)
        free[:edge] = free[size - edge :] = False
        columns = np.flatnonzero(free)
        if not len(columns):
            return
        for centre in centres:
            column = int(columns[np.abs(columns - centre * size).argmin()])
            if abs(column - centre * size) <= ASIDE * size:
                yield column

    def _acceptable(self, candidate: Candidate, origin: Origin, victim: Standing | None) -> bool:
        """Inside the frame, on the ground, behind nothing, and nobody's visible ratio but the victim's is spoiled."""
        if not self._stands_well(candidate, origin) or self._is_behind_something(candidate, origin):
            return False
        for other in self.layout.standing:
            if other is victim:
                continue
            ratio = self.layout.ratio_behind(candidate.figure.mask, origin, other)
            if ratio < self.recipe.min_visible_ratio:
                return False
            if other.asked is not None and abs(ratio - other.asked) > self.recipe.tolerance:
                return False
        return True

    def _stands_well(self, candidate: Candidate, origin: Origin) -> bool:
        size, ground = self.recipe.size, self.view.ground
        foot_x, foot_y = origin[0] + candidate.figure.foot[0], origin[1] + candidate.figure.foot[1]
        if not SIDE * size <= foot_x < (1 - SIDE) * size:
            return False
        if candidate.is_wide and not candidate.mostly_within(origin[0], size):
            return False
        # Whoever the frame cuts stands on what goes on below it.
        return ground is None or bool(ground[min(foot_y, size - 1), foot_x])

    def _is_behind_something(self, candidate: Candidate, origin: Origin) -> bool:
        """Whether something that stands nearer to the camera would hide a part of the person, who is pasted before it.

        By its box, for nobody knows its outline; what stands in a lower row is nearer.
        """
        mask = candidate.figure.mask
        return any(
            bool(mask[item.pixels(origin)].any())
            for item in self.view.objects
            if item.bottom > candidate.foot_row
        )

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
        self.layout.add(person, candidate.figure.mask)
        self.notes.framings.append((candidate.wanted, self._framed(candidate, place.origin)))

    def _framed(self, candidate: Candidate, origin: Origin) -> Framing:
        """How somebody is framed who stands there."""
        size = self.recipe.size
        box = Box.around(candidate.figure.mask)
        middle = origin[0] + (box.left + box.right) / 2
        return Framing(
            candidate.stature / size, (candidate.foot_row - candidate.stature) / size, middle / size
        )
