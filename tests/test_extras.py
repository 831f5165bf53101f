"""Optional packages: what an extra installs is what its modules import, and no more."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

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
