"""`mildbench browse` ends, whatever hangs or dies, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow

PATIENCE = 60
"""Seconds on a machine that runs other tests beside this one; FiftyOne alone waits for ever, or a minute."""


@pytest.fixture
def app(fiftyone: Any, runs: list[Path], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with a database of its own, and the address of the app."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if "DISPLAY" not in name and name not in ("FIFTYONE_DATABASE_URI", "FIFTYONE_PRIVATE_DATABASE_PORT")
    }
    environment["FIFTYONE_DATABASE_DIR"] = str(tmp_path / "db")
    started, address = start(runs[0], environment)
    found = descendants(started)
    yield started, address
    for process in (*found, started):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    started.wait()


def start(run: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[str], str]:
    """FiftyOne gives its server a minute to start, which a busy machine may not: then once more."""
    for _ in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mildbench",
                "browse",
                str(run),
                "--worst",
                "2",
                "--random",
                "0",
                "--port",
                str(port),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert started.stdout is not None
        assert "2 of 35 samples" in started.stdout.readline()
        if line := started.stdout.readline():
            return started, line.split()[0]
        _, told = started.communicate(timeout=PATIENCE)
        assert "the app's server does not start" in told
        assert (started.returncode, "Traceback" in told) == (2, False)
    pytest.skip("the app's server does not start within a minute, three times")


def descendants(app: subprocess.Popen[str]) -> list[Any]:
    return psutil.Process(app.pid).children(recursive=True)


def one(app: subprocess.Popen[str], program: str) -> Any:
    """The process below the app that is this program, or runs this script."""
    (found,) = [p for p in descendants(app) if program in (p.name(), *p.cmdline()[1:2])]
    return found


def test_ctrl_c_ends_it_though_the_server_does_not(app: tuple[subprocess.Popen[str], str]) -> None:
    started, address = app
    processes = descendants(started)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.locator('[data-cy="looker"]').first.wait_for(timeout=PATIENCE * 1000)
        # As under Python 3.12, where the server waits for the browser: it does not end when it is told to.
        one(started, "main.py").send_signal(signal.SIGSTOP)
        before = time.monotonic()
        started.send_signal(signal.SIGINT)
        _, told = started.communicate(timeout=PATIENCE)
    assert started.returncode == 0
    assert time.monotonic() - before < PATIENCE
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert alive == []


def test_a_database_that_dies_is_one_line(app: tuple[subprocess.Popen[str], str]) -> None:
    started, _ = app
    processes = descendants(started)
    one(started, "mongod").kill()
    _, told = started.communicate(timeout=PATIENCE)
    assert started.returncode == 2
    (line,) = [text for text in told.splitlines() if text.startswith("mildbench: ")]
    assert "FiftyOne's database went away" in line
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert alive == []
