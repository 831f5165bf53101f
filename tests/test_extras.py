"""Optional packages: what an extra installs is what its modules import, and no more."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from mildbench import extras
from mildbench.cli.doctor import DISTRIBUTION_OF
from mildbench.extras import EXTRA_OF

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_every_optional_package_is_imported_somewhere_and_is_in_its_extra() -> None:
    sources = "\n".join(
        path.read_text()
        for package in ("mildbench", "synth", "baselines", "leaderboard")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in ("extras.py", "doctor.py")
    )
    for module, extra in EXTRA_OF.items():
        assert re.search(rf"import {module}\b|from {module}\b|require\(\s*\"{module}\b", sources), module
        wanted = {re.split(r"[<>=\[]", text)[0] for text in PROJECT["optional-dependencies"][extra]}
        assert DISTRIBUTION_OF.get(module, module) in {name.replace("-", "_") for name in wanted} | wanted, (
            module
        )


def test_what_is_expected_is_looked_for_and_not_imported() -> None:
    unused = next(name for name in ("this", "antigravity", "idlelib") if name not in sys.modules)
    extras.expect("json", unused)
    assert unused not in sys.modules
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'") as caught:
        extras.expect("json", "no_such_package", "no_other_package")
    assert caught.value.name == "no_such_package"
