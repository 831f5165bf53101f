"""A run: one method with its options on one task of one data set. Its folder, its identity, its `run.json`.

    OUT/<data set fingerprint[:12]>/<task>/<method>@<config hash[:8]>/
      run.json            `RunRecord`
      predictions/        <sample id>.png, the raw outputs; a file's presence says that the sample is done
      layers/             <sample id>/<person index>.png, RGBA: who the method completed, on the canvas
      attention.parquet   where its self-attention went, see `mildbench.evaluation.attention`
      attention-parts/    the same, of the samples that have been predicted since
      attention.png       the gap over layers and time
      failures.json       sample id -> why there is no prediction
      parts/              rows of a scoring that was stopped, or of earlier ones with other metrics
      scores.parquet      one row a sample
      features/           what the set metrics compare, by network
      summary.json        aggregates, see `mildbench.evaluation.summary`
      browse/             pictures that `mildbench browse` derives
      .*.lock             see `Run.claimed`

Beside the runs lie `truth-features/` and `browse/`, which they share, and `comparison.json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

import mildbench
from mildbench.errors import UserError
from mildbench.evaluation.corruption import Corruption
from mildbench.evaluation.data import TripletSource
from mildbench.evaluation.environment import describe
from mildbench.evaluation.identity import identity_of
from mildbench.files import fingerprint, inside, locked, read_json, write_bytes, write_json
from mildbench.marking import FOOTPRINT
from mildbench.method import EraseMethod, MethodInfo, MethodSpec, Provenance

PREDICT_REVISION = 1
"""Goes up whenever mildbench itself changes what a method is shown (seeds, padding, ...): old predictions
stay, in folders of their own."""


class Strict(BaseModel):
    """Base of everything this package writes as JSON: no unknown keys, no silent conversion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Config(Strict):
    """All that decides what a prediction is; its hash names the run's folder.

    Left out on purpose: device, batch size and limit, which change no prediction, and the metrics.
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
    """Of the method, and of those that it runs, by name: see `identity.code_version`."""
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


@dataclass(frozen=True, eq=False)
class Run:
    """A run and where its files are."""

    folder: Path
    label: str
    """What tables call it: `titles`."""
    method: EraseMethod
    spec: MethodSpec
    config: Config

    @classmethod
    def of(
        cls,
        out: Path,
        dataset: TripletSource,
        task: str,
        split: str,
        spec: MethodSpec,
        *,
        seed: int,
        device: str,
        corruption: Corruption,
        mask: str = FOOTPRINT,
    ) -> Run:
        """The run of `spec`; creates the method but loads nothing and writes nothing.

        Raises `UserError` for an unknown method, option or weights name, and for pictures made elsewhere, whose
        inputs cannot be corrupted any more.
        """
        method = spec.create(device)
        config = Config(
            revision=PREDICT_REVISION,
            dataset=dataset.fingerprint,
            task=task,
            split=split,
            seed=seed,
            corruption=corruption.texts,
            mask=mask,
            **identity_of(spec, method)._asdict(),
        )
        copies = "names" in method.info.capabilities
        if corruption.texts and copies:
            raise UserError(
                f"method {spec.name!r} looks up pictures that were made elsewhere, so --corrupt cannot change what "
                "they were made from: leave one of the two out"
            )
        looked_up_in = config.options["directory"] if copies and "directory" in spec.options else None
        label, name = titles(spec, config, looked_up_in)
        folder = task_folder(out, dataset, task) / name
        return cls(folder, label, method, spec, config)

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    @property
    def attention(self) -> Path:
        return self.folder / "attention.parquet"

    @property
    def attention_parts(self) -> Path:
        return self.folder / "attention-parts"

    @property
    def attention_plot(self) -> Path:
        return self.folder / "attention.png"

    @property
    def scores(self) -> Path:
        return self.folder / "scores.parquet"

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    @property
    def features(self) -> Path:
        return self.folder / "features"

    @property
    def truth_features(self) -> Path:
        """Shared by all runs of the task."""
        return self.folder.parent / "truth-features"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def copies_files(self) -> bool:
        """True for a method that only looks images up, in a folder that may have changed since last time."""
        return "names" in self.method.info.capabilities

    def prediction(self, sample_id: str) -> Path:
        """Where the sample's output lies; raises `UserError` for an id that would leave the folder."""
        return inside(self.predictions, f"{sample_id}.png", "sample id")

    def layers(self, sample_id: str) -> Path:
        """The folder of the sample's completed layers; raises `UserError` like `prediction`."""
        return inside(self.folder / "layers", sample_id, "sample id")

    def attention_part(self, sample_id: str) -> Path:
        """Where the sample's attention record lies at first; raises `UserError` like `prediction`."""
        return inside(self.attention_parts, f"{sample_id}.parquet", "sample id")

    def read_failures(self) -> dict[str, str]:
        """Sample id -> why there is no prediction."""
        path = self.folder / "failures.json"
        return read_json(path, "list of failures") if path.exists() else {}

    def write_failures(self, failures: dict[str, str]) -> None:
        """Replace the list of failures."""
        write_json(self.folder / "failures.json", failures)

    @contextmanager
    def claimed(self, stage: str, waiting: Callable[[Run], None]) -> Iterator[None]:
        """Hold a stage of the run (`predict`, `score`) against other processes; `waiting` is told if one has it."""
        with locked(self.folder / f".{stage}.lock", waiting=lambda: waiting(self)):
            yield

    def read_record(self) -> RunRecord | None:
        """`run.json`, or None where nothing has run yet."""
        path = self.folder / "run.json"
        return read_model(RunRecord, path, "run description") if path.exists() else None

    def write_record(self, record: RunRecord) -> RunRecord:
        """Replace `run.json`, and return what is in it now: the record with all sessions noted so far."""
        with locked(self.folder / ".run.lock"):
            earlier = self.read_record()
            record = record.model_copy(update={"sessions": [] if earlier is None else earlier.sessions})
            write_model(self.folder / "run.json", record)
        return record

    def note_session(self, record: RunRecord, session: Session) -> RunRecord:
        """Put a session into `run.json`, in place of what was noted of it before; returns `record` with all of them."""
        with locked(self.folder / ".run.lock"):
            found = self.read_record() or record
            sessions = {other.id: other for other in found.sessions} | {session.id: session}
            record = record.model_copy(update={"sessions": list(sessions.values())})
            write_model(self.folder / "run.json", record)
        return record

    def new_record(
        self,
        dataset: TripletSource,
        *,
        limit: int | None,
        samples: int,
        metrics: dict[str, str],
        dilation: int,
    ) -> RunRecord:
        """The record of this invocation, without sessions."""
        root: Any = getattr(dataset, "root", None)  # data that was never a folder has none
        return RunRecord(
            mildbench=mildbench.__version__,
            label=self.label,
            dataset=DatasetRecord(
                name=dataset.name,
                fingerprint=dataset.fingerprint,
                path=None if root is None else str(Path(root).resolve()),
                annotations=getattr(dataset, "annotations", None),
                replace_truth=getattr(dataset, "replaces_truth", False),
            ),
            task=self.config.task,
            split=self.config.split,
            limit=limit,
            samples=samples,
            method=MethodRecord.of(self.spec, self.method.info),
            config=self.config,
            config_hash=self.config.hash,
            device=self.method.device,
            environment=describe(self.method.device),
            metrics=metrics,
            paste_dilation=dilation,
            sessions=[],
        )


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


def task_folder(out: Path, dataset: TripletSource, task: str) -> Path:
    """The folder of all runs of a task on a data set."""
    return out / dataset.fingerprint[:12] / task


Model = TypeVar("Model", bound=BaseModel)


def read_model(kind: type[Model], path: Path, what: str) -> Model:
    """Read a JSON file of this package; `UserError` when it is missing, broken or from another version."""
    content = read_json(path, what)
    if isinstance(content, dict) and "schema_version" in kind.model_fields:
        found, ours = content.get("schema_version"), kind.model_fields["schema_version"].default
        if found != ours:
            raise UserError(
                f"{what} {path} is of schema version {found}, this mildbench reads {ours}: make it anew, in another "
                "place or once this is moved away"
            )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what} {path}: {place}: {first['msg']}: perhaps of another mildbench version: delete it to "
            "have it made anew"
        ) from None


def write_model(path: Path, model: BaseModel) -> None:
    """Write atomically; the file ends with a newline."""
    write_bytes(path, (model.model_dump_json(indent=2) + "\n").encode())
