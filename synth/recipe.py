"""A recipe says what scenes to make. YAML, every key documented here, unknown keys refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mildbench.errors import UserError, did_you_mean
from synth.blend import BLENDS
from synth.family import FAMILIES


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]} is above the upper bound {bounds[1]}")
    return bounds


K = TypeVar("K", bound=int | str)


def _sorted(weights: dict[K, float]) -> dict[K, float]:
    # The order in which a file lists splits or crowd sizes must not change what is drawn.
    return dict(sorted(weights.items()))


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=10)]
Zoom = Annotated[float, Field(ge=1, le=100)]
UnitRange = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
ZoomRange = Annotated[tuple[Zoom, Zoom], AfterValidator(_ordered)]
"""Lower and upper bound of a uniform draw."""
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Band(BaseModel):
    """A range of visible ratios and how often it is asked for."""

    model_config = ConfigDict(extra="forbid")
    range: Annotated[UnitRange, Field(description="visible ratio, from and to, in 0..1")]
    weight: Weight


class Recipe(BaseModel):
    """What scenes to make. Only `name`, `description` and `backgrounds` have no default."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(@[0-9]+)?$",
        description="name of the data set, and of its folder; with @VERSION it is for good (synth/published.json)",
    )
    description: str = Field(description="one sentence for the data card")
    families: Annotated[dict[str, Weight], AfterValidator(_sorted)] = Field(
        default={"occlusion": 1},
        min_length=1,
        description="scenario family -> weight (mildbench ls families)",
    )
    people: list[str] = Field(
        default=[], description="people sources, SCHEME:PATH?OPTION=VALUE; none for olrd"
    )
    backgrounds: list[str] = Field(
        min_length=1, description="background sources; pictures with panoptic segments for olrd"
    )
    check_people: str | None = Field(
        default=None,
        description="annotator that refuses backgrounds in which it finds a person; null: none is asked",
    )
    count: int = Field(default=500, gt=0, description="number of scenes")
    size: int = Field(default=512, ge=64, le=4096, description="width and height of a scene, in pixels")
    splits: Annotated[dict[str, Weight], AfterValidator(_sorted)] = Field(
        default={"test": 1}, min_length=1, description="split -> share of the scenes"
    )
    crowd: Annotated[dict[int, Weight], AfterValidator(_sorted)] = Field(
        default={2: 1}, min_length=1, description="people in a scene -> weight"
    )
    occlude: Share = Field(default=0.9, description="how often a further person is placed to hide somebody")
    visible_ratio: list[Band] = Field(
        default=[Band(range=(0.25, 0.95), weight=1)],
        min_length=1,
        description="visible ratios to ask for, of the person who gets hidden",
    )
    min_visible_ratio: Share = Field(
        default=0.15, description="nobody ends up less visible, but those of whom less was asked for"
    )
    tolerance: Share = Field(default=0.05, description="largest accepted |achieved - asked| visible ratio")
    framing: str = Field(
        default="coco",
        description="table of how tall people are in the frame and where: a shipped one, or a .json file "
        "(python -m synth.framing_survey)",
    )
    stature: PositiveRange = Field(
        default=(0.1, 1.5),
        description="least and largest height of a person drawn from it, in heights of the scene",
    )
    max_upscale: float = Field(
        default=1.5, gt=0, allow_inf_nan=False, description="largest enlargement of a cut-out"
    )
    allow_ungrounded: bool = Field(
        default=False,
        description="use backgrounds whose ground is unknown too, for people whom the frame's lower edge cuts; "
        "false: they are left out",
    )
    horizon: UnitRange = Field(
        default=(0.25, 0.55),
        description="horizon row as a share of the height, where neither objects nor the ground's upper edge tell it",
    )
    camera_height: PositiveRange = Field(
        default=(1.2, 2.0), description="camera height in metres, where no object tells it"
    )
    background_views: int = Field(default=3, gt=0, description="different crops taken of one background")
    background_zoom: ZoomRange = Field(
        default=(1.0, 1.25), description="enlargement of a crop over the largest square"
    )
    shadow: UnitRange = Field(
        default=(0.35, 0.6), description="opacity of the contact shadow; [0, 0] for none"
    )
    cast_shadow: UnitRange = Field(
        default=(0.15, 0.4),
        description="opacity of the shadow that the sun casts out of doors, where the source knows none; "
        "[0, 0] for none at all",
    )
    light: UnitRange = Field(
        default=(0.6, 0.9),
        description="how far exposure, white balance and contrast go to those at the feet, in 0..1",
    )
    blends: Annotated[dict[str, Weight], AfterValidator(_sorted)] = Field(
        default={"alpha": 1}, min_length=1, description="blend -> weight (mildbench ls blends)"
    )
    colour_match: UnitRange = Field(
        default=(0, 0), description="strength of the Lab colour transfer toward the surroundings, in 0..1"
    )
    match_blur: bool = Field(default=False, description="soften a person that is sharper than the background")
    match_noise: bool = Field(default=False, description="give a person the background's noise")
    jpeg: Share = Field(default=0, description="how often a person goes through a JPEG of quality 60..95")
    train_jpeg: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="JPEG quality of composites and backgrounds of the split train; null: lossless, like the rest",
    )
    max_rejected_share: Share = Field(
        default=0.2, description="more broken inputs than this share fail the build"
    )

    def jpeg_quality(self, split: str) -> int | None:
        """JPEG quality at which a split is stored, None for lossless."""
        return self.train_jpeg if split == "train" else None


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(
        item.name.removesuffix(".yaml") for item in _shipped().iterdir() if item.name.endswith(".yaml")
    )


def load(name_or_file: str) -> Recipe:
    """A shipped recipe by name, or one from a YAML file. Raises `UserError` with the first mistake found."""
    if name_or_file in names():
        text = (_shipped() / f"{name_or_file}.yaml").read_text()
    elif name_or_file.endswith((".yaml", ".yml")):
        try:
            text = Path(name_or_file).read_text()
        except OSError as error:
            raise UserError(f"recipe {name_or_file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"recipe {name_or_file} is not a text file in UTF-8") from None
    else:
        raise UserError(
            f"unknown recipe {name_or_file!r}: {did_you_mean(name_or_file, names())}, or give a .yaml file"
        )
    try:
        content = yaml.safe_load(text)
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
