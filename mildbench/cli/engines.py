"""Options of every command that does long work."""

from __future__ import annotations

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option(
        help="Workers of the executor. [default: the machine's cores, or its GPUs with --device cuda; 1 for serial]"
    ),
]
_RUNS = (
    "What runs the work (mildbench ls executors); on a CPU it never changes a result. Methods and metrics compute in "
    "one thread a worker there, so that results do not depend on the cores: more workers use more of them."
)
Engine = Annotated[str, typer.Option("--executor", help=_RUNS)]
EngineOrSerial = Annotated[
    str | None,
    typer.Option(
        "--executor", help=f"{_RUNS} [default: serial, or process with --workers above 1]", show_default=False
    ),
]
