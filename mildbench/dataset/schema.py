"""What `dataset.json` and `samples.parquet` hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from mildbench.dataset.writers import Format
from mildbench.errors import UserError
from mildbench.records import Strict, read_model

INFO = "dataset.json"
SAMPLES = "samples.parquet"
CHECKSUMS = "checksums.txt"
CARD = "README.md"
CROISSANT = "croissant.json"


class SourceInfo(Strict):
    """One source that went into a data set."""

    role: Literal["people", "backgrounds", "pairs"]
    name: str
    licence: str
    items: int
    """Usable people, backgrounds or pairs found in it."""
    rejected: dict[str, int]
    """Broken items left out, by reason."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Sound items that the source's filters took, by reason: too small, cut by the border, a crowd."""
    fingerprint: str = ""
    """sha256 of what the source lists and of what its files hold: a source that has changed is another source."""


class DatasetInfo(Strict):
    """`dataset.json`."""

    schema_version: Literal[4] = 4
    name: str
    mildbench_version: str
    source: Literal["scenes", "pairs", "amodal"]
    """Scenes made of layers; pairs of pictures imported from elsewhere, in which people are unknown; or imported photos
    as scenes, whose people are known whole but for the colours of what is hidden (`mildbench.dataset.amodal`)."""
    description: str
    """One sentence for the data card."""
    format: Format
    seed: int | None
    """None for what was imported, like `size`."""
    size: int | None
    """Width and height of every scene, in pixels."""
    jpeg: dict[str, int] = Field(default_factory=dict)
    """Splits whose composites and backgrounds are stored as JPEG -> its quality. Layers and labels never are."""
    recipe: dict[str, Any]
    """Empty for what was imported."""
    sources: list[SourceInfo]
    samples: dict[str, int]
    """Samples by split."""
    people: dict[str, int]
    """People by split; empty for pairs."""
    report: dict[str, Any]
    """What the build found: rejections by reason, asked-for and achieved visible ratios. For what was
    imported, what the import found (`mildbench.dataset.pairs`)."""
    build: str = ""
    """Identity of the scenes: recipe, seed, version and the sources' fingerprints; empty for what was imported."""
    fingerprint: str
    """The data set's identity: sha256 over its contents, however they are stored (`mildbench.dataset.content`)."""
    checksums: str = ""
    """sha256 of `checksums.txt`, which lists the sha256 of every other file: whether a copy arrived whole."""

    def lossy(self) -> str:
        """A sentence on the splits that are stored as JPEG; empty when there is none."""
        if not self.jpeg:
            return ""
        splits = ", ".join(f"{split} (quality {quality})" for split, quality in self.jpeg.items())
        return (
            f"Composites and backgrounds are stored as JPEG in the split {splits}: there, background and layers "
            "recompose the composite as it was before it was compressed, not bit for bit."
        )


def annotation_file(split: str) -> str:
    """The COCO file of a split, relative to the data set's folder."""
    return f"annotations/person_keypoints_{split}.json"


def read_info(root: Path) -> DatasetInfo:
    """Read `dataset.json`; raises `UserError` when the folder is not a finished data set."""
    if not root.is_dir():
        raise UserError(f"data set not found: {root} (make one: mildbench build-dataset --out {root})")
    if not (root / INFO).is_file():
        raise UserError(
            f"{root} is not a finished data set: it has no {INFO} "
            "(an interrupted build is finished by running the same build-dataset command again)"
        )
    return read_model(
        DatasetInfo,
        root / INFO,
        "data set description",
        "restore it, or build or import the data set again",
        "build or import it again in another folder, or use the mildbench version that made it",
    )


_PROVENANCE = pa.struct(
    [(name, pa.string()) for name in ("source", "file", "sha256", "licence", "annotation")]
)

_PERSON = pa.struct(
    [
        ("id", pa.int16()),
        ("origin", pa.list_(pa.int32(), 2)),
        ("rgba", pa.string()),
        ("labels", pa.string()),
        ("shadow", pa.string()),
        ("reflection", pa.string()),
        ("keypoints", pa.list_(pa.float32(), 51)),
        ("visible_ratio", pa.float64()),
        ("in_frame_ratio", pa.float64()),
        ("asked_visible_ratio", pa.float64()),
        ("category", pa.string()),
        ("carried", pa.list_(pa.string())),
        ("provenance", _PROVENANCE),
    ]
)

SAMPLE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("family", pa.string()),
        ("difficulty", pa.float64()),
        ("ground", pa.string()),
        ("distance_percentile", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("people", pa.int16()),
        ("min_visible_ratio", pa.float64()),
        ("occlusion_depth", pa.int16()),
        ("mask_share", pa.float64()),
        ("composite", pa.string()),
        ("background", pa.string()),
        ("instances", pa.string()),
        ("parsing", pa.string()),
        ("mask", pa.string()),
        ("background_provenance", _PROVENANCE),
        ("persons", pa.list_(_PERSON)),
        ("plan", pa.string()),
        ("effect", pa.string()),
        ("name", pa.string()),
        ("group", pa.string()),
        ("content_sha256", pa.string()),
    ]
)
"""One row a sample, in order. `mildbench.dataset.storage` reads the files by the names given here.

In a pair, `composite` is the input, `background` the truth, `mask` what to erase and `effect`, where known, all that
changes with it, shadow and reflection too; `name` is what the sample was called where it comes from, `group` the camera
or place that it shares with others; all that takes knowing the people is null. In a scene these columns are null: its
mask follows from the layers.

`ground` is how it is known where people can stand in the background: exact (rendered), panoptic, annotator, estimate or
unknown. `distance_percentile` is null but in camouflage scenes: which share of people placed at random look at least as
much like what lies under them. `persons` lists the layers back to front; their keypoints are in layer pixels.
`asked_visible_ratio` is null where the recipe asked for none. `occlusion_depth` is the longest chain of people each
hiding the next. `plan` is JSON: what `synth` rendered the scene from. `content_sha256` is what
`mildbench.dataset.content` says of pixels, labels, row and annotations.
"""
