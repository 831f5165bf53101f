"""A plug-in: a scenario family of people who queue."""

from __future__ import annotations

from collections.abc import Iterator

from synth.families.people import PeopleFamily
from synth.stage import Candidate, Place


class Queue(PeopleFamily):
    """People each further right than whoever is behind them. Difficulty: their number, of 32."""

    name = "queue"
    hides = False

    def settle(self, candidates: Iterator[Candidate]) -> tuple[Candidate, Place] | None:
        stage = self.stage
        last = stage.people[-1].origin[0] + stage.cast[-1].figure.foot[0] if stage.cast else 0
        for candidate in candidates:
            for origin in stage.places(candidate):
                if origin[0] + candidate.figure.foot[0] > last:
                    return candidate, Place(origin)
        return None

    def difficulty(self) -> float:
        return len(self.stage.cast) / 32
