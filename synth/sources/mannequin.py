"""`mannequin:`: procedural people with exact pose and parsing, and rendered backgrounds. Needs no file."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from mildbench.errors import UserError
from mildbench.identity import pixels_sha256
from mildbench.scene import Provenance
from synth import embedded
from synth.material import Background, BackgroundRef, Cutout, Known, PersonRef, Rejections, Sunlight
from synth.sources.base import BackgroundSource, PeopleSource

LICENCE = "CC0-1.0"
SIDES = (64, 4096)
"""Of a background, in pixels: what a scene may measure."""
MOST = 1_000_000
"""People or backgrounds: each is a row in memory, and that many no recipe asks for."""
STATURE = 480
"""Height in pixels at which figures are rendered; a scene scales them."""


def _keys(path: str, count: int, seed: int) -> list[str]:
    if path:
        raise UserError(
            f"source mannequin: takes no path, got {path!r}: write mannequin: or mannequin:?count=N"
        )
    if not 1 <= count <= MOST:
        raise UserError(f"source mannequin: count={count}: give a number from 1 to {MOST}")
    if seed < 0:
        raise UserError(f"source mannequin: seed={seed} is negative: give 0 or more")
    return [str(index) for index in range(count)]


class MannequinPeople(PeopleSource):
    """Articulated, shaded, clothed figures.

    Args:
        path: must be empty.
        count: how many different people there are.
        seed: another seed gives other people.
        carrying: share of the people who carry something, 0..1.
    """

    rendered = True

    def __init__(self, path: str, count: int = 96, seed: int = 0, carrying: float = 0.0) -> None:
        if not 0 <= carrying <= 1:
            raise UserError(
                f"source mannequin: carrying={carrying} is not a share: give a number from 0 to 1"
            )
        self.name = f"mannequin?count={count}&seed={seed}"
        if carrying:
            self.name += f"&carrying={carrying}"
        self.licence = LICENCE
        self.rejections = Rejections()
        self._seed = seed
        self._carrying = carrying
        self._keys = _keys(path, count, seed)

    def people(self) -> Sequence[PersonRef]:
        return [
            PersonRef(key, f"mannequin-person/{self._seed}/{key}", STATURE, carries=self._carries(key))
            for key in self._keys
        ]

    def cutout(self, key: str, scale: float = 1.0) -> Cutout:
        figure = embedded.person(_number(self._seed, key), STATURE, self._carries(key))
        provenance = Provenance(self.name, key, pixels_sha256(figure.rgba), self.licence)
        return Cutout(figure.rgba, figure.parsing, figure.keypoints, provenance, figure.carried)

    def _carries(self, key: str) -> bool:
        """Whether this person carries something: a larger share adds people and takes nobody's things away."""
        return zlib.crc32(f"{self._seed}/{key}/carries".encode()) < self._carrying * 2**32


class MannequinBackgrounds(BackgroundSource):
    """Rendered indoor and outdoor scenes with a known camera, ground and sun.

    Args:
        path: must be empty.
        count: how many different backgrounds there are.
        seed: another seed gives other backgrounds.
        side: width and height in pixels.
    """

    def __init__(self, path: str, count: int = 32, seed: int = 0, side: int = 512) -> None:
        self.name = f"mannequin?count={count}&seed={seed}&side={side}"
        self.licence = LICENCE
        self.rejections = Rejections()
        if not SIDES[0] <= side <= SIDES[1]:
            raise UserError(f"source mannequin: side={side}: give a number from {SIDES[0]} to {SIDES[1]}")
        self._seed, self._side = seed, side
        self._keys = _keys(path, count, seed)

    rendered = True

    def backgrounds(self) -> Sequence[BackgroundRef]:
        return [BackgroundRef(key, f"mannequin-scenery/{self._seed}/{key}") for key in self._keys]

    def background(self, key: str) -> Background:
        scenery = embedded.place(_number(self._seed, key), self._side, self._side)
        provenance = Provenance(self.name, key, pixels_sha256(scenery.image), self.licence)
        return Background(
            scenery.image,
            provenance,
            scenery.horizon,
            scenery.camera_height,
            scenery.focal,
            scenery.ground,
            Known.EXACT,
            scenery.open_air,
            None if scenery.shadow is None else Sunlight(*scenery.shadow),
            sheen=scenery.sheen,
        )


def _number(seed: int, key: str) -> int:
    return seed * 1_000_003 + int(key)
