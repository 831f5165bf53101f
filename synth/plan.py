"""From recipe, seed and index to a plan: who stands where, in JSON. No pixel of the result is made here."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from synth.catalogue import Catalogue, PersonChoice, View, split_of_sample
from synth.fit import SizedFigure
from synth.recipe import Band
from synth.rng import generator
from synth.sources.base import Rejected, Rejections

REDRAWS = 4
"""Visible ratios drawn for one person before they are placed without hiding anybody on purpose."""
TRIES = 24
"""Places drawn for a person who is to stand free."""
MARGIN = 0.12
"""A person's foot stays so far inside the frame, as a share of its width."""


@dataclass(frozen=True)
class PlannedPerson:
    """One person of a plan; with the sources at hand, all that rendering needs."""

    id: int
    source: int
    """Index into the recipe's people sources."""
    key: str
    scale: float
    mirrored: bool
    shadow: float
    """Opacity of the contact shadow, 0 for none."""
    origin: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """A scene in words."""

    index: int
    split: str
    family: str
    background: dict[str, Any]
    """`source` (index into the recipe's background sources), `key`, `view` (which crop)."""
    people: list[PlannedPerson]
    """Back to front."""
    asked: dict[int, float] = field(default_factory=dict)
    """Person id -> visible ratio that the recipe asked for."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        people = [
            PlannedPerson(**{**person, "origin": tuple(person["origin"])}) for person in value["people"]
        ]
        asked = {int(person): ratio for person, ratio in value["asked"].items()}
        return cls(value["index"], value["split"], value["family"], value["background"], people, asked)


@dataclass
class Notes:
    """What happened while planning: broken inputs and wishes that could not be met, counted."""

    rejections: Rejections = field(default_factory=Rejections)
    unmet: Counter[str] = field(default_factory=Counter)


@dataclass
class _Standing:
    """Somebody already placed."""

    person: PlannedPerson
    amodal_area: int
    visible: np.ndarray
    """bool[size, size]."""
    asked: float | None = None

    def visible_ratio(self) -> float:
        return float(self.visible.sum() / max(self.amodal_area, 1))


class _Canvas:
    """The people placed so far, back to front."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.standing: list[_Standing] = []

    def clip(self, mask: np.ndarray, origin: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """The canvas window that a mask at `origin` covers, and the part of the mask inside it."""
        x, y = origin
        h, w = mask.shape
        top, bottom = max(y, 0), max(min(y + h, self.size), max(y, 0))
        left, right = max(x, 0), max(min(x + w, self.size), max(x, 0))
        return np.s_[top:bottom, left:right], mask[top - y : bottom - y, left - x : right - x]

    def ratio_behind(self, mask: np.ndarray, origin: tuple[int, int], victim: _Standing) -> float:
        """The victim's visible ratio if `mask` stood in front at `origin`."""
        window, part = self.clip(mask, origin)
        hidden = np.count_nonzero(victim.visible[window] & part)
        return float((np.count_nonzero(victim.visible) - hidden) / max(victim.amodal_area, 1))

    def add(self, person: PlannedPerson, mask: np.ndarray) -> None:
        window, part = self.clip(mask, person.origin)
        for other in self.standing:
            other.visible[window] &= ~part
        visible = np.zeros((self.size, self.size), dtype=bool)
        visible[window] = part
        self.standing.append(_Standing(person, int(part.sum()), visible))


@dataclass(frozen=True)
class _Candidate:
    """A person with everything decided except where, from left to right, they stand."""

    choice: PersonChoice
    figure: SizedFigure
    scale: float
    mirrored: bool
    shadow: float
    foot_row: float


class Planner:
    """Plans the scenes of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe

    def plan(self, index: int) -> tuple[Plan, Notes]:
        """The plan of scene `index`; depends on recipe, sources, seed and index alone."""
        notes = Notes()
        rng = generator(self.catalogue.seed, "scene", index)
        split = split_of_sample(index, self.recipe.splits)
        background, view = self._background(rng, split, notes)
        candidates = self._candidates(rng, split, view, notes)
        canvas = _Canvas(self.recipe.size)
        asked: dict[int, float] = {}
        for candidate in candidates:
            wish = None
            if self._wants_overlap(rng, canvas):
                wish = self._in_front_of_somebody(rng, candidate, canvas, view, notes)
            if wish is not None:
                origin, victim, ratio = wish
                victim.asked = asked[victim.person.id] = ratio
            else:
                free = self._free_place(rng, candidate, canvas, view, notes)
                if free is None:
                    continue
                origin = free
            person = PlannedPerson(
                id=len(canvas.standing) + 1,
                source=candidate.choice.source,
                key=candidate.choice.ref.key,
                scale=candidate.scale,
                mirrored=candidate.mirrored,
                shadow=candidate.shadow,
                origin=origin,
            )
            canvas.add(person, candidate.figure.mask)
        people = [standing.person for standing in canvas.standing]
        return Plan(index, split, self.recipe.family, background, people, asked), notes

    def _background(self, rng: np.random.Generator, split: str, notes: Notes) -> tuple[dict[str, Any], View]:
        pool = self.catalogue.backgrounds[split]
        for position in rng.permutation(len(pool)):
            choice = pool[position]
            number = int(rng.integers(self.recipe.background_views))
            try:
                view = self.catalogue.view(choice.source, choice.ref.key, number)
            except Rejected as rejected:
                notes.rejections.add(rejected)
                continue
            return {"source": choice.source, "key": choice.ref.key, "view": number}, view
        raise AllRejected(f"no background of split {split!r} can be read", notes.rejections)

    def _candidates(self, rng: np.random.Generator, split: str, view: View, notes: Notes) -> list[_Candidate]:
        """The people of a scene, farthest first."""
        weights = np.array(list(self.recipe.crowd.values()))
        wanted = int(rng.choice(list(self.recipe.crowd), p=weights / weights.sum()))
        pool = self.catalogue.people[split]
        found: list[_Candidate] = []
        groups: set[str] = set()
        for position in rng.permutation(len(pool)):
            choice = pool[position]
            if len(found) == wanted:
                break
            if choice.ref.group in groups:  # nobody meets a copy of themselves
                continue
            try:
                found.append(self._candidate(rng, choice, view))
            except Unsuitable:
                continue
            except Rejected as rejected:
                notes.rejections.add(rejected)
                continue
            groups.add(choice.ref.group)
        if not found:
            raise AllRejected(f"no person of split {split!r} can be used", notes.rejections)
        if len(found) < wanted:
            notes.unmet["fewer usable people than asked for"] += 1
        return sorted(found, key=lambda candidate: candidate.foot_row)

    def _candidate(self, rng: np.random.Generator, choice: PersonChoice, view: View) -> _Candidate:
        size, ref = self.recipe.size, choice.ref
        smallest, tallest = (share * size for share in self.recipe.stature)
        if self.recipe.max_upscale * ref.height < smallest:
            raise Unsuitable
        stature = rng.uniform(smallest, min(tallest, self.recipe.max_upscale * ref.height))
        foot_row = view.horizon + stature * view.camera_height
        mirrored = bool(rng.random() < 0.5)
        shadow = round(float(rng.uniform(*self.recipe.shadow)), 3)
        if ref.cut_at_bottom:
            # The picture that the person comes from ends here, so the frame has to as well; and whoever is cut
            # off by the frame is nearest to the camera.
            foot_row, shadow = size - 1 + stature * rng.uniform(0, 0.1), 0.0
        scale = round(float(stature / ref.height), 4)
        figure = self.catalogue.figure(choice.source, ref.key, scale, mirrored, shadow)
        if foot_row - figure.foot[1] > size - MARGIN * size:
            raise Unsuitable
        return _Candidate(choice, figure, scale, mirrored, shadow, foot_row)

    def _wants_overlap(self, rng: np.random.Generator, canvas: _Canvas) -> bool:
        return bool(canvas.standing) and bool(rng.random() < self.recipe.occlude)

    def _in_front_of_somebody(
        self, rng: np.random.Generator, candidate: _Candidate, canvas: _Canvas, view: View, notes: Notes
    ) -> tuple[tuple[int, int], _Standing, float] | None:
        """A place at which somebody behind keeps the asked-for visible ratio, or None if no draw can be met.

        A ratio is tried with every victim and side before another is drawn: drawing afresh each time would
        favour the ratios that are easy to reach.
        """
        victims = [standing for standing in canvas.standing if standing.asked is None]
        for _ in range(REDRAWS if victims else 0):
            ratio = round(_draw_ratio(rng, self.recipe.visible_ratio), 3)
            pairs = [(victim, side) for victim in victims for side in (-1, 1)]
            for position in rng.permutation(len(pairs)):
                victim, side = pairs[position]
                origin = self._search(candidate, canvas, victim, ratio, side)
                if origin is not None and self._acceptable(candidate, canvas, view, origin, victim):
                    return origin, victim, ratio
            notes.unmet["a visible ratio drawn again: nobody behind could be hidden so far"] += 1
        return None

    def _search(
        self, candidate: _Candidate, canvas: _Canvas, victim: _Standing, ratio: float, side: int
    ) -> tuple[int, int] | None:
        """Bisect the offset from right in front of the victim to clear of them, on the actual masks."""
        mask = candidate.figure.mask
        centre = int(np.flatnonzero(victim.visible.any(axis=0)).mean()) if victim.visible.any() else 0
        start = centre - mask.shape[1] // 2
        row = self._row(candidate)
        near, far = 0, (mask.shape[1] + canvas.size) // 2
        if canvas.ratio_behind(mask, (start, row), victim) > ratio:
            return None  # even right in front it hides too little
        while far - near > 1:
            middle = (near + far) // 2
            if canvas.ratio_behind(mask, (start + side * middle, row), victim) < ratio:
                near = middle
            else:
                far = middle
        best = min(
            (near, far), key=lambda d: abs(canvas.ratio_behind(mask, (start + side * d, row), victim) - ratio)
        )
        origin = (start + side * best, row)
        reached = abs(canvas.ratio_behind(mask, origin, victim) - ratio) <= self.recipe.tolerance / 2
        return origin if reached else None

    def _acceptable(
        self,
        candidate: _Candidate,
        canvas: _Canvas,
        view: View,
        origin: tuple[int, int],
        victim: _Standing | None,
    ) -> bool:
        """Inside the frame, on the ground, and nobody else's visible ratio is spoiled."""
        if not self._stands_well(candidate, view, origin):
            return False
        for other in canvas.standing:
            if other is victim:
                continue
            ratio = canvas.ratio_behind(candidate.figure.mask, origin, other)
            if ratio < self.recipe.min_visible_ratio:
                return False
            if other.asked is not None and abs(ratio - other.asked) > self.recipe.tolerance:
                return False
        return True

    def _stands_well(self, candidate: _Candidate, view: View, origin: tuple[int, int]) -> bool:
        size = self.recipe.size
        foot_x, foot_y = origin[0] + candidate.figure.foot[0], origin[1] + candidate.figure.foot[1]
        if not MARGIN * size <= foot_x < (1 - MARGIN) * size:
            return False
        return view.ground is None or foot_y >= size or bool(view.ground[foot_y, foot_x])

    def _free_place(
        self, rng: np.random.Generator, candidate: _Candidate, canvas: _Canvas, view: View, notes: Notes
    ) -> tuple[int, int] | None:
        """The place that hides least of those drawn; None, counted, when each hides somebody too much."""
        row = self._row(candidate)
        places = []
        for _ in range(TRIES):
            x = int(rng.uniform(MARGIN, 1 - MARGIN) * self.recipe.size) - candidate.figure.foot[0]
            origin = (x, row)
            if not self._acceptable(candidate, canvas, view, origin, None):
                continue
            hidden = sum(
                other.visible_ratio() - canvas.ratio_behind(candidate.figure.mask, origin, other)
                for other in canvas.standing
            )
            if hidden == 0:
                return origin
            places.append((hidden, origin))
        if places:
            return min(places)[1]
        notes.unmet["a person left out: no place on the ground that keeps the others visible"] += 1
        return None

    def _row(self, candidate: _Candidate) -> int:
        return round(candidate.foot_row) - candidate.figure.foot[1]


class Unsuitable(Exception):
    """This person does not fit this scene; nothing is wrong with them."""


class AllRejected(Exception):
    """Nothing of a pool can be used; the shard reports why."""

    def __init__(self, message: str, rejections: Rejections) -> None:
        super().__init__(message, rejections)
        self.rejections = rejections

    def __str__(self) -> str:
        if not self.rejections.counts:
            return (
                f"{self.args[0]}: all are too small for scenes of this size: "
                "lower the recipe's size or stature, or raise max_upscale"
            )
        reason, count = self.rejections.counts.most_common(1)[0]
        return f"{self.args[0]}; most often: {reason} ({count}x, e.g. {self.rejections.examples[reason]})"


def _draw_ratio(rng: np.random.Generator, bands: list[Band]) -> float:
    weights = np.array([band.weight for band in bands])
    band = bands[rng.choice(len(bands), p=weights / weights.sum())]
    return float(rng.uniform(*band.range))
