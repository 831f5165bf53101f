"""Where people are in a frame and how large: as in real photos, by tables of quantiles; and how near a set comes.

All lengths are shares of the frame's height, but for `centre`, a share of its width. Heights are those of whole
people, whatever the frame leaves of them, so that one larger than the frame has a height above 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from mildbench.errors import UserError, did_you_mean
from mildbench.records import Strict, read_model

HEIGHTS = (0.05, 1.5)
"""Frame heights: the smallest and the tallest people that are asked for."""
QUANTILES = 21
"""Entries of a table's column: the values below which lie 0 %, 5 % ... 100 % of the people."""
CLASSES = 4
"""Classes of height, each with as many people, within which places are alike,"""
CLASS = 20
"""if each has so many."""
LEAST_CUT = 0.02
"""Whoever is cut by the frame has at least so much below it."""


@dataclass(frozen=True)
class Framing:
    """How one person is framed."""

    height: float
    """Of the whole person, `HEIGHTS` at most."""
    head: float
    """From the frame's top to the person's; negative above the frame."""
    centre: float
    """From the frame's left side to the middle of the person."""

    @property
    def foot(self) -> float:
        """From the frame's top to the person's lowest point; above 1 when the frame cuts them."""
        return self.head + self.height

    @property
    def cut(self) -> bool:
        """Whether the frame's lower edge cuts the person."""
        return self.foot > 1


class Column(Strict):
    """A class of people of like height."""

    weight: float = Field(gt=0)
    """Share of the people."""
    cut: bool
    """Whether the frame's lower edge cuts them."""
    height: list[float] = Field(min_length=QUANTILES, max_length=QUANTILES)
    anchor: list[float] = Field(min_length=QUANTILES, max_length=QUANTILES)
    """The place of the feet; of those who are cut, of the head."""

    @model_validator(mode="after")
    def _ascends(self) -> Column:
        for name in ("height", "anchor"):
            if np.any(np.diff(getattr(self, name)) < 0):
                raise ValueError(f"the quantiles of {name} do not ascend")
        return self


class Table(Strict):
    """The framing of many people, in quantiles."""

    source: str
    """Whose people, from which file."""
    people: int = Field(gt=0)
    """How many were measured."""
    columns: list[Column] = Field(min_length=1)
    centre: list[float] = Field(min_length=QUANTILES, max_length=QUANTILES)

    def taller(self, least: float) -> Table:
        """The table of those people alone who are at least so many frame heights tall; raises `ValueError` if none is.

        Their places are taken to be those of their class.
        """
        columns = []
        for column in self.columns:
            if column.height[-1] > least:
                reached = _share(column.height, least)
                shares = reached + (1 - reached) * np.arange(QUANTILES) / (QUANTILES - 1)
                height = [max(least, _quantile(column.height, float(share))) for share in shares]
                update = {"weight": column.weight * (1 - reached), "height": height}
                columns.append(column.model_copy(update=update))
        if not columns:
            raise ValueError(f"nobody is {least} frame heights tall")
        return self.model_copy(update={"columns": columns})

    def draw(self, rng: np.random.Generator) -> Framing:
        """One person's framing. Four numbers are drawn, whatever comes of them."""
        return self.at(*(float(number) for number in rng.random(4)))

    def at(self, which: float, height: float, place: float, side: float) -> Framing:
        """The framing at four shares, each in [0, 1): of the classes, and of the quantiles within."""
        reached = 0.0
        total = sum(column.weight for column in self.columns)
        column = self.columns[-1]
        for column in self.columns:
            reached += column.weight / total
            if which < reached:
                break
        tall = min(max(_quantile(column.height, height), HEIGHTS[0]), HEIGHTS[1])
        anchor = _quantile(column.anchor, place)
        # Those who are cut do not show their feet, the others do.
        head = max(anchor, 1 + LEAST_CUT - tall) if column.cut else min(anchor, 1.0) - tall
        return Framing(tall, head, _quantile(self.centre, side))


def _quantile(column: Sequence[float], share: float) -> float:
    """Linear between the entries."""
    place = share * (len(column) - 1)
    below = min(int(place), len(column) - 2)
    return column[below] + (column[below + 1] - column[below]) * (place - below)


def _share(column: Sequence[float], value: float) -> float:
    """The share at which a column, whose last entry is larger, passes a value: the inverse of `_quantile`."""
    above = next(place for place, entry in enumerate(column) if entry > value)
    if above == 0:
        return 0.0
    low, high = column[above - 1], column[above]
    return (above - 1 + (value - low) / (high - low)) / (len(column) - 1)


def load(name: str) -> Table:
    """A table that is shipped, or a file of one; raises `UserError`."""
    shipped = {path.stem: path for path in _folder().glob("*.json")}
    path = shipped.get(name, Path(name))
    if name not in shipped and path.suffix != ".json":
        raise UserError(f"no framing {name!r}: {did_you_mean(name, shipped)}, or give a .json file")
    return _read(path)


@lru_cache(maxsize=8)
def _read(path: Path) -> Table:
    return read_model(Table, path, "framing table", remedy="make it with python -m synth.framing_survey")


def _folder() -> Path:
    return Path(str(files("synth"))) / "framings"


def table_of(people: Sequence[Framing], source: str) -> Table:
    """The table of people measured in photos: their quantiles, in classes of height of those cut and those whole.

    Raises `ValueError` when nobody was measured.
    """
    usable = sorted(
        (one for one in people if HEIGHTS[0] <= one.height <= HEIGHTS[1]), key=lambda one: one.height
    )
    if not usable:
        raise ValueError("nobody to make a framing table of")
    columns = []
    for cut in (False, True):
        group = [one for one in usable if one.cut is cut]
        for part in np.array_split(np.arange(len(group)), min(CLASSES, 1 + len(group) // CLASS)):
            members = [group[int(place)] for place in part]
            if members:
                columns.append(
                    Column(
                        weight=round(len(members) / len(usable), 4),
                        cut=cut,
                        height=_column([one.height for one in members]),
                        anchor=_column([one.head if cut else one.foot for one in members]),
                    )
                )
    centre = _column([one.centre for one in usable])
    return Table(source=source, people=len(usable), columns=columns, centre=centre)


def _column(values: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(values, np.arange(QUANTILES) / (QUANTILES - 1))]


# How near a set comes ---------------------------------------------------------------------------------------------

MEASURES = ("height", "head", "foot", "centre")
"""What distances are stated of."""
_GRID = 4096
"""Framings that stand for a table when distances to it are taken."""


class Framings:
    """Collects the framings asked for and achieved, and tells how far they are apart."""

    def __init__(self) -> None:
        self._asked, self._achieved = array("d"), array("d")

    def add(self, asked: Framing, achieved: Framing) -> None:
        """A person who was to be framed so, and how they are."""
        self._asked.extend(astuple(asked))
        self._achieved.extend(astuple(achieved))

    def report(self, table: Table) -> dict[str, Any]:
        """JSON values: for each of `MEASURES`, the median asked for and achieved, and two Wasserstein-1 distances.

        Distances have the measure's unit. The first is between those asked for and those achieved: what placing did.
        The second is between those achieved and the table: what the set is as a whole. None where nobody was added.
        """
        asked, achieved = (_by_measure(np.array(values)) for values in (self._asked, self._achieved))
        wanted = _by_measure(np.array([astuple(one) for one in _sample(table)]))
        people = len(achieved["height"])
        report: dict[str, Any] = {"people": people, "cut": None, "cut_table": _share_cut(wanted)}
        if people:
            report["cut"] = _share_cut(achieved)
        for name in MEASURES:
            report[name] = {
                "median_table": round(float(np.median(wanted[name])), 4),
                "median_asked": round(float(np.median(asked[name])), 4) if people else None,
                "median_achieved": round(float(np.median(achieved[name])), 4) if people else None,
                "wasserstein_asked_achieved": round(wasserstein(asked[name], achieved[name]), 4)
                if people
                else None,
                "wasserstein_table_achieved": round(wasserstein(wanted[name], achieved[name]), 4)
                if people
                else None,
            }
        return report


def _by_measure(values: np.ndarray) -> Mapping[str, np.ndarray]:
    """Of the fields of `Framing`, person after person: float64, N of each measure."""
    height, head, centre = values.reshape(-1, len(fields(Framing))).T
    return {"height": height, "head": head, "foot": head + height, "centre": centre}


def _share_cut(people: Mapping[str, np.ndarray]) -> float:
    return round(float(np.mean(people["foot"] > 1)), 4)


def _sample(table: Table) -> list[Framing]:
    """Framings spread evenly over a table: a lattice of four golden steps, so that no chance is in it."""
    steps = np.array([0.0, 0.8566748838545029, 0.733891856627126, 0.6287067210378087])
    shares = (np.arange(_GRID)[:, None] * steps + 0.5) % 1
    shares[:, 0] = (np.arange(_GRID) + 0.5) / _GRID
    return [table.at(*(float(share) for share in row)) for row in shares]


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Wasserstein-1 (earth mover's) distance between two samples, float64[N] and float64[M], neither empty.

    The area between their distribution functions: how far, on average, values move to turn one into the other.
    """
    if not len(one) or not len(other):
        raise ValueError("no distance to an empty sample")
    one, other = np.sort(one), np.sort(other)
    values = np.sort(np.concatenate([one, other]))
    below = [np.searchsorted(each, values[:-1], side="right") / len(each) for each in (one, other)]
    return float((np.abs(below[0] - below[1]) * np.diff(values)).sum())
