"""A plan: a scene in words. Small JSON from which, with the sources at hand, the same pixels follow each time."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from synth.framing import Framing
from synth.harmonise import Harmony
from synth.light import Cast
from synth.material import Rejections


@dataclass(frozen=True)
class Treatment:
    """What is done to a person's pixels so that they belong into the picture. Recorded per person."""

    shadow: float = 0.0
    """Opacity of the contact shadow, 0 for none."""
    cast: Cast | None = None
    """The shadow that the sun casts."""
    reflection: float = 0.0
    """How strongly the ground mirrors the person, 0 for not at all to 1 for as much as its sheen says."""
    light: float = 0.0
    """How far the colours go to the light at the feet, 0..1."""
    blend: str = "alpha"
    harmony: Harmony = field(default_factory=Harmony)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Treatment:
        cast = None if value["cast"] is None else Cast(**value["cast"])
        return cls(**{**value, "cast": cast, "harmony": Harmony(**value["harmony"])})


@dataclass(frozen=True)
class PlannedPerson:
    """One layer of a plan."""

    id: int
    source: int
    """Index into the recipe's people sources (for olrd: of the background's source)."""
    key: str
    scale: float
    mirrored: bool
    origin: tuple[int, int]
    """Of the figure before a cast shadow asks for a larger layer."""
    finish: Treatment = field(default_factory=Treatment)


@dataclass(frozen=True)
class Plan:
    """A scene in words."""

    index: int
    split: str
    family: str
    difficulty: float
    """How hard the scene is in its family's own measure, in 0..1 (see `synth.families`)."""
    background: dict[str, Any]
    """`source` (index into the recipe's background sources), `key`, `view` (which crop)."""
    ground: str
    """How the background's ground is known (`synth.material.Known`)."""
    people: list[PlannedPerson]
    """Back to front."""
    asked: dict[int, float] = field(default_factory=dict)
    """Person id -> visible ratio that the recipe asked for."""
    distance_percentile: float | None = None
    """In a camouflage scene, which share of people placed at random look at least as much like what lies under them."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        people = [
            PlannedPerson(
                **{
                    **person,
                    "origin": tuple(person["origin"]),
                    "finish": Treatment.from_json(person["finish"]),
                }
            )
            for person in value["people"]
        ]
        asked = {int(person): ratio for person, ratio in value["asked"].items()}
        return cls(**{**value, "people": people, "asked": asked})


@dataclass
class Notes:
    """What happened while planning: broken inputs and wishes that could not be met, counted."""

    rejections: Rejections = field(default_factory=Rejections)
    unmet: Counter[str] = field(default_factory=Counter)
    framings: list[tuple[Framing, Framing]] = field(default_factory=list)
    """How each person was to be framed, and how they are."""


class Unsuitable(Exception):
    """This item does not fit this scene; nothing is wrong with it."""


class CoversTooLittle(Unsuitable):
    """Somebody who was read in vain: they cannot hide as much as was asked."""


class AllRejected(Exception):
    """Nothing of a pool can be used; the shard reports why."""

    def __init__(self, message: str, rejections: Rejections) -> None:
        super().__init__(message, rejections)
        self.rejections = rejections

    def __str__(self) -> str:
        if not self.rejections.counts:
            return (
                f"{self.args[0]}: nothing is wrong with them, but none fits: "
                "lower the recipe's size or stature, raise max_upscale, or add sources"
            )
        reason, count = self.rejections.counts.most_common(1)[0]
        return f"{self.args[0]}; most often: {reason} ({count}x, e.g. {self.rejections.examples[reason]})"
