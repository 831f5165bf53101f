"""A source of backgrounds without those in which an annotator finds somebody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from mildbench.annotators import Annotator, AnnotatorSpec
from mildbench.annotators.presence import holds_people
from synth.sources.base import Background, BackgroundRef, BackgroundSource, Rejected


class UnpeopledBackgrounds(BackgroundSource):
    """Another source's backgrounds, each looked at when it is first used; one with people is rejected.

    Args:
        source: any.
        annotator: as on the command line, `name:option=value,...`; loaded with the first background.
    """

    def __init__(self, source: BackgroundSource, annotator: str) -> None:
        self._source = source
        self._spec = AnnotatorSpec.parse(annotator)
        self.name, self.licence, self.rejections = source.name, source.licence, source.rejections
        self.left_out = source.left_out

    def backgrounds(self) -> Sequence[BackgroundRef]:
        return self._source.backgrounds()

    def background(self, key: str) -> Background:
        background = self._source.background(key)
        if holds_people(self._annotator, background.image):
            raise Rejected("background with a person in it", key)
        return background

    @cached_property
    def _annotator(self) -> Annotator:
        return self._spec.create("people")
