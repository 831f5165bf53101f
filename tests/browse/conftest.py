"""Real runs: two methods that fail on a sample, one that has seen the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browse_fakes import make_runs

from mildbench.browse.gallery import Gallery


@pytest.fixture(scope="session")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of `noise`, `attentive` and `oracle` on `erase-one`; not to be changed."""
    return make_runs(data, tmp_path_factory.mktemp("runs"), "erase-one", "noise", "attentive", "oracle")


@pytest.fixture
def gallery(runs: list[Path]) -> Gallery:
    return Gallery.open(runs)


@pytest.fixture
def empty(fiftyone: Any) -> Any:
    """FiftyOne without any data set."""

    def clear() -> None:
        for name in fiftyone.list_datasets("mildbench-*"):
            fiftyone.delete_dataset(name)

    clear()
    yield fiftyone
    clear()
