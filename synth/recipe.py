"""A recipe says what scenes to make. YAML, every key documented here, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


Mix = Literal["anyone", "children", "far", "group"]


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
    depth: str | None = Field(
        default=None,
        description="annotator whose metric depth of the ground tells the camera of backgrounds, where few objects "
        "do; null: none is asked",
    )
    count: int = Field(default=500, gt=0, description="number of scenes")
    size: int = Field(default=512, ge=64, le=4096, description="width and height of a scene, in pixels")
    splits: Annotated[dict[str, Weight], AfterValidator(_sorted)] = Field(
        default={"test": 1}, min_length=1, description="split -> share of the scenes"
    )
    crowd: Annotated[dict[int, Weight], AfterValidator(_sorted)] = Field(
        default={2: 1}, min_length=1, description="people in a scene -> weight"
    )
    mix: Annotated[dict[Mix, Weight], AfterValidator(_sorted)] = Field(
        default={"anyone": 1},
        min_length=1,
        description="who is in a scene -> weight: anyone; children (one at least); group (all close together); "
        "far (nobody taller than a quarter of the frame, where the ground reaches so far)",
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
        description="horizon row as a share of the height, where neither objects nor depth tell it: of those that the "
        "ground's end allows, the middle is taken; without ground it is drawn",
    )
    camera_height: PositiveRange = Field(
        default=(1.2, 2.0),
        description="camera height in metres, where neither objects nor depth tell it: the middle; without ground "
        "it is drawn",
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
    reflection: UnitRange = Field(
        default=(0, 0),
        description="how strongly glossy ground mirrors people, in 0..1 of what it mirrors; [0, 0] for not at all",
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
