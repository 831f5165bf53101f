"""The large networks' tiny stand-ins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_networks


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of their checkpoints, and the networks by their names in the manifest."""
    folder = tmp_path_factory.mktemp("networks")
    return folder, tiny_networks.checkpoints(folder)


@pytest.fixture(scope="module")
def loaded(tiny: tuple[Path, dict[str, Any]]) -> Callable[[Any], Any]:
    """Loads a metric or an extractor from them."""

    def load(kind: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            tiny_networks.installed(tiny[0], patch)
            metric = kind()
            metric.load()
        return metric

    return load
