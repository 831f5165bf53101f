"""Everything a recipe can draw from: the people and backgrounds of its sources, split once and for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from mildbench.dataset.schema import SourceInfo
from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.identity import value_sha256
from mildbench.images import decode_rgb, encode_jpeg, encode_png
from mildbench.scene import Provenance
from synth import exact
from synth.cache import Cache
from synth.cutout import extend_colours
from synth.fit import SizedFigure, fit
from synth.recipe import Recipe
from synth.rng import generator, unit
from synth.sources.base import (
    ADULT_METRES,
    BACKGROUNDS,
    PEOPLE,
    Background,
    BackgroundChoice,
    BackgroundRef,
    Cutout,
    PersonChoice,
    PersonRef,
    Source,
    open_source,
)
from synth.sources.unpeopled import UnpeopledBackgrounds
from synth.survey import Survey, files_of, photos_of

FINENESS = 2.0
"""A person is cut out at no more than so many times the largest height at which a scene may show them: at twice,
the matte is finer than the scene's pixels, and those pixels are averages as they would be of the whole photo."""
SMALLEST_CUTOUT = 240
"""Nobody is reduced to fewer rows than that before they are cut out, however small the scenes."""
MEGABYTE = 2**20
SOURCE_CACHE = 432 * MEGABYTE
"""For cut-outs and backgrounds as their sources give them. With the next two this makes 512 MB: dozens of workers
may share a machine."""
VIEW_CACHE = 32 * MEGABYTE
"""For backgrounds as scenes show them, which are soon made again from those that their source gave."""
FIGURE_CACHE = 48 * MEGABYTE
"""For people as scenes show them. Their size is drawn anew for each scene, in which they are asked for twice."""


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


class Catalogue:
    """Opens a recipe's sources and divides them over its splits, whole source images at a time.

    Args:
        recipe: what is asked for.
        seed: of the data set.
        survey: of the sources' pictures, where somebody has looked at them already.
    """

    def __init__(self, recipe: Recipe, seed: int, survey: Survey | None = None) -> None:
        self.recipe = recipe
        self.seed = seed
        self._people_sources = [open_source(text, PEOPLE) for text in recipe.people]
        self._background_sources = [open_source(text, BACKGROUNDS) for text in recipe.backgrounds]
        if recipe.check_people is not None:
            self._background_sources = [
                UnpeopledBackgrounds(source, recipe.check_people) for source in self._background_sources
            ]
        people = [
            PersonChoice(i, ref) for i, source in enumerate(self._people_sources) for ref in source.people()
        ]
        backgrounds = [
            BackgroundChoice(i, ref)
            for i, source in enumerate(self._background_sources)
            for ref in source.backgrounds()
        ]
        self.survey = survey or Survey.of(
            photos_of(people, self._people_sources) | photos_of(backgrounds, self._background_sources),
            files_of(people, self._people_sources) | files_of(backgrounds, self._background_sources),
        )
        people = self.survey.readable(people, self._people_sources)
        backgrounds = self.survey.readable(backgrounds, self._background_sources)
        lead = self.survey.leader
        split_of = divide([lead(c.ref.group) for c in people], recipe.splits, seed)
        others = [group for c in backgrounds if (group := lead(c.ref.group)) not in split_of]
        split_of |= divide(others, recipe.splits, seed)
        self.people = {
            name: [c for c in people if split_of[lead(c.ref.group)] == name] for name in recipe.splits
        }
        self.backgrounds = {
            name: [c for c in backgrounds if split_of[lead(c.ref.group)] == name] for name in recipe.splits
        }
        self._stored = Stored(recipe, self.backgrounds)
        check_rejections(recipe, self._people_sources, Counter(c.source for c in people))
        check_rejections(recipe, self._background_sources, Counter(c.source for c in backgrounds))
        self._check(people, backgrounds)
        enough = max(SMALLEST_CUTOUT, FINENESS * recipe.stature[1] * recipe.size)
        self._reduced = {
            (c.source, c.ref.key): enough / c.ref.height for c in people if c.ref.height > enough
        }
        # Three, for each scene brings a new view and new figures, which must last until it is rendered.
        self._read = Cache(SOURCE_CACHE)
        self._views = Cache(VIEW_CACHE)
        self._figures = Cache(FIGURE_CACHE)

    def _check(self, people: Sequence[PersonChoice], backgrounds: Sequence[BackgroundChoice]) -> None:
        needed = min(count for count, weight in self.recipe.crowd.items() if weight > 0)
        for split, share in self.recipe.splits.items():
            if share <= 0:
                continue
            if self.recipe.families.get("entanglement", 0) > 0 and not any(
                choice.ref.carries for choice in self.people[split]
            ):
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has nobody who carries anything, which its family "
                    "entanglement needs: add such a source (mannequin:?carrying=0.5, coco:, ccp:), use fewer "
                    "splits, or change families"
                )
            have = len({choice.ref.group for choice in self.people[split]})
            if have < needed:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has {have} people from different images "
                    f"({_account(people, self._people_sources, self.survey)}), its smallest scenes need {needed}: "
                    "add people sources, or use fewer splits"
                )
            if not self.backgrounds[split]:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has no background "
                    f"({_account(backgrounds, self._background_sources, self.survey)}): "
                    "add background sources, or use fewer splits"
                )

    def sources(self) -> list[SourceInfo]:
        """What each source gave, for the data card and for telling whether it has changed."""
        return [
            *describe("people", self._people_sources, self.people, self.survey),
            *describe("backgrounds", self._background_sources, self.backgrounds, self.survey),
        ]

    def cutout(self, source: int, key: str) -> Cutout:
        """The person, no finer than scenes can show them; raises `Rejected`."""
        return self._read.get(("person", source, key), lambda: self._read_cutout(source, key))

    def _read_cutout(self, source: int, key: str) -> Cutout:
        cutout = self._people_sources[source].cutout(key, self._reduced.get((source, key), 1.0))
        return replace(cutout, rgba=extend_colours(cutout.rgba))

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        """The person at scene size, with room for a shadow if there will be one; raises `Rejected`."""
        cutout = self.cutout(source, key)  # outside: what reading costs is no reason to keep a figure
        return self._figures.get(
            (source, key, scale, mirrored, shadow),
            lambda: fit(cutout, scale / cutout.scale, mirrored, room_for_shadow=shadow),
        )

    def view(self, source: int, key: str, number: int) -> View:
        """Crop `number` of a background; raises `Rejected`."""
        return self._views.get((source, key, number), lambda: self._read_view(source, key, number))

    def _background(self, source: int, key: str) -> Background:
        read = self._background_sources[source].background
        return self._read.get(("background", source, key), lambda: read(key))

    def _read_view(self, source: int, key: str, number: int) -> View:
        background = self._background(source, key)
        rng = generator(self.seed, "view", self._background_sources[source].name, key, number)
        height, width = background.image.shape[:2]
        cut = cut_square(rng, height, width, self.recipe)
        drawn = rng.uniform(*self.recipe.horizon), rng.uniform(*self.recipe.camera_height)
        horizon, camera = drawn[0] * self.recipe.size, drawn[1]
        if background.horizon is not None and background.camera_height is not None:
            horizon = (background.horizon * height - cut.top) * self.recipe.size / cut.side
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


def describe(
    role: str,
    sources: Sequence[Source],
    pools: Mapping[str, Sequence[PersonChoice | BackgroundChoice]],
    survey: Survey,
) -> list[SourceInfo]:
    """One entry a source; `pools` holds what is used of them, by split."""
    refs: dict[int, list[PersonRef | BackgroundRef]] = {i: [] for i in range(len(sources))}
    for pool in pools.values():
        for choice in pool:
            refs[choice.source].append(choice.ref)
    return [
        SourceInfo.model_validate(
            {
                "role": role,
                "name": source.name,
                "licence": source.licence,
                "items": len(refs[i]),
                "rejected": dict(sorted(source.rejections.counts.items())),
                "left_out": dict(sorted(source.left_out.items())),
                "fingerprint": fingerprint(sorted(_contents(source, ref, survey) for ref in refs[i])),
            }
        )
        for i, source in enumerate(sources)
    ]


def _contents(source: Source, ref: PersonRef | BackgroundRef, survey: Survey) -> list[Any]:
    """An item and what it is made of. Names, sizes and times of files do not tell: they stay when pixels change."""
    files = [survey.sha256[file] for file in source.files(ref.key)]
    return [*astuple(ref), *files, value_sha256(source.annotation(ref.key))]


def check_rejections(recipe: Recipe, sources: Sequence[Source], usable: Mapping[int, int]) -> None:
    """Raise `UserError` when more of a source is broken than the recipe allows.

    `usable`: index of the source -> items of it that are not broken.
    """
    for i, source in enumerate(sources):
        rejected = source.rejections.counts
        broken = sum(rejected.values())
        total = broken + usable.get(i, 0)
        if broken > recipe.max_rejected_share * total:
            reason, count = rejected.most_common(1)[0]
            raise UserError(
                f"source {source.name}: {broken} of {total} items are broken, more than the recipe's "
                f"max_rejected_share {recipe.max_rejected_share}; most often: {reason} ({count}x, "
                f"e.g. {source.rejections.examples[reason]}): repair the source"
            )


def _account(
    usable: Sequence[PersonChoice | BackgroundChoice], sources: Sequence[Source], survey: Survey
) -> str:
    """How many there are in all sources, and why not more."""
    groups = {choice.ref.group for choice in usable}
    twins = len(groups) - len({survey.leader(group) for group in groups})
    parts = [f"{len(usable)} usable in all sources"]
    if twins:
        parts.append(f"{twins} of them nearly equal to another, which must be in the same split")
    for reason, count in sum((source.rejections.counts for source in sources), Counter()).most_common():
        parts.append(f"{count} rejected: {reason}")
    for reason, count in sum((source.left_out for source in sources), Counter()).most_common():
        parts.append(f"{count} left out: {reason}")
    return "; ".join(parts)


def divide(groups: list[str], splits: dict[str, float], seed: int) -> dict[str, str]:
    """Group -> split: whole groups, in a seeded random order, in the splits' proportions.

    Every split with a positive share gets a group while there are enough of them.
    """
    order = sorted(set(groups), key=lambda group: unit(seed, "split", group))
    # Rarest first, so that a small split gets its one group before the larger ones take all.
    wanted = sorted((share, name) for name, share in splits.items() if share > 0)
    left, result, start = sum(share for share, _ in wanted), {}, 0
    for share, name in wanted:
        rest = len(order) - start
        take = min(rest, max(1, round(rest * share / left)))
        result.update(dict.fromkeys(order[start : start + take], name))
        start += take
        left -= share
    return result


def split_of_sample(index: int, splits: dict[str, float]) -> str:
    """The split of sample `index`: depends on the index alone, and every prefix keeps close to the shares."""
    total = sum(splits.values())
    place = (index + 0.5) * 0.6180339887498949 % 1 * total
    for name, share in splits.items():
        if place < share:
            return name
        place -= share
    return next(name for name in reversed(splits) if splits[name] > 0)
