"""Recipes in YAML, shipped ones by name and a user's by file: read, and checked with the families they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from mildbench import strictyaml
from mildbench.errors import UserError, did_you_mean
from synth.blend import BLENDS
from synth.family import FAMILIES
from synth.recipe import Band, Recipe


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(
        item.name.removesuffix(".yaml") for item in _shipped().iterdir() if item.name.endswith(".yaml")
    )


def load(name_or_file: str) -> Recipe:
    """A shipped recipe by name, or one from a YAML file. Raises `UserError` with the first mistake found."""
    if name_or_file in names():
        text = (_shipped() / f"{name_or_file}.yaml").read_text(encoding="utf-8")
    elif name_or_file.lower().endswith((".yaml", ".yml")):
        try:
            text = Path(name_or_file).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"recipe {name_or_file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"recipe {name_or_file} is not a text file in UTF-8") from None
    else:
        raise UserError(
            f"unknown recipe {name_or_file!r}: {did_you_mean(name_or_file, names())}, or give a .yaml file"
        )
    try:
        content = strictyaml.parse(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"recipe {name_or_file} is not valid YAML: {_one_line(error)}") from None
    if not isinstance(content, dict):
        raise UserError(f"recipe {name_or_file} is empty or not a mapping of keys to values")
    return check(content, name_or_file)


def load_with(name_or_file: str, changes: Mapping[str, object]) -> Recipe:
    """`load`, with other values for some keys; None leaves a key as it is. Raises `UserError` as `load` does."""
    wanted = {key: value for key, value in changes.items() if value is not None}
    return check(load(name_or_file).model_dump() | wanted, name_or_file)


def check(content: dict[str, object], where: str) -> Recipe:
    """Validate a recipe; raises `UserError` for the first unknown key or bad value."""
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        # A misspelt key also leaves its right name missing; the misspelling is what to tell.
        first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            known = Band.model_fields if len(first["loc"]) > 1 else Recipe.model_fields
            suggestion = did_you_mean(str(first["loc"][-1]), known)
            raise UserError(f"recipe {where}: unknown key {key!r}: {suggestion}") from None
        if first["type"] == "missing":
            raise UserError(f"recipe {where}: {key}: is missing: {_meaning(key)}") from None
        raise UserError(
            f"recipe {where}: {key}: {_plain(first['type'], first['msg'])} (got {first['input']!r})"
        ) from None
    _check_weights(recipe, where)
    _check_families(recipe, where)
    for name in recipe.splits:
        if name == "annotations":
            raise UserError(
                f"recipe {where}: splits: a data set keeps {name}/ for itself: choose another name"
            )
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UserError(
                f"recipe {where}: splits: {name!r} names a folder: use letters, digits and _ only"
            )
    if recipe.train_jpeg is not None and not recipe.splits.get("train"):
        raise UserError(
            f"recipe {where}: train_jpeg: there is no split 'train', and other splits are always lossless: "
            "name one in splits, or leave train_jpeg out"
        )
    if not all(1 <= count <= 32 for count in recipe.crowd):
        raise UserError(f"recipe {where}: crowd: the number of people must lie in 1..32")
    return recipe


_WORDS = {
    "string_pattern_mismatch": "must be of letters, digits, '.', '_' and '-', and begin with a letter or digit",
    "tuple_type": "must be a list of two numbers",
    "too_short": "must not be empty",
}
"""pydantic's type of an error -> what to say, where its own message speaks of patterns and Python's types."""


def _plain(kind: str, message: str) -> str:
    """What is wrong with a value, without pydantic's words about itself."""
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return _WORDS.get(kind) or message.replace("Input should", "must").partition(", unable to")[0]


def _meaning(key: str) -> str:
    """What a key of a recipe is for."""
    known = Recipe.model_fields.get(key)
    return (known and known.description) or "give it a value"


def _one_line(error: Exception) -> str:
    """Where and what, as far as the parser says."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem is None or mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _check_weights(recipe: Recipe, where: str) -> None:
    bands = dict(enumerate(band.weight for band in recipe.visible_ratio))
    for name in recipe.blends:
        BLENDS.check(name)
    for key, weights in (
        ("families", recipe.families),
        ("splits", recipe.splits),
        ("crowd", recipe.crowd),
        ("mix", recipe.mix),
        ("blends", recipe.blends),
        ("visible_ratio", bands),
    ):
        if sum(weights.values()) <= 0:
            raise UserError(
                f"recipe {where}: {key}: all weights are zero: give at least one a positive weight"
            )


def _check_families(recipe: Recipe, where: str) -> None:
    families = {name: FAMILIES.load(name) for name in recipe.families}
    first, *others = families
    for other in others:
        if families[other].opens is not families[first].opens:
            raise UserError(
                f"recipe {where}: families: {first} and {other} are made of different things and cannot be mixed: "
                "leave one out"
            )
    for family in families.values():
        if problem := family.problem(recipe):
            raise UserError(f"recipe {where}: {problem}")


def _shipped() -> Path:
    # Path, not importlib's Traversable: the project is always installed as files.
    return Path(str(files("synth"))) / "recipes"
