"""Somebody else's package, installed: one file, which lies in this folder, and one entry point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mildbench.registry import Registry


@contextmanager
def installed(
    registry: Registry, name: str, target: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """What `pip install` leaves in the folder `site` of a package that registers `name`; yields the name."""
    module = target.partition(":")[0]
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.group}]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(site)
    _forget(registry)
    yield name
    _forget(registry)


def _forget(registry: Registry) -> None:
    """Have it look for entry points anew."""
    for found in ("_targets", "_collisions"):
        vars(registry).pop(found, None)
