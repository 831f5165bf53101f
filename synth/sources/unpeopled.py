"""A source of backgrounds without those in which an annotator finds somebody."""

from __future__ import annotations

from mildbench.annotators.presence import holds_people
from synth.material import Background, Rejected
from synth.sources.annotated import AnnotatedBackgrounds


class UnpeopledBackgrounds(AnnotatedBackgrounds):
    """Another source's backgrounds; one with people is rejected."""

    part = "people"

    def background(self, key: str) -> Background:
        background = self._source.background(key)
        if holds_people(self._annotator, background.image):
            raise Rejected("background with a person in it", key)
        return background
