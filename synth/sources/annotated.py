"""Sources of backgrounds that an annotator looks at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mildbench.annotators import Annotator, AnnotatorSpec
from mildbench.annotators.base import Part
from mildbench.annotators.store import AnnotatorRecord
from synth.material import Background, BackgroundRef
from synth.sources.base import BackgroundSource


class AnnotatedBackgrounds(BackgroundSource):
    """Another source's backgrounds, each looked at when it is first used.

    Subclasses write `background`. Raises `UserError` for an annotator that is unknown or does not give the part.

    Args:
        source: any.
        annotator: as on the command line, `name:option=value,...`; loaded with the first background.
    """

    part: ClassVar[Part]
    """What the annotator is asked for."""

    def __init__(self, source: BackgroundSource, annotator: str) -> None:
        self._source = source
        self._spec = AnnotatorSpec.parse(annotator)
        self._spec.check_gives(self.part)
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
        """Who looks, too: another annotator, or other weights, may change what becomes of a background."""
        return [self._source.annotation(key), self._looked_at_by]

    def place(self, key: str) -> Background:
        return self._source.place(key)

    @cached_property
    def _looked_at_by(self) -> dict[str, Any]:
        # One of its own, which goes again: whoever asks for this need not look at any background.
        return AnnotatorRecord.of(self._spec, self._spec.create(self.part)).model_dump(mode="json")

    @cached_property
    def _annotator(self) -> Annotator:
        return self._spec.create(self.part)
