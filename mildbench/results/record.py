"""`run.json`: a run's identity, and how it was made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from mildbench.files import fingerprint
from mildbench.marking import FOOTPRINT
from mildbench.method import MethodInfo, MethodSpec, Provenance
from mildbench.records import Strict


class Config(Strict):
    """All that decides what a prediction is; its hash names the run's folder.

    Left out on purpose: device, batch size and limit, which change no prediction on a CPU (on a GPU, last bits of a
    network's), and the metrics.
    """

    revision: int
    """`PREDICT_REVISION`."""
    dataset: str
    """The data set's full fingerprint; with annotations that guide methods, of both."""
    task: str
    split: str
    seed: int
    method: str
    versions: dict[str, str]
    """Of the method, and of those that it runs, by name: see `mildbench.evaluation.identity.code_version`."""
    options: dict[str, str]
    """Every option of the method as text, defaults included, but for those that `dtype` and `files` tell."""
    dtype: str | None
    """What the method computed in; None where it has no choice."""
    weights: dict[str, str]
    """Name in the manifest -> `weights.digest`."""
    files: dict[str, str]
    """`EraseMethod.files` -> `mildbench.identity.content_sha256`: a user's own checkpoints, and what is shipped."""
    corruption: tuple[str, ...] = ()
    """What was done to the inputs, as `Corruption.texts`."""
    mask: str = FOOTPRINT
    """What the method was shown of what is to be erased, one of `mildbench.marking.MARKINGS`."""

    @model_serializer(mode="wrap")
    def _as_before_masks(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The footprint goes without saying: identities from before there was a choice hold."""
        fields: dict[str, Any] = handler(self)
        if self.mask == FOOTPRINT:
            fields.pop("mask", None)
        return fields

    @property
    def inputs(self) -> str:
        """What was unusual about the inputs, to be added to a title; empty where nothing was."""
        mask = "" if self.mask == FOOTPRINT else f", mask shown: {self.mask}"
        corrupted = f", inputs corrupted: {' '.join(self.corruption)}" if self.corruption else ""
        return mask + corrupted

    @property
    def hash(self) -> str:
        """64 hex digits; a field at its default counts as one that was not there yet."""
        return fingerprint(self.model_dump(exclude_defaults=True))


class MethodRecord(Strict):
    """What the method said of itself."""

    name: str
    options: dict[str, str]
    """As given; what they came to is in `Config`."""
    provenance: Provenance
    summary: str
    paper: str | None
    licence: str | None
    capabilities: list[str]
    untrained: str | None
    """What of it had random weights: its numbers mean nothing."""

    @classmethod
    def of(cls, spec: MethodSpec, info: MethodInfo) -> MethodRecord:
        """The record of a method that was created with these options."""
        return cls(
            name=spec.name,
            options={key: str(value) for key, value in spec.options.items()},
            provenance=info.provenance,
            summary=info.summary,
            paper=info.paper,
            licence=info.licence,
            capabilities=sorted(info.capabilities),
            untrained=info.untrained,
        )


class Session(Strict):
    """One time that the method was run; a resumed run has several, perhaps on several machines."""

    id: str
    """Drawn at random."""
    ended: bool
    """False while it lasts, and for good if it was killed: the numbers are then the last that it noted."""
    mildbench: str
    device: str
    batch_size: int
    images: int
    """Predictions made."""
    failures: int
    timed_images: int
    seconds: float
    """Spent in the method for `timed_images`, without reading and writing files; the first batch, which pays
    for warming up, counts only when it is the only one."""
    peak_memory_bytes: int | None
    """On the GPU; None on a CPU."""
    environment: dict[str, str]


class DatasetRecord(Strict):
    """Which data set."""

    name: str
    fingerprint: str
    path: str | None
    """Where it lay; a hint for `mildbench browse`."""
    annotations: str | None = None
    """Name of the annotations that guided the method."""
    replace_truth: bool = False
    """Whether they did also where the truth is known."""


class RunRecord(Strict):
    """`run.json`: everything needed to repeat the run."""

    schema_version: Literal[2] = 2
    mildbench: str
    label: str
    dataset: DatasetRecord
    task: str
    split: str
    limit: int | None
    samples: int
    """In the split, or the limit if that is less."""
    method: MethodRecord
    config: Config
    config_hash: str
    device: str
    environment: dict[str, str]
    """Of the latest invocation, which scored; each of `sessions` has its own."""
    metrics: dict[str, str]
    """Name -> id of the metrics asked for."""
    paste_dilation: int
    sessions: list[Session]


def titles(spec: MethodSpec, config: Config, directory: str | None) -> tuple[str, str]:
    """What tables call a run, and the name of its folder.

    Args:
        spec: the method as given.
        config: what its predictions are.
        directory: where a method that only looks images up finds them; None for every other method.
    """
    if directory is not None:
        label = stem = Path(directory).name
    else:
        label, stem = spec.text, spec.name
    if config.mask != FOOTPRINT:
        label = f"{label} (mask {config.mask})"
    if config.corruption:
        label = f"{label} (corrupt {' '.join(config.corruption)})"
    return label, f"{re.sub(r'[^A-Za-z0-9._-]+', '-', stem)}@{config.hash[:8]}"
