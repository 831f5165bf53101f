"""Make a data set of what others made: inputs, masks and true answers, wherever they come from.

A wrong import gives wrong numbers without a word. So every mask is read by what its file is, held against input and
truth, and whatever is odd is counted and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mildbench.dataset.content import sample_sha256
from mildbench.dataset.index import IndexWriter
from mildbench.dataset.newfolder import new_folder
from mildbench.dataset.schema import SAMPLE_SCHEMA, DatasetInfo, SourceInfo
from mildbench.dataset.writers import FolderShard, ShardWriter
from mildbench.errors import UserError
from mildbench.images import encode_png
from mildbench.masks import Mask, marks_around, oddity
from mildbench.scene import Provenance

SPLIT = "test"
_CHANGED = 16
"""Levels of one channel; what changes less may be noise, or a JPEG's."""
_FACTOR = 4
"""A mask outside of which so many times more changes than inside is inverted ..."""
_LEAST = 0.05
"""... if at least this share of the outside changes."""
_HARDLY, _MOSTLY = 0.02, 0.5
"""Shares that change inside and outside of a mask, below and above which a pair is worth a word."""


@dataclass(frozen=True, eq=False)
class Planes:
    """The pictures of one sample."""

    image: np.ndarray
    """uint8[H, W, 3]."""
    truth: np.ndarray
    """uint8[H, W, 3]."""
    mask: Mask
    effect: Mask | None
    """What changes with what is erased, known for all samples of a data set or for none; may include the mask."""
    truth_file: str
    """Where the truth comes from, for the sample's provenance."""
    truth_sha256: str
    transparent: tuple[str, ...] = ()
    """Those of `input` and `truth` of which something is transparent, and white here."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One sample, not read yet."""

    id: str
    """As the data set will call it (`mildbench.listing.sample_id`)."""
    name: str
    """As it is called where it comes from."""
    group: str | None
    """The camera or place that it shares with other samples; None where it shares none, or nobody said."""
    read: Callable[[], Planes]
    """Raises `UserError` for what cannot be used."""


@dataclass(frozen=True, eq=False)
class FoundPairs:
    """The samples of a set, and what was left out."""

    pairs: Sequence[Pair]
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> samples, or files, that were left out."""
    notes: tuple[str, ...] = ()
    """What else there is to know of them."""


@dataclass(frozen=True)
class About:
    """What a set says of itself."""

    name: str
    licence: str
    description: str
    citation: str = ""

    def dataset(self, source: str) -> dict[str, Any]:
        """What a data set that is imported from it says of itself; `source` as in `DatasetInfo`."""
        return {
            "name": self.name,
            "source": source,
            "description": self.description,
            "format": "folder",
            "seed": None,
            "size": None,
            "recipe": {},
            "sources": [],  # said once they are counted
        }


class _Empty(UserError):
    """A mask that marks nothing: there is nothing to erase."""


def import_pairs(
    found: FoundPairs,
    out: Path,
    about: About,
    *,
    invert: bool = False,
    skip_empty: bool = False,
    advance: Callable[[int], None],
) -> DatasetInfo:
    """Make a data set of pairs, in its one split `test`; pictures are stored losslessly.

    Args:
        found: the samples.
        out: folder to make; it must not exist, or be empty.
        about: the set.
        invert: the files of masks, and of effect masks, mark what stays.
        skip_empty: leave samples out whose mask marks nothing, instead of refusing them.
        advance: called with the number of pairs just done.

    Raises `UserError` naming the first pair that cannot be used and how many there are; nothing is left behind.
    """
    _check_ids(found.pairs)
    description = about.dataset("pairs")
    tally = _Tally(found, about, invert)
    with (
        new_folder(out) as folder,
        IndexWriter(folder, description, [SPLIT]) as index,
        FolderShard(folder) as shard,
    ):
        for pair in found.pairs:
            try:
                planes = _turned_round(pair.read()) if invert else pair.read()
                mask = _checked(pair, planes, invert)
            except _Empty as error:
                tally.empty(error, skip=skip_empty)
            except UserError as error:
                tally.unusable.append(str(error))
            else:
                tally.add(pair, planes, mask)
                if not tally.unusable:  # after the first, only to count the others
                    index.add(_write(shard, pair, planes, mask, about))
            advance(1)
        tally.check()
        source = SourceInfo(
            role="pairs",
            name=about.name,
            licence=about.licence,
            items=tally.samples,
            rejected=dict(tally.skipped),
        )
        description["sources"] = [source.model_dump()]
        index.add_files(shard.files, shard.shared)
        return index.finish(tally.report())


def _check_ids(pairs: Sequence[Pair]) -> None:
    names: dict[str, str] = {}
    for pair in pairs:
        other = names.get(pair.id)
        names[pair.id] = pair.name
        if other == pair.name:
            raise UserError(f"two samples are called {other!r}: keep one; nothing was imported")
        if other is not None:
            raise UserError(
                f"the samples {other!r} and {pair.name!r} would both be called {pair.id!r}: rename one"
            )


class _Tally:
    """What an import finds on its way."""

    def __init__(self, found: FoundPairs, about: About, invert: bool) -> None:
        self.samples = 0
        self.skipped = Counter(found.skipped)
        self.unusable: list[str] = []
        self._pairs = len(found.pairs)
        self._about, self._invert, self._notes = about, invert, found.notes
        self._rules: Counter[str] = Counter()
        self._odd: dict[str, list[Any]] = {}
        self._groups: set[str] = set()
        self._effects: set[bool] = set()

    def add(self, pair: Pair, planes: Planes, mask: np.ndarray) -> None:
        self.samples += 1
        self._rules[planes.mask.rule] += 1
        self._effects.add(planes.effect is not None)
        if pair.group is not None:
            self._groups.add(pair.group)
        if pair.id != pair.name:
            self._note("ids differ from the names", f"{pair.name!r} is {pair.id}")
        if remark := oddity(mask):
            self._note(f"masks {remark}", pair.name)
        for role in planes.transparent:
            self._note(f"{role}s are transparent in places, and were made white there", pair.name)
        if planes.effect is not None and not (planes.effect.marked & ~mask).any():
            self._note("effect masks add nothing to the mask", pair.name)
        if np.array_equal(planes.image, planes.truth):
            self._note("inputs are identical with their truth", pair.name)
            return
        inside, outside = _changes(planes.image, planes.truth, mask)
        if inside < _HARDLY:
            self._note("masks mark hardly anything that differs from the truth", pair.name)
        if outside > _MOSTLY:
            self._note("truths differ from the input over most of what is not marked", pair.name)

    def empty(self, error: _Empty, *, skip: bool) -> None:
        if skip:
            self.skipped["with an empty mask"] += 1
        else:
            self.unusable.append(str(error))

    def check(self) -> None:
        if self.unusable:
            raise UserError(
                f"{len(self.unusable)} of {self._pairs} pairs cannot be used; the first: {self.unusable[0]}: mend or "
                "remove them; nothing was imported"
            )
        if not self.samples:
            raise UserError("every mask is empty: nothing was imported")
        if len(self._effects) > 1:
            raise UserError("some pairs have an effect mask and others have none: nothing was imported")

    def report(self) -> dict[str, Any]:
        return {
            "masks": dict(self._rules.most_common()),
            "inverted": self._invert,
            "odd": self._odd,
            "skipped": dict(self.skipped),
            "groups": len(self._groups) or None,
            "notes": list(self._notes),
            "citation": self._about.citation,
        }

    def _note(self, what: str, which: str) -> None:
        self._odd.setdefault(what, [0, which])[0] += 1


def _checked(pair: Pair, planes: Planes, invert: bool) -> np.ndarray:
    """bool[H, W], what is to be erased; raises `UserError`, where it is inverted too."""
    mask = planes.mask.marked
    if not mask.any():
        raise _Empty(f"the mask of {pair.name} marks nothing ({planes.mask.rule})")
    if looks_inverted(planes.image, planes.truth, mask):
        raise _inverted(f"the mask of {pair.name}", invert)
    if planes.effect is not None and _effect_inverted(planes, mask, planes.effect.marked):
        raise _inverted(f"the effect mask of {pair.name}", invert)
    return mask


def _effect_inverted(planes: Planes, mask: np.ndarray, effect: np.ndarray) -> bool:
    """Whether the effect mask, bool[H, W], marks what stays: it goes around the mask, or leaves out what changes."""
    around = marks_around(effect) and bool((effect & mask).sum() < mask.sum() / 2)
    return around or looks_inverted(planes.image, planes.truth, mask | effect)


def _inverted(which: str, invert: bool) -> UserError:
    return UserError(
        f"{which} looks inverted: input and truth agree inside it and differ outside of it: if all are so, use "
        f"mildbench import pairs, {'without' if invert else 'with'} --invert"
    )


def _turned_round(planes: Planes) -> Planes:
    """With masks that mark what the files do not."""

    def turned(mask: Mask) -> Mask:
        return replace(mask, marked=~mask.marked, numbers=(~mask.marked).astype(np.uint8))

    return replace(
        planes, mask=turned(planes.mask), effect=None if planes.effect is None else turned(planes.effect)
    )


def looks_inverted(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> bool:
    """Whether `truth` differs from `image` (uint8[H, W, 3]) outside bool[H, W] `mask`, and hardly inside it."""
    inside, outside = _changes(image, truth, mask)
    return outside > _LEAST and outside > _FACTOR * inside


def _changes(image: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """The shares inside and outside of bool[H, W] `mask`, not empty, in which uint8[H, W, 3] pictures differ."""
    changed = cv2.absdiff(image, truth).max(axis=2) > _CHANGED
    return float(changed[mask].mean()), 0.0 if mask.all() else float(changed[~mask].mean())


def _write(shard: ShardWriter, pair: Pair, planes: Planes, mask: np.ndarray, about: About) -> dict[str, Any]:
    provenance = Provenance(about.name, planes.truth_file, planes.truth_sha256, about.licence)
    row: dict[str, Any] = dict.fromkeys(SAMPLE_SCHEMA.names)
    parts = {"composite": planes.image, "background": planes.truth, "mask": mask.astype(np.uint8) * 255}
    if planes.effect is not None:
        parts["effect"] = planes.effect.marked.astype(np.uint8) * 255
    row |= {
        "id": pair.id,
        "split": SPLIT,
        "width": planes.image.shape[1],
        "height": planes.image.shape[0],
        "mask_share": float(mask.mean()),
        "background_provenance": asdict(provenance),
        "name": pair.name,
        "group": pair.group,
    }
    row |= {part: shard.add(SPLIT, pair.id, part, encode_png(pixels)) for part, pixels in parts.items()}
    row["content_sha256"] = sample_sha256(row, parts)
    shard.end(row)
    return row
