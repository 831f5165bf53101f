"""`mildbench doctor`."""

from __future__ import annotations

from collections.abc import Iterator

CORE = ("numpy", "opencv-python-headless", "pandas", "pyarrow", "pycocotools", "pydantic", "scipy")
DISTRIBUTION_OF = {
    "torch_fidelity": "torch-fidelity",
    "skimage": "scikit-image",
    "ai_edge_litert": "ai-edge-litert",
    "upath": "universal-pathlib",
}
"""Modules whose distribution has another name."""


def doctor() -> None:
    """Say what is installed, which device and weights are here, and what would not work and why."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for line in (*_machine(), _device()):
        console.print(line, highlight=False)
    table = Table("package", "version", "remedy", box=None, pad_edge=False)
    for row in _packages():
        table.add_row(*row)
    console.print(table)
    for line in (*_weights(), *_annotators(), *_plugins()):
        console.print(line, markup=False, highlight=False)


def _machine() -> Iterator[str]:
    import os
    import platform
    import sys

    import mildbench

    python = platform.python_version()
    yield f"mildbench {mildbench.__version__}, Python {python}, {sys.platform}, {os.cpu_count()} cores"


def _packages() -> Iterator[tuple[str, str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    from mildbench.extras import EXTRA_OF

    def found(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    for name in CORE:
        yield name, found(name) or "missing", "" if found(name) else "pip install mildbench"
    for module, extra in EXTRA_OF.items():
        name = DISTRIBUTION_OF.get(module, module)
        yield name, found(name) or "missing", "" if found(name) else f'pip install "mildbench\\[{extra}]"'


def _device() -> str:
    from importlib.util import find_spec

    if not find_spec("torch"):
        return "device: no torch: data sets can be built and validated, nothing can be scored"
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"device: cuda ({torch.cuda.get_device_name(0)}, {memory:.0f} GiB)"
    return f"device: cpu ({torch.get_num_threads()} threads); torch {torch.__version__} sees no GPU"


def _weights() -> Iterator[str]:
    from mildbench import weights

    for status in weights.overview():
        name = status.entry.name
        remedy = "" if status.state == "here" else f": mildbench weights fetch {name}"
        yield f"weights {name}: {status.problem or status.state}{remedy} ({status.entry.used_for})"


def _annotators() -> Iterator[str]:
    from mildbench.annotators import ANNOTATORS
    from mildbench.errors import UserError

    for name in ANNOTATORS.names():
        try:
            annotator = ANNOTATORS.load(name)
        except UserError as error:
            yield f"would not work: {error}"
            continue
        if lacking := annotator.lacking():
            yield f"annotator {name}: {lacking}"
            continue
        for part in sorted(annotator.info.parts):
            try:
                annotator().check(part)
                yield f"annotator {name}: {part}: ready"
            except UserError as error:
                yield f"would not work ({part}): {error}"


def _plugins() -> Iterator[str]:
    from mildbench.errors import UserError
    from mildbench.executors import EXECUTORS
    from mildbench.method import METHODS
    from mildbench.metrics.base import METRICS
    from synth.blend import BLENDS
    from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED

    for registry in (METHODS, METRICS, PEOPLE, BACKGROUNDS, SEGMENTED, BLENDS, EXECUTORS):
        for name in registry.names():
            try:
                registry.load(name)
            except UserError as error:
                yield f"would not work: {error}"
