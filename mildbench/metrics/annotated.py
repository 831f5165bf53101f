"""What metrics share that ask an annotator."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import ClassVar

from mildbench.annotators.base import Annotator, AnnotatorSpec, Part
from mildbench.metrics.base import PairMetric

DEFAULT = "litert"


class AnnotatedMetric(PairMetric):
    """A metric of what an annotator finds: the annotator, its options and its weights are part of a score."""

    part: ClassVar[Part]
    """What the annotator is asked for."""
    variable: ClassVar[str]
    """The environment variable that names the annotator where the option does not; the option is to be preferred."""
    _annotator: Annotator

    def __init__(self, annotator: str = "") -> None:
        """`annotator`: `NAME` or `NAME:KEY=VALUE,...`; empty for what `MILDBENCH_POSE` (of `pose-oks`) or
        `MILDBENCH_RESIDUE` (of `residue`) says, or `litert`."""
        self._spec = AnnotatorSpec.parse(annotator or os.environ.get(self.variable) or DEFAULT)

    def load(self) -> None:
        """Load the annotator; raises `UserError` when its packages or models are missing."""
        self._annotator = self._spec.create(self.part, self.device)

    def identity(self) -> dict[str, str]:
        """The annotator's name, revision and options, and the sha256 of its weights; of a loaded metric."""
        parameters = inspect.signature(type(self._annotator)).parameters
        # A folder or a file counts by what it holds, which the weights say; a number is neither.
        options = {
            f"{self._spec.name} {name}": value
            for name, value in self._spec.options.items()
            if isinstance(parameters[name].default, bool | int | float)
            or not Path(value).expanduser().exists()
        }
        known = {"annotator": self._spec.name, "revision": str(self._annotator.info.revision)}
        return {**known, **options, **self._annotator.weights()}
