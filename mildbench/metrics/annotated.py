"""The annotators that metrics ask, named by the environment: a score needs no option of its own."""

from __future__ import annotations

import os

from mildbench.annotators.base import Annotator, AnnotatorSpec, Part


def annotator_of(variable: str, part: Part, device: str) -> Annotator:
    """The annotator, loaded for `part`; raises `UserError` when its packages or models are missing.

    Args:
        variable: the environment variable that names it, with options (`NAME:KEY=VALUE,...`); `litert` where it is
            not set.
        part: what it is asked for.
        device: where it runs.
    """
    return AnnotatorSpec.parse(os.environ.get(variable, "litert")).create(part, device)
