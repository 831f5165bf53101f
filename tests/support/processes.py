"""Processes of a test's own: started, waited for by condition, and gone when the test ends, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE = 600.0
"""Seconds before a test gives up: a guard against waiting for ever, never a measure of how fast something is."""


def until(condition: Callable[[], object], what: str, *, alive: subprocess.Popen[Any] | None = None) -> None:
    """Wait for a condition; fails, naming `what`, when it never comes or the process `alive` ends before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert alive is None or alive.poll() is None or condition(), f"{what}: the process has ended"
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.01)


def wait(gate: Path, number: int) -> None:
    """In a worker: say by a file in the folder that a shard is under way, and wait there for a file called `open`."""
    gate.mkdir(exist_ok=True)
    (gate / str(number)).touch()
    while not (gate / "open").exists():
        time.sleep(0.01)


@contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process in a session of its own; whatever of the session is left at the end is killed."""
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    try:
        yield process
    finally:
        while left := running(process.pid):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)


def running(session: int) -> list[int]:
    """The processes of a session that are there and not merely waiting to be buried (Linux)."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if _state(path)[1:] == (session,)]


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be buried (Linux)."""
    return _state(Path("/proc") / str(pid)) != ()


def _state(process: Path) -> tuple[()] | tuple[int, int]:
    """Parent and session of a process; nothing for one that is gone or a zombie."""
    try:
        state, parent, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return () if state == "Z" else (int(parent), int(session))
