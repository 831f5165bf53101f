"""What a person wears, in words, from the parsing of their visible pixels."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from baselines.people import HiddenPerson
from mildbench.labels import PARSING

PERSON = "a photo of a person"
LEAST = 0.01
"""Share of the person's visible pixels below which a part is not named."""

WORDS: dict[str, dict[str, str]] = {
    "hair": {"hair": "hair"},
    "upper clothes": {"upper-clothes": "top", "coat": "coat", "dress": "dress"},
    "lower clothes": {"pants": "pants", "skirt": "skirt"},
    "shoes": {"left-shoe": "shoes", "right-shoe": "shoes"},
}
"""Part -> parsing class -> the word for it."""

COLOURS: dict[str, tuple[str, ...]] = {
    "black": ("#000000", "#1c1c1c", "#2a2a2e"),
    "grey": ("#5a5a5a", "#808080", "#a8a8a8"),
    "white": ("#ffffff", "#e4e4e4"),
    "red": ("#ff0000", "#c82828", "#8b1a1a", "#a84a46"),
    "orange": ("#ff8000", "#e0782d"),
    "brown": ("#8b4513", "#5c3a21", "#7a5c44"),
    "beige": ("#e6d2aa", "#c8af8c"),
    "yellow": ("#ffff00", "#e1c832"),
    "green": ("#00ff00", "#28a03c", "#1e5a28", "#6e7d32"),
    "blue": ("#0000ff", "#283cc8", "#5aa0e6", "#3c5a82", "#1e2850", "#00c8dc"),
    "purple": ("#800080", "#7846b4", "#b478d2"),
    "pink": ("#ffb4c8", "#ff69b4", "#e63c8c", "#e08c80"),
}
"""The basic colour terms of English (Berlin & Kay, 1969) and beige, each by examples in sRGB."""

HAIR_COLOURS: dict[str, tuple[str, ...]] = {
    "black": ("#000000", "#1c1a1a", "#2a2a2e"),
    "brown": ("#3c281e", "#5c3a21", "#8b5a3c"),
    "blond": ("#c8aa6e", "#e6d2aa", "#a0824b", "#ffe650"),
    "red": ("#a03c1e", "#c8501e"),
    "grey": ("#6e6e6e", "#a8a8a8"),
    "white": ("#e4e4e4", "#ffffff"),
}


def describe(person: HiddenPerson) -> str:
    """A prompt that names what is seen of the person's hair and clothes; just a person without a parsing."""
    if person.parsing is None:
        return PERSON
    return prompt(
        attribute
        for part, words in WORDS.items()
        if (
            attribute := _attribute(person, part, {PARSING.index(name): word for name, word in words.items()})
        )
    )


def prompt(attributes: Iterable[str]) -> str:
    """A prompt from attributes such as `red coat`."""
    return ", ".join([PERSON, *attributes])


def _attribute(person: HiddenPerson, part: str, words: dict[int, str]) -> str | None:
    """Colour and word of a part, for example `red coat`; None where too little of it is seen."""
    assert person.parsing is not None
    areas = {label: np.count_nonzero(person.seen & (person.parsing == label)) for label in words}
    if sum(areas.values()) < LEAST * np.count_nonzero(person.seen):
        return None
    word = words[max(areas, key=lambda label: areas[label])]
    pixels = person.image[person.seen & np.isin(person.parsing, list(words))]
    return f"{dominant_colour(pixels, HAIR_COLOURS if part == 'hair' else COLOURS)} {word}"


def dominant_colour(pixels: np.ndarray, palette: dict[str, tuple[str, ...]]) -> str:
    """The name that most of the pixels uint8[N, 3] (RGB, at least one) bear.

    A pixel bears the name of the nearest example by CIE76, the Euclidean distance in CIELAB.
    """
    names = [name for name, examples in palette.items() for _ in examples]
    examples = [bytes.fromhex(example[1:]) for group in palette.values() for example in group]
    known = _lab(np.array([list(example) for example in examples], np.uint8))
    # Of |p - k|^2 what depends on k: no array of pixels times examples times three.
    nearest = ((known**2).sum(axis=1) - 2 * _lab(pixels) @ known.T).argmin(axis=1)
    votes = dict.fromkeys(palette, 0)
    for place, count in zip(*np.unique(nearest, return_counts=True), strict=True):
        votes[names[place]] += int(count)
    return max(votes, key=lambda name: votes[name])


def _lab(pixels: np.ndarray) -> np.ndarray:
    """uint8[N, 3] sRGB -> float32[N, 3] CIELAB."""
    return cv2.cvtColor(pixels[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
