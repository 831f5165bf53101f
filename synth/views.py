"""Backgrounds as scenes show them: square crops, and what is known of their ground and camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from mildbench.images import decode_rgb, encode_jpeg, encode_png
from mildbench.scene import Provenance
from synth import exact
from synth.cache import MEGABYTE, Cache
from synth.recipe import Recipe
from synth.rng import generator
from synth.sources.base import ADULT_METRES, Background, BackgroundChoice, BackgroundSource

VIEW_CACHE = 32 * MEGABYTE
"""For backgrounds as scenes show them, which are soon made again from those that their source gave."""


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A square crop of a background, at scene size."""

    image: np.ndarray
    """uint8[size, size, 3]."""
    jpeg: bytes | None
    """The file that `image` was read from, where the split is stored as JPEG."""
    provenance: Provenance

    @cached_property
    def file(self) -> bytes:
        """The image as a file, encoded once for all the scenes that use this crop."""
        return encode_png(self.image) if self.jpeg is None else self.jpeg

    @property
    def nbytes(self) -> int:
        """Bytes that it holds once it is a file too: a PNG, which is still to come, takes no more than pixels do."""
        return self.image.nbytes + (self.image.nbytes if self.jpeg is None else len(self.jpeg))


@dataclass(frozen=True, eq=False)
class View(Backdrop):
    """A backdrop on whose ground people can stand."""

    horizon: float
    """Row of the horizon, in pixels."""
    camera_height: float
    """In statures: a person whose feet are at row y is (y - horizon) / camera_height pixels tall."""
    ground: np.ndarray | None
    """bool[size, size]: where feet may stand, None when unknown."""

    @property
    def nbytes(self) -> int:
        return super().nbytes + (0 if self.ground is None else self.ground.nbytes)


class Views:
    """The crops of a recipe's backgrounds.

    Args:
        recipe: what is asked for.
        seed: of the data set.
        sources: of the backgrounds.
        backgrounds: those in use, by split.
        read: keeps backgrounds as their sources give them.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        sources: Sequence[BackgroundSource],
        backgrounds: Mapping[str, Sequence[BackgroundChoice]],
        read: Cache,
    ) -> None:
        self._recipe = recipe
        self._seed = seed
        self._sources = sources
        self._stored = Stored(recipe, backgrounds)
        self._read = read
        self._views = Cache(VIEW_CACHE)

    def get(self, source: int, key: str, number: int) -> View:
        """Crop `number` of a background; raises `Rejected`."""
        return self._views.get((source, key, number), lambda: self._crop(source, key, number))

    def _background(self, source: int, key: str) -> Background:
        read = self._sources[source].background
        return self._read.get(("background", source, key), lambda: read(key))

    def _crop(self, source: int, key: str, number: int) -> View:
        recipe = self._recipe
        background = self._background(source, key)
        rng = generator(self._seed, "view", self._sources[source].name, key, number)
        height, width = background.image.shape[:2]
        cut = cut_square(rng, height, width, recipe)
        drawn = rng.uniform(*recipe.horizon), rng.uniform(*recipe.camera_height)
        horizon, camera = drawn[0] * recipe.size, drawn[1]
        if background.horizon is not None and background.camera_height is not None:
            horizon = (background.horizon * height - cut.top) * recipe.size / cut.side
            camera = background.camera_height / ADULT_METRES
        ground = None if background.ground is None else cut.mask(background.ground)
        return View(
            *self._stored.picture(cut.image(background.image), source, key),
            background.provenance,
            float(horizon),
            float(camera),
            ground,
        )


class Stored:
    """How backgrounds are stored: in the split `train` as JPEG if the recipe says so, else losslessly."""

    def __init__(self, recipe: Recipe, backgrounds: Mapping[str, Sequence[BackgroundChoice]]) -> None:
        self._quality = {
            (choice.source, choice.ref.key): quality
            for split, choices in backgrounds.items()
            if (quality := recipe.jpeg_quality(split)) is not None
            for choice in choices
        }

    def picture(self, image: np.ndarray, source: int, key: str) -> tuple[np.ndarray, bytes | None]:
        """A crop as its readers will see it, so that a scene is made of what is stored, and its JPEG file if any."""
        quality = self._quality.get((source, key))
        if quality is None:
            return image, None
        file = encode_jpeg(image, quality)
        return decode_rgb(file, "background"), file


@dataclass(frozen=True)
class Cut:
    """A square cut out of a picture and brought to scene size, mirrored or not."""

    left: int
    top: int
    side: int
    mirrored: bool
    size: int

    @property
    def _window(self) -> tuple[slice, slice]:
        return np.s_[self.top : self.top + self.side, self.left : self.left + self.side]

    def image(self, picture: np.ndarray) -> np.ndarray:
        """uint8[size, size, 3]."""
        return self._turned(exact.resize(picture[self._window], (self.size, self.size)))

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """bool[size, size]."""
        plane = mask[self._window].astype(np.uint8)
        method = cv2.INTER_NEAREST_EXACT
        return self._turned(cv2.resize(plane, (self.size, self.size), interpolation=method)) > 0

    def contains(self, mask: np.ndarray) -> bool:
        """Whether all of a mask lies inside the square."""
        return np.count_nonzero(mask[self._window]) == np.count_nonzero(mask)

    def _turned(self, plane: np.ndarray) -> np.ndarray:
        return cv2.flip(plane, 1) if self.mirrored else plane


def cut_square(rng: np.random.Generator, height: int, width: int, recipe: Recipe) -> Cut:
    """Draw a square cut of a picture, from the lower half of the possible ones: that is where the ground is."""
    side = round(min(height, width) / rng.uniform(*recipe.background_zoom))
    left, top = (
        int(rng.integers(0, width - side + 1)),
        int(rng.integers((height - side) // 2, height - side + 1)),
    )
    return Cut(left, top, side, bool(rng.random() < 0.5), recipe.size)
