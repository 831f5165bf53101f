"""`mildbench export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    to: Annotated[str, typer.Option(help="webdataset, huggingface or coco.")],
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist, or be empty.")],
) -> None:
    """Write a data set in a format that other tools read; pictures keep every bit, checked beforehand.

    webdataset: tar files, and still a mildbench data set. huggingface: Parquet files and a card, for
    datasets.load_dataset. coco: pictures with person_keypoints and instances annotations.
    """
    from rich.console import Console

    from mildbench.dataset import Dataset
    from mildbench.dataset.export import exporter
    from mildbench.dataset.validate import check_files, checksums
    from mildbench.errors import UserError
    from mildbench.progress import tracking

    run = exporter(to)
    opened = Dataset.open(dataset)
    with tracking("files checked", 1 + sum(1 for _ in checksums(dataset)), show=True) as advance:
        for problems in check_files(opened):
            if problems:
                raise UserError(
                    f"data set {dataset}: {problems[0]}: nothing is exported from a damaged data set; rebuild or "
                    "restore it (mildbench validate lists everything)"
                )
            advance(1)
    samples = sum(opened.info.samples.values())
    with tracking("samples", samples, show=True) as advance:
        run(opened, out, advance)
    Console().print(f"{out}: {samples} samples as {to}", markup=False, highlight=False, soft_wrap=True)
