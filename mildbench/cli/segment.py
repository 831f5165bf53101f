"""`mildbench segment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mildbench.cli.annotate import BatchSize, Device
from mildbench.cli.engines import EngineOrSerial, Workers


def segment(
    photos: Annotated[
        Path, typer.Argument(help="Folder of photos, searched to the bottom.", show_default=False)
    ],
    annotator: Annotated[
        str,
        typer.Option(
            "--with",
            help="NAME or NAME:OPTION=VALUE,... (mildbench ls annotators) that gives segments, e.g. "
            "transformers:segments=FOLDER.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make, as COCO panoptic is published.")],
    split: Annotated[str, typer.Option(help="Part of the file names in it.")] = "photos",
    licence: Annotated[str, typer.Option(help="Terms of the photos, for the cards.")] = "not stated",
    device: Device = "auto",
    batch_size: BatchSize = 4,
    workers: Workers = None,
    executor: EngineOrSerial = None,
) -> None:
    """Segment photos of your own, people, things and background, so that the recipe `olrd` can use them.

    Interrupted, the same command resumes. A photo that fails is recorded and the others go on.

    \b
    mildbench segment photos/ --with transformers --out data/segmented
    """
    from mildbench.annotators.base import AnnotatorSpec
    from mildbench.annotators.batches import Team
    from mildbench.annotators.segment import find_photos
    from mildbench.annotators.segment import segment as run
    from mildbench.annotators.store import AnnotatorRecord
    from mildbench.device import resolve_device
    from mildbench.errors import UserError
    from mildbench.executors import engine
    from mildbench.progress import tracking

    found = find_photos(photos, out)
    spec = AnnotatorSpec.parse(annotator)
    device = resolve_device(device)
    runs_it = engine(executor, workers, device)
    team = Team.create(segments=spec, device=device)
    with tracking("photos", len(found), show=True) as advance:
        info = run(
            found,
            out,
            split,
            spec,
            team,
            licence=licence,
            batch_size=batch_size,
            advance=advance,
            executor=runs_it,
        )
    failed = info["failed"]
    name, reason = next(iter(failed.items()), ("", ""))
    if len(failed) == len(found):
        target = out / "annotations" / f"panoptic_{split}.json"
        raise UserError(f"nothing could be segmented: {reason} ({name}); to try again, delete {target}")
    typer.echo(f"{out}: {len(found) - len(failed)} of {len(found)} photos segmented")
    typer.echo(f"segments: {AnnotatorRecord.model_validate(info['segments'])}")
    if failed:
        typer.echo(f"{len(failed)} failed, e.g. {name}: {reason}")
    typer.echo(f"mildbench build-dataset --recipe olrd --backgrounds 'coco:{out}?split={split}'")
