"""The FiftyOne app: started, opened in a browser where there is one, stopped by Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from mildbench.errors import UserError

ADDRESS = "127.0.0.1"


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
    """Run the app until Ctrl-C.

    Args:
        fo: the module `fiftyone`.
        dataset: what to show.
        port: of the app, on this machine only.
        tell: is told the URL once the app answers.
    """
    with redirect_stdout(sys.stderr):
        session = fo.launch_app(dataset, address=ADDRESS, port=port, remote=not _has_display())
    try:
        tell(session.url)
        session.wait(-1)
    except KeyboardInterrupt:
        pass
    finally:
        session.close()


def _has_display() -> bool:
    """False where opening a browser would start one in the terminal, or none."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
