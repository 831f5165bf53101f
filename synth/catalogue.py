"""Everything a recipe can draw from: the people and backgrounds of its sources, split once and for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property, lru_cache

import cv2
import numpy as np

from mildbench.dataset.schema import SourceInfo
from mildbench.errors import UserError
from mildbench.files import fingerprint
from mildbench.images import encode_png
from mildbench.scene import Provenance
from synth.cutout import extend_colours
from synth.fit import SizedFigure, fit
from synth.recipe import Recipe
from synth.rng import generator, unit
from synth.sources.base import (
    ADULT_METRES,
    BACKGROUNDS,
    PEOPLE,
    Background,
    BackgroundRef,
    Cutout,
    PersonRef,
    Source,
    open_source,
)


@dataclass(frozen=True)
class PersonChoice:
    """One person of the catalogue."""

    source: int
    ref: PersonRef


@dataclass(frozen=True)
class BackgroundChoice:
    """One background of the catalogue."""

    source: int
    ref: BackgroundRef


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A square crop of a background, at scene size."""

    image: np.ndarray
    """uint8[size, size, 3]."""
    provenance: Provenance
    hash: int
    """Perceptual hash of the whole background."""

    @cached_property
    def png(self) -> bytes:
        """The image as a file, encoded once for all the scenes that use this crop."""
        return encode_png(self.image)


@dataclass(frozen=True, eq=False)
class View(Backdrop):
    """A backdrop on whose ground people can stand."""

    horizon: float
    """Row of the horizon, in pixels."""
    camera_height: float
    """In statures: a person whose feet are at row y is (y - horizon) / camera_height pixels tall."""
    ground: np.ndarray | None
    """bool[size, size]: where feet may stand, None when unknown."""


class Catalogue:
    """Opens a recipe's sources and divides them over its splits, whole source images at a time."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe = recipe
        self.seed = seed
        self._people_sources = [open_source(text, PEOPLE) for text in recipe.people]
        self._background_sources = [open_source(text, BACKGROUNDS) for text in recipe.backgrounds]
        people = [
            PersonChoice(i, ref) for i, source in enumerate(self._people_sources) for ref in source.people()
        ]
        backgrounds = [
            BackgroundChoice(i, ref)
            for i, source in enumerate(self._background_sources)
            for ref in source.backgrounds()
        ]
        split_of = divide([choice.ref.group for choice in people], recipe.splits, seed)
        split_of |= divide(
            [choice.ref.group for choice in backgrounds if choice.ref.group not in split_of],
            recipe.splits,
            seed,
        )
        self.people = {name: [c for c in people if split_of[c.ref.group] == name] for name in recipe.splits}
        self.backgrounds = {
            name: [c for c in backgrounds if split_of[c.ref.group] == name] for name in recipe.splits
        }
        check_rejections(recipe, self._people_sources, Counter(c.source for c in people))
        check_rejections(recipe, self._background_sources, Counter(c.source for c in backgrounds))
        self._check(len(people), len(backgrounds))
        # Scenes draw at random: a worker keeps the last so many of what it has read, cut out and scaled.
        self._cutout = lru_cache(maxsize=256)(self._read_cutout)
        self._figure = lru_cache(maxsize=64)(self._fit)
        self._view = lru_cache(maxsize=64)(self._read_view)
        self._background = lru_cache(maxsize=48)(self._read_background)

    def _check(self, people: int, backgrounds: int) -> None:
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
                    f"({people} usable people in all sources), its smallest scenes need {needed}: "
                    "add people sources, or use fewer splits"
                )
            if not self.backgrounds[split]:
                raise UserError(
                    f"recipe {self.recipe.name}: split {split!r} has no background ({backgrounds} usable in all "
                    "sources): add background sources, or use fewer splits"
                )

    def sources(self) -> list[SourceInfo]:
        """What each source gave, for the data card and for telling whether it has changed."""
        return [
            *describe("people", self._people_sources, self.people),
            *describe("backgrounds", self._background_sources, self.backgrounds),
        ]

    def cutout(self, source: int, key: str) -> Cutout:
        """The person at source size; raises `Rejected`."""
        return self._cutout(source, key)

    def _read_cutout(self, source: int, key: str) -> Cutout:
        cutout = self._people_sources[source].cutout(key)
        return replace(cutout, rgba=extend_colours(cutout.rgba))

    def figure(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        """The person at scene size, with room for a shadow if there will be one; raises `Rejected`."""
        return self._figure(source, key, scale, mirrored, shadow)

    def _fit(self, source: int, key: str, scale: float, mirrored: bool, shadow: bool) -> SizedFigure:
        return fit(self._cutout(source, key), scale, mirrored, room_for_shadow=shadow)

    def view(self, source: int, key: str, number: int) -> View:
        """Crop `number` of a background; raises `Rejected`."""
        return self._view(source, key, number)

    def _read_background(self, source: int, key: str) -> Background:
        return self._background_sources[source].background(key)

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
            cut.image(background.image),
            background.provenance,
            background.hash,
            float(horizon),
            float(camera),
            ground,
        )


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
        method = cv2.INTER_AREA if self.side > self.size else cv2.INTER_CUBIC
        return self._turned(cv2.resize(picture[self._window], (self.size, self.size), interpolation=method))

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
    """Draw a square cut of a picture."""
    side = round(min(height, width) / rng.uniform(*recipe.background_zoom))
    left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
    return Cut(left, top, side, bool(rng.random() < 0.5), recipe.size)


def describe(
    role: str, sources: Sequence[Source], pools: Mapping[str, Sequence[PersonChoice | BackgroundChoice]]
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
                "fingerprint": fingerprint(sorted(list(astuple(ref)) for ref in refs[i])),
            }
        )
        for i, source in enumerate(sources)
    ]


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
