"""Backgrounds as scenes show them: square crops, and what is known of their ground and camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from mildbench.images import decode_rgb, encode_jpeg, encode_png
from mildbench.scene import Provenance
from synth import exact
from synth.cache import MEGABYTE, Cache
from synth.framing import Framing, Table
from synth.ground import Ground
from synth.material import ADULT_METRES, Background, BackgroundChoice, Known, SeenObject, Sunlight
from synth.perspective import Perspective
from synth.recipe import Recipe
from synth.rng import generator
from synth.setting import Setting, ground_in, setting_of
from synth.sources.base import BackgroundSource

LETTERED = frozenset(("stop sign", "clock", "book", "keyboard", "bus", "tv", "laptop"))
"""Things with letters or figures on them: a picture of one is not mirrored."""
ROOM = 0.03
"""Share of a row's pixels that are ground, from which somebody may stand in it."""
CUTS_TRIED = 12
"""Cuts drawn of a picture, of which the best is taken."""
ENOUGH = 0.08
"""Share of a cut that is ground, from which more of it is no better."""
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

    perspective: Perspective
    """In the crop's pixels."""
    focal: float
    """Focal length in the crop's pixels."""
    known: Known
    """How the ground is known."""
    ground: np.ndarray | None
    """bool[size, size]: where feet may stand, None when unknown."""
    open_air: bool
    """Whether the sun could shine here, for all that is known."""
    sunlight: Sunlight | None
    """The shadows that it casts, where there are any."""
    objects: tuple[SeenObject, ...]
    """What is seen in the crop, as far as known, in the crop's pixels; boxes may go on beyond it."""
    sheen: np.ndarray | None
    """uint8[size, size]: the share of the light that the ground mirrors, in 255ths; None where it mirrors nothing, and
    where the recipe wants no reflections."""

    @property
    def nbytes(self) -> int:
        planes = [plane for plane in (self.ground, self.sheen) if plane is not None]
        return super().nbytes + sum(plane.nbytes for plane in planes)

    def row(self, stature: float) -> float:
        """The row in which an adult stands who appears `stature` pixels tall."""
        return self.perspective.row(ADULT_METRES, stature)

    @cached_property
    def standable(self) -> np.ndarray:
        """bool[size + 1]: in which rows there is room to stand; the last stands for all below the frame.

        Where the ground is unknown nobody shows their feet.
        """
        size = self.image.shape[0]
        if self.ground is None:
            return np.arange(size + 1) == size
        rows = np.count_nonzero(self.ground, axis=1) >= max(1, round(ROOM * size))
        return np.append(rows, rows[-1])


class Views:
    """The crops of a recipe's backgrounds.

    Args:
        recipe: what is asked for.
        seed: of the data set.
        sources: of the backgrounds.
        backgrounds: those in use, by split.
        table: how people are framed.
        read: keeps backgrounds as their sources give them.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        sources: Sequence[BackgroundSource],
        backgrounds: Mapping[str, Sequence[BackgroundChoice]],
        table: Table,
        read: Cache,
    ) -> None:
        self._recipe = recipe
        self._seed = seed
        self._sources = sources
        self._stored = Stored(recipe, backgrounds)
        self._table = table
        self._read = read
        self._views = Cache(VIEW_CACHE)

    def get(self, source: int, key: str, number: int) -> View:
        """Crop `number` of a background; raises `Rejected`."""
        return self._views.get((source, key, number), lambda: self._crop(source, key, number))

    def _background(self, source: int, key: str) -> tuple[Background, Ground]:
        read = self._sources[source].background

        def make() -> _Read:
            background = read(key)
            return _Read(background, ground_in(background))

        found = self._read.get(("background", source, key), make)
        return found.background, found.ground

    def _crop(self, source: int, key: str, number: int) -> View:
        recipe = self._recipe
        background, ground = self._background(source, key)
        rng = generator(self._seed, "view", self._sources[source].name, key, number)
        setting = setting_of(background, ground, recipe, rng)
        height, width = background.image.shape[:2]
        mask = setting.ground.mask
        cut = cut_ground(rng, height, width, recipe, setting, self._table.draw(rng))
        if any(item.category in LETTERED for item in background.objects):
            cut = replace(cut, mirrored=False)
        scale = recipe.size / cut.side
        seen = setting.perspective
        sunlight = background.sunlight
        if cut.mirrored and sunlight is not None:
            sunlight = replace(sunlight, azimuth=-sunlight.azimuth)
        return View(
            *self._stored.picture(cut.image(background.image), source, key),
            background.provenance,
            replace(seen, horizon=cut.row(seen.horizon)),
            setting.focal * scale,
            setting.ground.known,
            None if mask is None else cut.mask(mask),
            background.open_air or setting.ground.known is Known.ESTIMATE,
            sunlight,
            tuple(replace(item, box=cut.box(item.box)) for item in background.objects),
            None if background.sheen is None or not recipe.reflection[1] else cut.image(background.sheen),
        )


@dataclass(frozen=True, eq=False)
class _Read:
    """A background as its source gives it, and its ground."""

    background: Background
    ground: Ground


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
        """uint8[size, size, ...] of uint8[H, W, ...]."""
        return self._turned(exact.resize(picture[self._window], (self.size, self.size)))

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """bool[size, size]."""
        plane = mask[self._window].astype(np.uint8)
        method = cv2.INTER_NEAREST_EXACT
        return self._turned(cv2.resize(plane, (self.size, self.size), interpolation=method)) > 0

    def row(self, row: float) -> float:
        """Row of the cut at which a row of the picture is; may lie outside."""
        return (row - self.top) * (self.size / self.side)

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Left, top, width and height of a box of the picture; what lies beyond the square stays beyond it."""
        scale = self.size / self.side
        left, width, height = (box[0] - self.left) * scale, box[2] * scale, box[3] * scale
        return self.size - left - width if self.mirrored else left, self.row(box[1]), width, height

    def contains(self, mask: np.ndarray) -> bool:
        """Whether all of a mask lies inside the square."""
        return np.count_nonzero(mask[self._window]) == np.count_nonzero(mask)

    def share(self, mask: np.ndarray) -> float:
        """Which share of the square a mask covers."""
        return int(np.count_nonzero(mask[self._window])) / self.side**2

    def misfit(self, setting: Setting, wanted: Framing) -> float:
        """How far from where they are wanted an adult stands who is as tall as wanted, in heights of the square.

        One more where there is no ground for them.
        """
        row = setting.perspective.row(ADULT_METRES, wanted.height * self.side)
        away = abs((row - self.top) / self.side - wanted.foot)
        ground = setting.ground.mask
        if ground is None:
            return away
        low = min(max(round(row), 0), self.top + self.side - 1)
        stands = np.count_nonzero(ground[low, self.left : self.left + self.side]) >= ROOM * self.side
        return away if stands else away + 1

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


def cut_ground(
    rng: np.random.Generator,
    height: int,
    width: int,
    recipe: Recipe,
    setting: Setting,
    wanted: Framing,
) -> Cut:
    """Draw a cut of a picture: of some that show ground, where that is known, the one to frame somebody in.

    Args:
        rng: a few numbers are drawn for each cut tried.
        height, width: of the picture.
        recipe: how large cuts are.
        setting: ground and perspective of the picture.
        wanted: how somebody is framed as a photographer would.
    """
    cuts = [cut_square(rng, height, width, recipe) for _ in range(CUTS_TRIED)]
    ground = setting.ground.mask
    if ground is not None:
        shares = [cut.share(ground) for cut in cuts]
        least = min(ENOUGH, max(shares))
        cuts = [cut for cut, share in zip(cuts, shares, strict=True) if share >= least]
    return min(cuts, key=lambda cut: cut.misfit(setting, wanted))
