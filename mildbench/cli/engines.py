"""Options of every command that does long work."""

from __future__ import annotations

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option(
        help="Workers of the executor. [default: the machine's cores, or its GPUs with --device cuda]"
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--executor",
        help="What runs the work (mildbench ls executors); it never changes a result. On a CPU methods and metrics "
        "compute in one thread a worker, so that results do not depend on the cores: more workers use more of them.",
    ),
]
