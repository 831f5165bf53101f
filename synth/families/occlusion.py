"""People who hide people."""

from __future__ import annotations

from synth.families.people import PeopleFamily


class Occlusion(PeopleFamily):
    """People who hide people by a known share. Difficulty: 1 - the smallest visible ratio."""

    name = "occlusion"

    def label(self) -> str:
        return "single" if len(self.stage.cast) == 1 else self.name  # one person hides nobody

    def difficulty(self) -> float:
        return 1 - min(standing.visible_ratio() for standing in self.stage.layout.standing)
