"""The weights that come with the project: small, trained by `mildbench train` (see `pretrained/README.md`)."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "pretrained"

BACKBONE = "tiny"
"""What the shipped backbone is called; its folder is `backbone`."""

STEPS = 1
"""Sampling steps of the shipped backbone. It has learnt what fits into a hole on average, which is what one step from
pure noise gives, and little of fine detail: every further step adds some that is wrong."""


def folder(name: str) -> Path:
    """The folder of one of the shipped models."""
    return FOLDER / name
