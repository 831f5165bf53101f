"""`skimage:`: the few photographs without people that the scikit-image wheel ships."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mildbench.errors import UserError
from mildbench.extras import require
from mildbench.identity import pixels_sha256
from mildbench.scene import Provenance
from synth.material import Background, BackgroundRef, Rejections
from synth.sources.base import BackgroundSource

NAMES = ("coffee", "rocket", "stereo_motorcycle")
"""The wheel's colour photographs that show no person and need no download."""


class SkimageBackgrounds(BackgroundSource):
    """Backgrounds for tests and first steps; three pictures are too few for a benchmark.

    Args:
        path: must be empty.
    """

    def __init__(self, path: str) -> None:
        if path:
            raise UserError(f"source skimage: takes no path, got {path!r}: write skimage:")
        self.name = "skimage"
        self.licence = "public domain or CC0 (scikit-image's data/README.txt)"
        self.rejections = Rejections()
        self._data = require("skimage.data", "background source 'skimage'")

    def backgrounds(self) -> Sequence[BackgroundRef]:
        return [BackgroundRef(name, f"skimage/{name}") for name in NAMES]

    def annotation(self, key: str) -> Any:
        return pixels_sha256(self._image(key))

    def _image(self, key: str) -> np.ndarray:
        loaded = getattr(self._data, key)()
        return loaded[0] if isinstance(loaded, tuple) else loaded  # the stereo pair's left view

    def background(self, key: str) -> Background:
        image = self._image(key)
        return Background(image, Provenance(self.name, key, pixels_sha256(image), self.licence))
