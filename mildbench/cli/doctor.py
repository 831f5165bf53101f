"""`mildbench doctor`."""

from __future__ import annotations


def doctor() -> None:
    """Say what is installed, which device there is, which weights are here, and what would not work and why."""
    import os
    import platform
    import sys
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    from rich.console import Console
    from rich.table import Table

    import mildbench
    from mildbench.extras import EXTRA_OF

    console = Console()
    console.print(
        f"mildbench {mildbench.__version__}, Python {platform.python_version()}, {sys.platform}, "
        f"{os.cpu_count()} cores"
    )
    table = Table("package", "version", "remedy", box=None, pad_edge=False)
    distribution = {
        "cleanfid": "clean-fid",
        "torch_fidelity": "torch-fidelity",
        "skimage": "scikit-image",
        "ai_edge_litert": "ai-edge-litert",
    }
    core = ("numpy", "opencv-python-headless", "pandas", "pyarrow", "pycocotools", "pydantic", "scipy")
    for name in core:
        table.add_row(name, version(name), "")
    for module, extra in EXTRA_OF.items():
        name = distribution.get(module, module)
        try:
            found = version(name) if find_spec(module) else None
        except PackageNotFoundError:
            found = None
        table.add_row(name, found or "missing", "" if found else f'pip install "mildbench[{extra}]"')
    console.print(table)
    _device(console)
    _weights(console)
    _plugins(console)


def _device(console) -> None:  # type: ignore[no-untyped-def]
    from importlib.util import find_spec

    if not find_spec("torch"):
        console.print("device: no torch: data sets can be built and validated, nothing can be scored")
        return
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        console.print(f"device: cuda ({torch.cuda.get_device_name(0)}, {memory:.0f} GiB)")
    else:
        console.print(
            f"device: cpu ({torch.get_num_threads()} threads); torch {torch.__version__} sees no GPU"
        )


def _weights(console) -> None:  # type: ignore[no-untyped-def]
    """One line a set of weights, in the words of `mildbench weights list`."""


def _plugins(console) -> None:  # type: ignore[no-untyped-def]
    from mildbench.errors import UserError
    from mildbench.executors import EXECUTORS
    from mildbench.method import METHODS
    from mildbench.metrics.base import METRICS
    from synth.sources.base import BACKGROUNDS, PEOPLE

    broken = []
    for registry in (METHODS, METRICS, PEOPLE, BACKGROUNDS, EXECUTORS):
        for name in registry.names():
            try:
                registry.load(name)
            except UserError as error:
                broken.append(str(error))
    for line in broken:
        console.print(f"would not work: {line}", markup=False)
    if not broken:
        console.print("every registered method, metric, source and executor loads")
