"""Pairs that lie in folders: which files belong together, by their names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mildbench.dataset.pairs import FoundPairs, Pair, Planes
from mildbench.errors import UserError
from mildbench.images import decode_on_white, read_file
from mildbench.listing import list_pictures, sample_id, stem_of
from mildbench.masks import Mask, decode_mask, misfit


def name_pattern(pattern: str) -> re.Pattern[str]:
    """The expression for a pattern: its one `*` is what partners share, `#` are digits, perhaps none.

    Its groups are `shared` and, where there is a `#`, `number`. Raises `UserError` for another count of either.
    """
    if pattern.count("*") != 1 or pattern.count("#") > 1:
        raise UserError(
            f"the pattern {pattern!r} needs exactly one * (what partners share), and at most one # (digits)"
        )
    parts = {"*": "(?P<shared>.+?)", "#": r"(?P<number>\d*)"}
    return re.compile("".join(parts.get(part, re.escape(part)) for part in re.split(r"([*#])", pattern)))


@dataclass(frozen=True)
class Folder:
    """The files of one role.

    Each pattern has one `*`, which stands for what a file's stem shares with its partners': `*_mask` finds
    `photo1_mask.png` for `photo1.jpg`. A `#` stands for digits that tell several files of one partner apart:
    `*_mask#`. Of several patterns the first that fits counts; files that fit none are left alone.
    """

    role: str
    path: Path
    patterns: tuple[str, ...] = ("*",)
    deep: bool = False
    """Files in the folders below as well; partners then share the path below `path`, too."""

    @cached_property
    def files(self) -> list[tuple[str, str, Path]]:
        """What each file shares with its partners, its number (empty without one), and the file, sorted."""
        if self.path.is_file():
            raise UserError(
                f"{self.role} folder {self.path} is a file: give a folder (of an archive, unpack it)"
            )
        if not self.path.is_dir():
            raise UserError(f"{self.role} folder not found: {self.path}")
        expressions = [name_pattern(pattern) for pattern in self.patterns]
        found = []
        for path in list_pictures(self.path, deep=self.deep).pictures:
            fit = next(
                filter(None, (expression.fullmatch(stem_of(path)) for expression in expressions)), None
            )
            if fit is not None:
                where = path.parent.relative_to(self.path) / fit["shared"]
                found.append((where.as_posix(), fit.groupdict().get("number") or "", path))
        return sorted(found)

    @property
    def others(self) -> int:
        """Hidden files and such as are no pictures."""
        return list_pictures(self.path, deep=self.deep).others

    def without(self, taken: set[Path]) -> dict[str, dict[str, Path]]:
        """Shared part -> number -> file, of files not in `taken`. Raises `UserError` for ambiguous names."""
        found: dict[str, dict[str, Path]] = {}
        for shared, number, path in self.files:
            if path in taken:
                continue
            numbers = found.setdefault(shared, {})
            if number in numbers:
                raise UserError(
                    f"{self.role} folder {self.path}: {numbers[number].name} and {path.name} are both named "
                    f"{shared!r}: keep one"
                )
            numbers[number] = path
        return found


def find_pairs(
    images: Folder,
    masks: Folder,
    truth: Folder,
    effects: Folder | None = None,
    *,
    group: str | None = None,
    skip_incomplete: bool = False,
) -> FoundPairs:
    """The partners in the folders, sorted by name.

    Args:
        images, masks, truth: the roles; they may be one folder, in which the more special pattern takes a file.
        effects: of effect masks, if there are any.
        group: a pattern as of `Folder`; its `*` is a sample's group.
        skip_incomplete: leave out what lacks a partner, instead of refusing it.

    Raises `UserError` when there are none, some lack a partner, or names are ambiguous.
    """
    folders = [images, masks, truth, *([effects] if effects else [])]
    by_role = _by_role(folders)
    names = sorted(set().union(*by_role.values()))
    if not names:
        raise UserError(f"{images.path} has no pictures with a stem like {images.patterns[0]!r}")
    lonely = {
        name: next(folder for folder in folders if name not in by_role[folder.role])
        for name in names
        if not all(name in found for found in by_role.values())
    }
    if lonely and not skip_incomplete:
        first = next(iter(lonely))
        raise UserError(
            f"{len(lonely)} of {len(names)} samples lack a partner; the first, {first!r}, has no {lonely[first].role} "
            f"in {lonely[first].path}: add it, remove the others, give --images-pattern, --masks-pattern, "
            "--truth-pattern, or --skip-incomplete"
        )
    skipped = Counter(f"without {lonely[name].role}" for name in lonely)
    if others := sum({folder.path.resolve(): folder.others for folder in folders}.values()):
        skipped["files that are hidden or no pictures"] = others
    complete = [name for name in names if name not in lonely]
    if not complete:
        raise UserError(
            f"none of the {len(names)} samples in {images.path} has all its partners: nothing to import"
        )
    pairs = []
    for name in complete:
        image, answer = (_only(by_role[folder.role][name], folder) for folder in (images, truth))
        effect = _only(by_role[effects.role][name], effects) if effects else None
        numbers = by_role[masks.role][name]
        for number, mask in numbers.items():
            called = name if len(numbers) == 1 else f"{name}_{number}"
            shared = _group(called, group) if group else (name if len(numbers) > 1 else None)
            pairs.append(_pair(called, shared, image, mask, answer, effect))
    return FoundPairs(pairs, skipped)


def _by_role(folders: Sequence[Folder]) -> dict[str, dict[str, dict[str, Path]]]:
    """Role -> name -> number -> file; no file has two roles."""
    # In one folder for all, `*` fits the masks as well: they are taken first.
    special = sorted(folders, key=lambda folder: -min(len(pattern) for pattern in folder.patterns))
    taken: dict[Path, set[Path]] = {}
    by_role: dict[str, dict[str, dict[str, Path]]] = {}
    for folder in special:
        mine = taken.setdefault(folder.path.resolve(), set())
        by_role[folder.role] = folder.without(mine)
        mine.update(path for numbers in by_role[folder.role].values() for path in numbers.values())
    return by_role


def _only(numbers: dict[str, Path], folder: Folder) -> Path:
    if len(numbers) > 1:
        first, second, *_ = numbers.values()
        raise UserError(
            f"{folder.role} folder {folder.path}: {first.name} and {second.name} are of one sample: keep one"
        )
    return next(iter(numbers.values()))


def _group(name: str, pattern: str) -> str:
    fit = name_pattern(pattern).fullmatch(name)
    if fit is None:
        raise UserError(
            f"the sample {name!r} does not fit --group {pattern!r}: its * is the group, # are digits"
        )
    return fit["shared"]


def _pair(name: str, group: str | None, image: Path, mask: Path, truth: Path, effect: Path | None) -> Pair:
    def read() -> Planes:
        answer = read_file(truth, "truth")
        return planes(
            {"input": (str(image), read_file(image, "input")), "mask": (str(mask), read_file(mask, "mask"))}
            | {"truth": (str(truth), answer)}
            | ({} if effect is None else {"effect mask": (str(effect), read_file(effect, "effect mask"))}),
            truth.name,
        )

    return Pair(sample_id(name), name, group, read)


def planes(files: dict[str, tuple[str, bytes]], truth_file: str) -> Planes:
    """Decode one sample.

    Args:
        files: `input`, `mask`, `truth` and perhaps `effect mask` -> what to call the file in errors, and its bytes.
        truth_file: the name of the truth for the sample's provenance.

    Raises `UserError` for files that cannot be read or do not fit each other.
    """
    pictures = {
        role: decode_on_white(files[role][1], f"{role} {files[role][0]}") for role in ("input", "truth")
    }
    image, truth = (pixels for pixels, _ in pictures.values())
    if truth.shape != image.shape:
        sizes = f"{truth.shape[1]}x{truth.shape[0]}, its input {image.shape[1]}x{image.shape[0]}"
        raise UserError(f"truth {files['truth'][0]} is {sizes}")

    def mask(role: str) -> Mask:
        found = decode_mask(files[role][1], f"{role} {files[role][0]}")
        if reason := misfit(found, f"{role} {files[role][0]}", image.shape, "its input"):
            raise UserError(reason)
        return found

    effect = mask("effect mask") if "effect mask" in files else None
    sha256 = hashlib.sha256(files["truth"][1]).hexdigest()
    transparent = tuple(role for role, (_, anywhere) in pictures.items() if anywhere)
    return Planes(image, truth, mask("mask"), effect, truth_file, sha256, transparent)
