"""What a scenario family implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

from mildbench.registry import Registry

if TYPE_CHECKING:
    from synth.catalogue import Catalogue
    from synth.plan import Notes, Plan
    from synth.recipe import Recipe

C = TypeVar("C", bound="Catalogue")


class Family(ABC, Generic[C]):
    """One scene of a scenario family in the making.

    Args:
        catalogue: what `opens` has opened.
        index: of the scene.
        rng: the scene's own, from which its family was drawn already.
    """

    name: ClassVar[str]
    """As registered; the stratum of its scenes."""
    opens: ClassVar[type[Catalogue]]
    """What scenes are made of; families that open the same can be mixed."""

    def __init__(self, catalogue: C, index: int, rng: np.random.Generator) -> None:
        self.catalogue = catalogue
        self.recipe = catalogue.recipe
        self.index = index
        self.rng = rng

    @classmethod
    def problem(cls, recipe: Recipe) -> str | None:
        """What is wrong with a recipe for this family, as `KEY: WHAT: REMEDY`; None if nothing is."""
        return None

    @classmethod
    def check(cls, catalogue: C) -> None:
        """Raise `UserError` when a split of the catalogue lacks what this family needs."""
        return

    @abstractmethod
    def plan(self) -> tuple[Plan, Notes]:
        """The scene in words; depends on recipe, sources, seed and index alone.

        Raises `AllRejected` when the split's pool holds nothing usable.
        """


FAMILIES: Registry[Family] = Registry("scenario family", "families", Family)
