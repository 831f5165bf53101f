"""What a COCO-style file says: ids as text, whatever the file writes, and everything broken named and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mildbench.errors import UserError
from mildbench.files import read_json
from synth.material import Rejected

Item = dict[str, Any]
"""A record of the file as published, but for its ids."""


@dataclass(frozen=True)
class Content:
    """A COCO-style file."""

    records: dict[str, Item]
    """Image records by id, each with a file name and a size in pixels."""
    annotations: list[Item]
    """In the file's order; `id`, `image_id` and `category_id` are text, or None for what is no id."""
    categories: dict[str, Item]
    """By id, each with a `name`."""
    licences: dict[str, str]
    """Names by id."""
    problems: tuple[Rejected, ...]
    """Records that are left out, and why."""
    by_model: bool = False
    """Whether the file says that a model segmented its pictures, as `mildbench segment` does."""


def read_content(path: Path, split: str) -> Content:
    """Read a file; raises `UserError` when it is missing or not one, or gives a category two names."""
    content = read_json(path, f"COCO annotations of split {split!r}")
    lists = [content.get(part) for part in ("images", "annotations")] if isinstance(content, dict) else [None]
    if not all(isinstance(part, list) for part in lists):
        raise UserError(f"{path} is not a COCO file: it has no lists 'images' and 'annotations'")
    problems: list[Rejected] = []
    return Content(
        _records(content, problems),
        list(_annotations(content, problems)),
        _categories(content, path),
        {key: str(item["name"]) for key, item in _known(content, "licenses") if "name" in item},
        tuple(problems),
        isinstance(info := content.get("info"), dict) and "segments" in info,
    )


def key_of(value: Any) -> str | None:
    """An id as text: 7, 7.0, "7" and "0007" are one. None for what is no id."""
    if isinstance(value, str):
        text = value.strip()
        return (text.lstrip("0") or "0") if text.isdecimal() else text or None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def is_crowd(item: Item) -> bool:
    """Whether an annotation is of several people or things that nobody told apart."""
    return item.get("iscrowd") not in (None, 0, "", "0", "false", "False")


def _records(content: Item, problems: list[Rejected]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    ambiguous = set[str]()
    for place, record in enumerate(content["images"]):
        key = key_of(record.get("id")) if isinstance(record, dict) else None
        if key is None:
            problems.append(Rejected("image record without an id", f"image number {place}"))
            continue
        sides = [_pixels(record.get(side)) for side in ("width", "height")]
        if not isinstance(record.get("file_name"), str) or None in sides:
            problems.append(Rejected("image record without a file name or size", f"image {key}"))
            continue
        record["width"], record["height"] = sides
        if key in found and record["file_name"] != found[key]["file_name"]:
            ambiguous.add(key)
        found.setdefault(key, record)
    for key in ambiguous:  # whose annotations are of one of two photos, nobody knows which
        del found[key]
        problems.append(Rejected("image id of two photos", f"image {key}"))
    return found


def _pixels(side: Any) -> int | None:
    """A side's length, None for what is none."""
    whole = isinstance(side, int) or (isinstance(side, float) and side.is_integer())
    return int(side) if whole and side > 0 else None


def _annotations(content: Item, problems: list[Rejected]) -> Iterator[Item]:
    for place, item in enumerate(content["annotations"]):
        if isinstance(item, dict):
            for name in ("id", "image_id", "category_id"):
                item[name] = key_of(item.get(name))
            yield item
        else:
            problems.append(Rejected("annotation that is no record", f"annotation number {place}"))


def _categories(content: Item, path: Path) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for key, item in _known(content, "categories"):
        if not isinstance(item.get("name"), str):
            continue  # annotations of it are of an unknown category
        if key in found and found[key]["name"] != item["name"]:
            names = f"{found[key]['name']!r} and {item['name']!r}"
            raise UserError(f"{path}: the categories {names} have one id, {key}: give each its own")
        found[key] = item
    return found


def _known(content: Item, part: str) -> Iterator[tuple[str, Item]]:
    """The records with an id of a list that may be missing."""
    items = content.get(part)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and (key := key_of(item.get("id"))) is not None:
            yield key, item
