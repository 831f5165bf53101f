"""The FiftyOne app: started, opened in a browser where there is one, stopped by Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from threading import Timer
from typing import Any

from mildbench.errors import UserError

ADDRESS = "127.0.0.1"
_GRACE = 5.0
"""Seconds that the app's server has to end by itself."""


def check_port(port: int) -> None:
    """Raise `UserError` for a port that the app cannot have.

    FiftyOne would take another FiftyOne's app on that port for its own, and show what that one shows.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"--port is {port}: give 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be had ({error.strerror}): another app may be open there; give another --port"
            ) from None


def serve(fo: Any, dataset: Any, port: int, tell: Callable[[str], None]) -> None:
    """Run the app until Ctrl-C; its server is gone afterwards, whoever is connected.

    Args:
        fo: the module `fiftyone`.
        dataset: what to show.
        port: of the app, on this machine only.
        tell: is told the URL once the app answers.

    Raises `UserError` where the server does not start.
    """
    from fiftyone.core.service import ServiceException

    try:
        with redirect_stdout(sys.stderr):
            session = fo.launch_app(dataset, address=ADDRESS, port=port, remote=not _has_display())
    except ServiceException as error:
        raise UserError(
            f"the app's server does not start ({error}): run the same command on a machine that is less busy, or give "
            "another --port"
        ) from None
    try:
        tell(session.url)
        session.wait(-1)
    except KeyboardInterrupt:
        pass
    finally:
        with _server_ends():
            session.close()


@contextmanager
def _server_ends() -> Iterator[None]:
    """Kill the app's server if it has not ended `_GRACE` seconds after it was told to.

    Closing a session waits for the server, which since Python 3.12 waits for its connections (`wait_closed` of
    asyncio), among them the streams of events that every open browser window holds for ever.
    """
    timer = Timer(_GRACE, _kill_servers)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill_servers() -> None:
    """Kill the servers of this process; FiftyOne's process between us and each one ends with it.

    They hold no state: what the user sets in the app is in the database.
    """
    import psutil  # comes with FiftyOne

    for service in psutil.Process().children():
        try:
            if "--51-service server" in " ".join(service.cmdline()):
                for server in service.children(recursive=True):
                    server.kill()
        except psutil.NoSuchProcess:  # it has just ended
            continue


def _has_display() -> bool:
    """False where opening a browser would start one in the terminal, or none."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
