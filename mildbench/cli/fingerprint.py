"""`mildbench fingerprint`."""

from __future__ import annotations

from typing import Annotated

import typer


def fingerprint(
    dataset: Annotated[str, typer.Argument(help="Folder of the data set, or its address.")],
) -> None:
    """Compute a data set's fingerprint anew from its pixels, labels, rows and annotations, and print it.

    It says what a data set holds, not how: a copy whose pictures were compressed anew, or lie in tar files, has the
    same one.

    \b
    mildbench fingerprint data/demo
    """
    from mildbench.dataset import Dataset
    from mildbench.dataset.content import Fingerprint, contents
    from mildbench.progress import tracking

    opened = Dataset.open(dataset)
    found = Fingerprint()
    with tracking("samples", sum(opened.info.samples.values()), show=True) as advance:
        for _, content_sha256 in contents(opened):
            found.add(content_sha256)
            advance(1)
    typer.echo(found.hexdigest())
    if found.hexdigest() != opened.fingerprint:
        typer.echo(
            f"dataset.json has {opened.fingerprint}: mildbench validate says what has changed", err=True
        )
