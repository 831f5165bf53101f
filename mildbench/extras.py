"""Optional dependencies: which extra brings which package, and how to say that one is missing."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from mildbench.errors import UserError

EXTRA_OF: dict[str, str] = {
    "torch": "torch",
    "torchvision": "torch",
    "lpips": "metrics",
    "torch_fidelity": "metrics",
    "skimage": "metrics",
    "matplotlib": "metrics",
    "jinja2": "metrics",
    "diffusers": "diffusion",
    "transformers": "diffusion",
    "accelerate": "diffusion",
    "huggingface_hub": "diffusion",
    "safetensors": "torch",
    "ai_edge_litert": "litert",
    "fiftyone": "browse",
    "ray": "ray",
    "submitit": "slurm",
    "patchmatch_cython": "classic",
    "upath": "s3",
    "s3fs": "s3",
}
"""Top-level module -> the extra of this distribution that installs it."""


def missing(module: str, needed_for: str) -> UserError:
    """The error for an optional package that is not installed."""
    extra = EXTRA_OF.get(module.partition(".")[0])
    remedy = f'pip install "mildbench[{extra}]"' if extra else f"pip install {module}"
    return UserError(f"{needed_for} needs the package {module!r}, which is not installed: {remedy}")


def require(module: str, needed_for: str) -> ModuleType:
    """Import an optional package, or raise a `UserError` that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error.name or module, needed_for) from error


def expect(*modules: str) -> None:
    """Raise what `import` would raise for the first top-level module that is not installed; imports nothing.

    For a module that imports packages only where it uses them, since that takes seconds: whoever imports it, a listing
    of what works here say, is told at once what is missing.
    """
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
