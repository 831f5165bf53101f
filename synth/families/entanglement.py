"""People with what they carry or ride."""

from __future__ import annotations

from collections.abc import Sequence

from mildbench.errors import UserError
from synth.catalogue import PeopleCatalogue
from synth.families.people import PeopleFamily
from synth.material import PersonChoice


class Entanglement(PeopleFamily):
    """People with what they carry or ride, which goes when they go. Difficulty: the share of people who do."""

    name = "entanglement"

    @classmethod
    def check(cls, catalogue: PeopleCatalogue) -> None:
        super().check(catalogue)
        recipe = catalogue.recipe
        for split, share in recipe.splits.items():
            if share > 0 and not any(choice.ref.carries for choice in catalogue.people[split]):
                raise UserError(
                    f"recipe {recipe.name}: split {split!r} has nobody who carries anything, which its family "
                    "entanglement needs: add such a source (mannequin:?carrying=0.5, coco:, ccp:), use fewer "
                    "splits, or change families"
                )

    def pool(self) -> Sequence[PersonChoice]:
        return [choice for choice in super().pool() if choice.ref.carries]

    def difficulty(self) -> float:
        cast = self.stage.cast
        return sum(person.choice.ref.carries for person in cast) / len(cast)
