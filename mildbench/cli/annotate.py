"""`mildbench annotate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mildbench.cli.engines import EngineOrSerial, Workers

if TYPE_CHECKING:
    from mildbench.annotators.store import Annotations
    from mildbench.dataset import Dataset

Pose = Annotated[
    str | None,
    typer.Option(help="NAME or NAME:OPTION=VALUE,... (mildbench ls annotators) that finds keypoints."),
]
Parsing = Annotated[str | None, typer.Option(help="The annotator that finds body parts and clothes.")]
People = Annotated[
    str | None, typer.Option(help="The annotator that finds people. [default: the data set's own masks]")
]
Segments = Annotated[
    str | None, typer.Option(help="The annotator that segments all of a picture, people and background.")
]
Name = Annotated[
    str | None, typer.Option(help="Name of the annotations. [default: from the annotators' names]")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
BatchSize = Annotated[
    int, typer.Option(help="Pictures at a time; on a CPU it never changes a result.", min=1)
]


def annotate(
    dataset: Annotated[
        str, typer.Argument(help="Folder of the data set, or its address.", show_default=False)
    ],
    pose: Pose = None,
    parsing: Parsing = None,
    people: People = None,
    segments: Segments = None,
    split: Annotated[list[str] | None, typer.Option(help="Repeatable. [default: all splits]")] = None,
    name: Name = None,
    device: Device = "auto",
    batch_size: BatchSize = 4,
    workers: Workers = None,
    executor: EngineOrSerial = None,
) -> None:
    """Find poses, parsing and panoptic segments in a data set's pictures; they are stored beside its truth, which
    stays as it is.

    Interrupted, the same command resumes. A picture that fails is recorded and the others go on.

    \b
    mildbench annotate data/mine --pose litert --parsing transformers
    """
    from mildbench.dataset import Dataset

    opened = Dataset.open(dataset)
    found = annotations_of(
        opened,
        pose,
        parsing,
        people,
        segments,
        splits=split,
        name=name,
        device=device,
        batch_size=batch_size,
        executor=executor,
        workers=workers,
    )
    for done in found:
        for line in describe(done):
            typer.echo(line)


def annotations_of(
    dataset: Dataset,
    pose: str | None,
    parsing: str | None,
    people: str | None,
    segments: str | None = None,
    *,
    splits: list[str] | None,
    name: str | None,
    device: str,
    batch_size: int,
    executor: str | None = None,
    workers: int | None = None,
) -> list[Annotations]:
    """The annotations of each split, made as far as they are not there. Raises `UserError`, also if all failed."""
    from mildbench.annotators.base import AnnotatorSpec
    from mildbench.annotators.batches import Team
    from mildbench.annotators.run import Job
    from mildbench.annotators.run import annotate as run
    from mildbench.annotators.store import Annotations, folder_of
    from mildbench.device import resolve_device
    from mildbench.errors import UserError
    from mildbench.executors import engine
    from mildbench.progress import tracking

    if not (pose or parsing or segments):
        raise UserError(
            "nothing to annotate: give --pose NAME, --parsing NAME or --segments NAME (mildbench ls annotators)"
        )
    for split in splits or []:
        dataset.check_split(split)
    specs = {
        part: None if text is None else AnnotatorSpec.parse(text)
        for part, text in (("people", people), ("pose", pose), ("parsing", parsing), ("segments", segments))
    }
    names = [spec.name for spec in specs.values() if spec is not None]
    called = name or "+".join(dict.fromkeys(names))
    device = resolve_device(device)
    runs_it = engine(executor, workers, device)
    team = Team.create(**specs, device=device)
    wanted = splits or list(dataset.info.samples)
    with tracking("pictures", sum(dataset.info.samples[split] for split in wanted), show=True) as advance:
        for split in wanted:
            job = Job(called, split=split, **specs)
            run(dataset, job, team, batch_size=batch_size, advance=advance, executor=runs_it)
    found = [
        Annotations.open(folder_of(dataset.root, called), split, dataset.fingerprint) for split in wanted
    ]
    for done in found:
        if done.record.failed == done.record.samples:
            sample, reason = next(iter(done.failures().items()))
            raise UserError(
                f"nothing could be annotated: {reason} ({sample}); to try again, delete {done.folder}"
            )
    return found


def describe(found: Annotations) -> list[str]:
    """What is there, and what failed."""
    record = found.record
    lines = [
        f"{found.folder}: {record.split}: {record.samples - record.failed} of {record.samples} pictures annotated"
    ]
    for what in ("people", "pose", "parsing", "segments"):
        source = getattr(record, what)
        if source is not None and not isinstance(source, str):
            lines.append(f"{what}: {source}")
    if record.failed:
        sample, reason = next(iter(found.failures().items()))
        lines.append(f"{record.failed} failed, e.g. {sample}: {reason}")
    return lines
