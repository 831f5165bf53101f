"""The system's chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from processes import PATIENCE

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser; the test is skipped, with the reason, where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS, timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, *, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """A page, opened; anything on the console, any error and any request to the network fails the test."""
    with watched(browser.new_page(viewport={"width": width, "height": height}), address) as page:
        yield page


@contextmanager
def watched(page: Any, address: str) -> Iterator[Any]:
    """`opened`, in a page that is there already."""
    page.set_default_timeout(PATIENCE * 1000)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:")) else told.append(request.url),
    )
    page.goto(address)
    yield page
    page.close()
    assert told == []
