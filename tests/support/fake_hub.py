"""A Hugging Face hub on loopback: as much of its protocol as `huggingface_hub` needs to fetch a repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Files = dict[str, bytes]


class FakeHub:
    """`repositories` maps `owner/name` to its files; `*.safetensors` are kept as large files, with their sha256."""

    def __init__(self) -> None:
        self.repositories: dict[str, Files] = {}
        self.damaged: set[str] = set()
        """Paths whose bytes arrive wrong, though the hub says the right digest."""
        self.broken: dict[str, int] = {}
        """Path -> bytes after which the connection ends."""
        self.downloads: Counter[str] = Counter()
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self, with_body=True)

            def do_HEAD(self) -> None:
                outer._answer(self, with_body=False)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    @staticmethod
    def commit(repository: str) -> str:
        """40 hex digits."""
        return hashlib.sha1(repository.encode()).hexdigest()

    def _answer(self, request: BaseHTTPRequestHandler, *, with_body: bool) -> None:
        path = request.path.partition("?")[0]
        self.requests.append(path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/[^/]+|/tree/[^/]+)?", path):
            repository, what = found[1], found[2] or ""
            revision = what.rpartition("/")[2]
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, revision, what = found[1], found[2], found[3]
        else:
            return self._refuse(request, "EntryNotFound")
        files = self.repositories.get(repository)
        if files is None:
            return self._refuse(request, "RepoNotFound")
        if revision not in ("", "main", self.commit(repository)):
            return self._refuse(request, "RevisionNotFound")
        if not path.startswith("/api/"):
            return self._send_file(request, repository, what, with_body=with_body)
        if what.startswith("/tree/"):
            return self._send_json(request, [_listed(name, data) for name, data in files.items()])
        siblings = [_sibling(name, data) for name, data in files.items()]
        commit = self.commit(repository)
        self._send_json(request, {"id": repository, "sha": commit, "siblings": siblings})

    def _send_file(
        self, request: BaseHTTPRequestHandler, repository: str, path: str, *, with_body: bool
    ) -> None:
        data = self.repositories[repository][path]
        start = int((request.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        request.send_response(206 if start else 200)
        request.send_header("X-Repo-Commit", self.commit(repository))
        request.send_header("ETag", f'"{_etag(path, data)}"')
        request.send_header("Content-Length", str(len(data) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        if with_body:
            self.downloads[path] += 1
            sent = data[::-1] if path in self.damaged else data
            request.wfile.write(sent[start : self.broken.get(path)])
            request.close_connection = path in self.broken

    def _send_json(self, request: BaseHTTPRequestHandler, value: Any) -> None:
        body = json.dumps(value).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _refuse(self, request: BaseHTTPRequestHandler, code: str) -> None:
        request.send_response(404)
        request.send_header("X-Error-Code", code)
        request.send_header("Content-Length", "0")
        request.end_headers()


def _large(path: str) -> bool:
    return path.endswith(".safetensors")


def _etag(path: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if _large(path) else _blob(data)


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _sibling(path: str, data: bytes) -> dict[str, Any]:
    large = {"sha256": _etag(path, data), "size": len(data), "pointerSize": 134}
    return {"rfilename": path, "size": len(data), "blobId": _blob(data)} | (
        {"lfs": large} if _large(path) else {}
    )


def _listed(path: str, data: bytes) -> dict[str, Any]:
    large = {"oid": _etag(path, data), "size": len(data), "pointerSize": 134}
    return {"type": "file", "path": path, "size": len(data), "oid": _blob(data)} | (
        {"lfs": large} if _large(path) else {}
    )
