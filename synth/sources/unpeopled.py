"""A source of backgrounds without those in which an annotator finds somebody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mildbench.annotators import Annotator, AnnotatorSpec
from mildbench.annotators.presence import holds_people
from mildbench.annotators.store import AnnotatorRecord
from synth.material import Background, BackgroundRef, Rejected
from synth.sources.base import BackgroundSource


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
        self.rendered = source.rendered

    def backgrounds(self) -> Sequence[BackgroundRef]:
        return self._source.backgrounds()

    def photo(self, key: str) -> Path | None:
        return self._source.photo(key)

    def files(self, key: str) -> Sequence[Path]:
        return self._source.files(key)

    def annotation(self, key: str) -> Any:
        """Who looks, too: another annotator, or other weights, lets other backgrounds pass."""
        return [self._source.annotation(key), self._looked_at_by]

    def background(self, key: str) -> Background:
        background = self._source.background(key)
        if holds_people(self._annotator, background.image):
            raise Rejected("background with a person in it", key)
        return background

    def place(self, key: str) -> Background:
        return self._source.place(key)

    @cached_property
    def _looked_at_by(self) -> dict[str, Any]:
        # One of its own, which goes again: whoever asks for this need not look at any background.
        return AnnotatorRecord.of(self._spec, self._spec.create("people")).model_dump(mode="json")

    @cached_property
    def _annotator(self) -> Annotator:
        return self._spec.create("people")
