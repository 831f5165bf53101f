"""`mannequin:` as segmented pictures: rendered places with two or three people in them, every region known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mildbench.identity import pixels_sha256
from mildbench.scene import Provenance, over
from synth.fit import cast_shadow, fit
from synth.material import ADULT_METRES, BackgroundRef, Known, Rejected, Rejections, Segment, SegmentedImage
from synth.rng import generator
from synth.sources.base import SegmentedSource
from synth.sources.mannequin import LICENCE, MannequinBackgrounds, MannequinPeople

PEOPLE = 3
"""People put into a picture; fewer where there is no room for them side by side."""
TRIES = 20


class MannequinPictures(SegmentedSource):
    """Rendered places with mannequins in them.

    Args:
        path: must be empty.
        count: how many different pictures there are.
        seed: another seed gives other pictures.
        side: width and height in pixels.
    """

    def __init__(self, path: str, count: int = 32, seed: int = 0, side: int = 640) -> None:
        self._places = MannequinBackgrounds(path, count, seed, side)
        self._people = MannequinPeople(path, 3 * count, seed)
        self.name = f"mannequin?count={count}&seed={seed}&side={side}"
        self.licence = LICENCE
        self.rejections = Rejections()
        self._seed = seed

    @property
    def known(self) -> Known:
        return Known.EXACT

    def images(self) -> Sequence[BackgroundRef]:
        return self._places.backgrounds()

    def image(self, key: str) -> SegmentedImage:
        place = self._places.background(key)
        assert place.ground is not None
        assert place.horizon is not None
        assert place.camera_height is not None
        picture, ground = place.image.copy(), place.ground.copy()
        side = picture.shape[0]
        rng = generator(self._seed, "picture", key)
        taken = np.zeros_like(ground)
        people: list[Segment] = []
        for number in range(PEOPLE):
            stature = rng.uniform(0.3, 0.55) * side
            cutout = self._people.cutout(str(3 * int(key) + number))
            scale = stature / self._people.people()[0].height
            figure = cast_shadow(fit(cutout, scale, False, room_for_shadow=True), 0.5)
            foot_y = round(place.horizon * side + stature * place.camera_height / ADULT_METRES)
            height, width = figure.mask.shape
            for _ in range(TRIES):
                foot_x = int(rng.integers(side))
                x, y = foot_x - figure.foot[0], foot_y - figure.foot[1]
                if foot_y >= side or not ground[foot_y, foot_x]:
                    continue
                if x < 0 or y < 0 or x + width > side or y + height > side:
                    continue
                window = np.s_[y : y + height, x : x + width]
                if taken[window].any():
                    continue
                assert figure.shadow is not None
                over(picture[window], np.zeros_like(picture[window]), figure.shadow)
                over(picture[window], figure.rgba[..., :3], figure.rgba[..., 3])
                mask = np.zeros_like(ground)
                mask[window] = figure.mask
                taken[window] = True
                people.append(Segment(number + 1, "person", True, False, mask))
                break
        if not people:
            raise Rejected("no room for anybody in the picture", f"mannequin picture {key}")
        ground &= ~np.any([segment.mask for segment in people], axis=0)
        segments = (*people, Segment(PEOPLE + 1, "ground", False, False, ground))
        provenance = Provenance(self.name, key, pixels_sha256(picture), LICENCE)
        return SegmentedImage(picture, segments, provenance)
