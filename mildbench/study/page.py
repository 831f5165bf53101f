"""What a study's page shows, read back from it: whoever else answers sees the pictures that people see."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from mildbench.errors import UserError
from mildbench.images import decode_rgb
from mildbench.records import Strict, validated

_DATA = re.compile(r'<script id="study" type="application/json">(.*?)</script>', re.DOTALL)
_REMEDY = "give the folder that mildbench study make wrote"
_Place = Annotated[int, Field(ge=0)]


class ShownPair(Strict):
    """One pair, by the places of its pictures in `Page.pictures`."""

    id: str
    before: _Place
    a: _Place
    b: _Place


class Page(Strict):
    """The page's data: ids and pictures, and nothing that tells a method."""

    id: str
    """`Study.id`."""
    pairs: list[ShownPair]
    """Attention checks among them."""
    pictures: list[str]
    """WebP as base64."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a rater sees of one pair, each uint8[H, W, 3] of one size."""

    id: str
    before: np.ndarray
    """The input with whoever is to be erased in an outline."""
    a: np.ndarray
    b: np.ndarray


def read_page(path: Path) -> Page:
    """Read a page; raises `UserError` where there is none, or it is no study's."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"the study's page {path} is not there: {_REMEDY}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the study's page {path} cannot be read ({error}): {_REMEDY}") from None
    found = _DATA.search(text)
    if found is None:
        raise UserError(f"{path} is no study's page: {_REMEDY}")
    try:
        content = json.loads(found.group(1))
    except ValueError:
        raise UserError(f"the study's page {path} is damaged: {_REMEDY}") from None
    page = validated(Page, content, f"page {path}", _REMEDY)
    if page.pairs and max(max(pair.before, pair.a, pair.b) for pair in page.pairs) >= len(page.pictures):
        raise UserError(f"the study's page {path} lacks pictures: {_REMEDY}")
    return page


def shown(page: Page, leave_out: set[str]) -> Iterator[Shown]:
    """The pairs in the page's order, but for those of these ids; raises `UserError` for a damaged picture."""
    for pair in page.pairs:
        if pair.id not in leave_out:
            yield Shown(pair.id, *(_picture(page, place) for place in (pair.before, pair.a, pair.b)))


def _picture(page: Page, place: int) -> np.ndarray:
    what = f"picture {place} of the study's page"
    try:
        data = base64.b64decode(page.pictures[place], validate=True)
    except binascii.Error as error:
        raise UserError(f"{what} is damaged ({error}): {_REMEDY}") from None
    return decode_rgb(data, what)
