"""Somebody else's packages, installed: files that lie in this folder, and their entry points."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mildbench.registry import Registry


@contextmanager
def installed(
    registry: Registry, name: str, target: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """What `pip install` leaves in the folder `site` of a package that registers `name`; yields the name."""
    _write(site, target.partition(":")[0], {registry.group: {name: target}})
    monkeypatch.syspath_prepend(site)
    _forget(registry)
    yield name
    _forget(registry)


@contextmanager
def installed_everywhere(
    points: dict[Registry[Any], dict[str, str]], site: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The same of one package with many names, which processes that are started meanwhile find too."""
    _write(site, "fakes", {registry.group: names for registry, names in points.items()})
    monkeypatch.syspath_prepend(site)
    folders = [str(site), str(Path(__file__).parent)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders), prepend=os.pathsep)
    for registry in points:
        _forget(registry)
    yield
    for registry in points:
        _forget(registry)


def _write(site: Path, package: str, points: dict[str, dict[str, str]]) -> None:
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [
        line
        for group, names in points.items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in names.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def _forget(registry: Registry[Any]) -> None:
    """Have it look for entry points anew."""
    for found in ("_targets", "_collisions"):
        vars(registry).pop(found, None)
