"""A loopback server that can misbehave, and the one file it serves."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONTENT = bytes(range(256)) * 400
Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """`url(path)` answers with what `answers[path]` does; `hits` counts the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.hits: Counter[str] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.hits[self.path] += 1
                outer.answers[self.path](self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}{path}"


def body(data: bytes, *, promised: int | None = None, status: int = 200) -> Answer:
    """Answer with `data`, whose length is given out as `promised`."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data) if promised is None else promised))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def leftovers(cache: Path) -> set[str]:
    """What is in the cache besides the lock."""
    return {path.name for path in cache.iterdir() if path.suffix != ".lock"} if cache.exists() else set()
