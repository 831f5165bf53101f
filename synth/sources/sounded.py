"""A source of backgrounds of which an annotator tells the depth."""

from __future__ import annotations

from dataclasses import replace

from mildbench.annotators.base import Picture
from synth.material import Background
from synth.sources.annotated import AnnotatedBackgrounds


class SoundedBackgrounds(AnnotatedBackgrounds):
    """Another source's backgrounds with their depth; those whose camera the source knows stay as they are."""

    part = "depth"

    def background(self, key: str) -> Background:
        background = self._source.background(key)
        if background.camera is not None:
            return background
        (depth,) = self._annotator.depth([Picture(key, background.image)])
        return replace(background, depth=depth)
