"""What families have in common whose scenes are people pasted on a background."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from mildbench.errors import UserError
from synth.catalogue import PeopleCatalogue
from synth.family import Family
from synth.framing import Framing
from synth.material import PersonChoice
from synth.plan import AllRejected, Notes, Plan
from synth.recipe import Recipe
from synth.stage import Candidate, Place, Stage
from synth.views import View

RETRIES = 8
"""Framings tried in vain before a background is given up."""
BACKGROUNDS_TRIED = 16
"""Backgrounds on which nobody fits before a scene is given up."""


class PeopleFamily(Family[PeopleCatalogue]):
    """People are added one by one, each in front of those before. A subclass says what is special about them."""

    opens = PeopleCatalogue

    hides = True
    """Whether people are placed so that somebody behind keeps a visible ratio that the recipe asks for."""
    compared = 4
    """People of whom the one for the best place is taken."""

    def __init__(self, catalogue: PeopleCatalogue, index: int, rng: np.random.Generator) -> None:
        super().__init__(catalogue, index, rng)
        self._backgrounds = catalogue.background_of(index)
        self.next_background()

    @classmethod
    def problem(cls, recipe: Recipe) -> str | None:
        return None if recipe.people else "people: no source given: name at least one, e.g. mannequin:"

    def next_background(self) -> None:
        """Begin on the next background, with nobody; raises `AllRejected` when there is none."""
        self.stage = Stage(self.catalogue, self.index, self.rng, self._backgrounds, self.suits)

    def suits(self, view: View) -> bool:
        """Whether a background is of use to this family; those that are not are passed over and counted."""
        return True

    @classmethod
    def check(cls, catalogue: PeopleCatalogue) -> None:
        recipe = catalogue.recipe
        for split, share in recipe.splits.items():
            people = catalogue.people[split]
            if share > 0 and recipe.mix.get("children") and not any(choice.ref.is_child for choice in people):
                raise UserError(
                    f"recipe {recipe.name}: split {split!r} has no child, which its mix asks for: add a source that "
                    "tells children by their pose (coco:), use fewer splits, or leave children out of mix"
                )

    @abstractmethod
    def difficulty(self) -> float:
        """How hard the finished scene is, 0..1."""

    def label(self) -> str:
        """The stratum of the finished scene."""
        return self.name

    def pool(self) -> Sequence[PersonChoice]:
        """Who may be in the scene."""
        return self.catalogue.people[self.stage.split]

    def likely(self, framing: Framing) -> Sequence[PersonChoice]:
        """Who of them is worth a try where somebody is to be framed so."""
        return self.pool()

    def _wanted(self, pool: Sequence[PersonChoice]) -> Sequence[PersonChoice]:
        """Of those who may be in the scene, the children where it is to have one and has none yet."""
        stage = self.stage
        if stage.mix != "children" or any(person.choice.ref.is_child for person in stage.cast):
            return pool
        return [choice for choice in self.pool() if choice.ref.is_child]

    def settle(self, candidates: Iterator[Candidate]) -> tuple[Candidate, Place] | None:
        """One of the people, and a place for them; None if there is none."""
        for candidate in candidates:
            if (place := self.stage.free_place(candidate)) is not None:
                return candidate, place
        return None

    def plan(self) -> tuple[Plan, Notes]:
        wanted = self._populate()
        for _ in range(BACKGROUNDS_TRIED - 1):
            if self.stage.cast:
                break
            passed = self.stage.notes
            try:
                self.next_background()
            except AllRejected:
                break
            self.stage.notes.rejections.items |= passed.rejections.items
            self.stage.notes.unmet += passed.unmet
            self.stage.notes.unmet["a background passed over: none of the people tried fits in"] += 1
            wanted = self._populate()
        stage = self.stage
        if not stage.cast:
            raise AllRejected(
                f"no person of split {stage.split!r} fits scene {self.index}", stage.notes.rejections
            )
        if (missing := wanted - len(stage.cast)) > 0:
            stage.notes.unmet["a person left out: nobody fits who keeps the others visible"] += missing
        plan = Plan(
            self.index,
            stage.split,
            self.label(),
            round(self.difficulty(), 6),
            stage.background,
            str(stage.view.known),
            stage.people,
            stage.asked,
        )
        return plan, stage.notes

    def _populate(self) -> int:
        """Put people on the background, if any fit; returns how many were to be there."""
        framings = self.stage.draw_framings()
        for framing in framings:
            self._add_somebody(framing)
        for _ in range(RETRIES):
            if self.stage.cast:
                break
            self._add_somebody(self.stage.draw_framing())
        return len(framings)

    def _add_somebody(self, framing: Framing) -> None:
        """Put one more person in front of those who stand already; nobody if nobody fits."""
        stage = self.stage
        if stage.cast and self.hides and self.rng.random() < self.recipe.occlude:
            if self._hide_somebody(framing):
                return
            stage.notes.unmet["a visible ratio given up: nobody behind can be hidden so far"] += 1
        candidates = stage.candidates(self._wanted(self.likely(framing)), framing)
        if found := self.settle(islice(candidates, self.compared)):
            stage.put(*found)

    def _hide_somebody(self, framing: Framing) -> bool:
        """Put one more person so that somebody behind keeps a drawn visible ratio; False if nobody fits.

        The ratio is tried with several people before it is given up: drawing another each time would favour the
        ratios that are easy to reach.
        """
        stage, ratio = self.stage, self.stage.draw_ratio()
        hidden = min(
            (other.visible_area - ratio * other.amodal_area for other in stage.victims()), default=np.inf
        )
        for candidate in stage.candidates(self._wanted(self.pool()), framing, least_area=hidden):
            if (place := stage.in_front_of_somebody(candidate, ratio)) is not None:
                stage.put(candidate, place)
                return True
        return False
