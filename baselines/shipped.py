"""The weights that come with the project: small, trained by `mildbench train` (see `pretrained/README.md`)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "pretrained"

BACKBONE = "tiny"
"""What the shipped backbone is called; its folder is `backbone`."""


def files(*names: str) -> dict[str, Path]:
    """The folders of these models, as `EraseMethod.files` has them."""
    return {f"shipped {name}": folder(name) for name in names}


def folder(name: str) -> Path:
    """The folder of one of the shipped models."""
    return FOLDER / name
