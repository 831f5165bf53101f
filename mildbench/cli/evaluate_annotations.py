"""`mildbench evaluate-annotations`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mildbench.cli.annotate import BatchSize, Device, Name, Parsing, People, Pose
from mildbench.cli.terminal import Wide, console

if TYPE_CHECKING:
    from rich.table import Table

    from mildbench.annotators.quality import Quality


def evaluate_annotations(
    dataset: Annotated[
        str, typer.Argument(help="Folder of the data set, or its address.", show_default=False)
    ],
    pose: Pose = None,
    parsing: Parsing = None,
    people: People = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    name: Name = None,
    device: Device = "auto",
    batch_size: BatchSize = 4,
    wide: Wide = False,
) -> None:
    """Measure annotators against a data set's exact truth, by how much of a person is seen.

    What is not annotated yet is annotated first. The numbers are stored beside the annotations.

    \b
    mildbench evaluate-annotations data/demo --pose litert
    """
    from mildbench.annotators.quality import measure, require_truth
    from mildbench.cli.annotate import annotations_of, describe
    from mildbench.dataset import Dataset
    from mildbench.progress import tracking
    from mildbench.records import write_model

    opened = Dataset.open(dataset)
    require_truth(opened)
    (found,) = annotations_of(
        opened, pose, parsing, people, splits=[split], name=name, device=device, batch_size=batch_size
    )
    with tracking("compared", opened.info.samples[split], show=True) as advance:
        quality = measure(opened, found, advance)
    target = found.folder / f"quality_{split}.json"
    write_model(target, quality)
    screen = console(wide=wide)
    screen.print(_table(quality, wide=wide))
    for line in (*describe(found), f"{target}"):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


_ALL = ("oks_ap", "oks_ap50", "oks", "pck", "pck_seen", "pck_hidden", "miou", "region_miou")
_FEW = ("oks_ap", "oks", "pck", "pck_hidden", "miou")


def _table(quality: Quality, *, wide: bool) -> Table:
    from rich.table import Table

    columns = _ALL if wide else _FEW
    titles = ("visible ratio", "people", "found", *(column.replace("_", "-") for column in columns))
    table = Table(*titles, box=None, pad_edge=False)
    for title, scores in [*quality.by_visible_ratio.items(), ("all", quality.overall)]:
        values = [getattr(scores, column) for column in ("found", *columns)]
        if any(value is not None for value in values):
            shown = ("-" if value is None else f"{value:.3f}" for value in values)
            table.add_row(title, str(scores.people), *shown)
    return table
