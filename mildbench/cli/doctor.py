"""`mildbench doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mildbench.registry import Registry

CORE = ("numpy", "opencv-python-headless", "pandas", "pyarrow", "pycocotools", "pydantic", "scipy")
DISTRIBUTION_OF = {
    "torch_fidelity": "torch-fidelity",
    "skimage": "scikit-image",
    "ai_edge_litert": "ai-edge-litert",
    "upath": "universal-pathlib",
}
"""Modules whose distribution has another name."""


@dataclass(frozen=True)
class Finding:
    """Something that works here, or does not."""

    kind: str
    """What it is: a package, weights, a method ..."""
    name: str
    lacks: str = ""
    """What is missing or wrong, and the remedy; empty: it works."""


def doctor() -> None:
    """Say what works here, then what is missing, and how to get it: packages, device, weights, plug-ins.

    \b
    mildbench doctor
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for line in (*_machine(), _device()):
        console.print(line, highlight=False)
    found = [*_packages(), *_weights(), *_annotators(), *_plugins()]
    works: dict[str, list[str]] = {}
    missing = Table("missing", "what to do", box=None, pad_edge=False)
    for one in found:
        if one.lacks:
            missing.add_row(Text(f"{one.kind} {one.name}"), Text(one.lacks, overflow="fold"))
        else:
            works.setdefault(one.kind, []).append(one.name)
    working = Table("works", "", box=None, pad_edge=False)
    for kind, names in works.items():
        working.add_row(kind, Text(", ".join(names)))
    console.print()
    console.print(working)
    if missing.row_count:
        console.print()
        console.print(missing)


def _machine() -> Iterator[str]:
    import os
    import platform
    import sys

    import mildbench

    python = platform.python_version()
    yield f"mildbench {mildbench.__version__}, Python {python}, {sys.platform}, {os.cpu_count()} cores"


def _device() -> str:
    from importlib.util import find_spec

    if not find_spec("torch"):
        return "device: no torch: data sets can be built and validated, nothing can be scored"
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"device: cuda ({torch.cuda.get_device_name(0)}, {memory:.0f} GiB)"
    return f"device: cpu; torch {torch.__version__} sees no GPU"


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    from mildbench.extras import EXTRA_OF

    remedies = dict.fromkeys(CORE, "pip install mildbench")
    for module, extra in EXTRA_OF.items():
        remedies[DISTRIBUTION_OF.get(module, module)] = f'pip install "mildbench[{extra}]"'
    for name, remedy in remedies.items():
        try:
            yield Finding("package", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("package", name, remedy)


def _weights() -> Iterator[Finding]:
    from mildbench import weights

    for status in weights.overview():
        name = status.entry.name
        wrong = f"{status.problem}: " if status.problem else ""
        lacks = f"{wrong}mildbench weights fetch {name} ({status.entry.used_for})"
        yield Finding("weights", name, "" if status.state == "here" else lacks)


def _annotators() -> Iterator[Finding]:
    from mildbench.annotators import ANNOTATORS
    from mildbench.errors import UserError

    for name in ANNOTATORS.names():
        try:
            annotator = ANNOTATORS.load(name)
        except UserError as error:
            yield Finding("annotator", name, str(error))
            continue
        if lacking := annotator.lacking():
            yield Finding("annotator", name, lacking)
            continue
        for part in sorted(annotator.info.parts):
            try:
                annotator().check(part)
                yield Finding("annotator", f"{name} ({part})")
            except UserError as error:
                yield Finding(
                    "annotator", f"{name} ({part})", str(error).removeprefix(f"annotator {name!r}: ")
                )


def _plugins() -> Iterator[Finding]:
    from mildbench.executors import EXECUTORS
    from mildbench.method import METHODS
    from mildbench.metrics.base import METRICS
    from mildbench.tasks import TASKS
    from mildbench.training.trainer import TRAINERS
    from synth.blend import BLENDS
    from synth.family import FAMILIES
    from synth.sources.base import BACKGROUNDS, PEOPLE, SEGMENTED

    yield from _loaded("method", METHODS, lambda method: method().info.weights)
    yield from _loaded("metric", METRICS, lambda metric: metric.info.weights)
    kinds: dict[str, Registry[Any]] = {
        "people": PEOPLE,
        "backgrounds": BACKGROUNDS,
        "segmented pictures": SEGMENTED,
        "family": FAMILIES,
        "blend": BLENDS,
        "task": TASKS,
        "trainer": TRAINERS,
        "executor": EXECUTORS,
    }
    for kind, registry in kinds.items():
        yield from _loaded(kind, registry)


def _loaded(
    kind: str, registry: Registry[Any], needs: Callable[[Any], tuple[str, ...]] = lambda plugin: ()
) -> Iterator[Finding]:
    """Plug-ins of one kind; `needs` gives the names of weights without which one does nothing."""
    from mildbench import weights
    from mildbench.errors import UserError

    known = {status.entry.name: status for status in weights.overview()}
    for name in registry.names():
        try:
            absent = [known[one].entry for one in needs(registry.load(name)) if known[one].state != "here"]
            words = [one.name + (f" (or take {one.instead})" if one.instead else "") for one in absent]
            yield Finding(kind, name, f"needs weights: {', '.join(words)}" if absent else "")
        except (UserError, AttributeError, TypeError) as error:  # a plug-in's class may be anything
            yield Finding(kind, name, str(error).removeprefix(f"{kind} {name!r} "))
