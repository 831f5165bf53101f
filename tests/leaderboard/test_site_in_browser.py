"""The leaderboard in a real browser, from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, opened
from leaderboards import reviewed

from leaderboard import site, store


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("site") / "leaderboard.html"
    site.build(path, reviewed(shipped), [], store.read_reported())
    return path.as_uri()


def labels(page: Any) -> list[str]:
    """Of the entries that are seen, from above."""
    return page.locator("table.entries tbody tr:visible strong").all_inner_texts()


def test_it_sorts(browser: Any, address: str) -> None:
    with opened(browser, address) as page:
        shown = labels(page)
        head = page.locator("table.entries th").nth(3)
        orders = []
        for _ in range(2):
            head.click()
            cells = page.locator("table.entries tbody tr:visible").evaluate_all(
                "rows => rows.map(row => Number(row.cells[3].dataset.order))"
            )
            orders.append(cells)
        assert orders[0] == sorted(orders[0], reverse=True)
        assert orders[1] == sorted(orders[0])
        page.locator("table.entries th", has_text="method").focus()
        page.keyboard.press("Enter")
        assert labels(page) == sorted(shown)


def test_it_filters(browser: Any, address: str) -> None:
    with opened(browser, address) as page:
        assert len(labels(page)) == 6
        page.fill("#search", "fast-marching")
        assert labels(page) == ["telea"]
        page.fill("#search", "")
        page.select_option("select[data-filter=provenance]", "reimplementation")
        assert set(labels(page)) == {"noise", "noise:strength=90", "attentive"}
        page.check("#ranked")
        assert labels(page) == ["noise"]
        assert page.inner_text("#shown") == "1 entry"
        page.fill("#search", "nothing of the kind")
        assert page.locator("section.board:visible").count() == 0


def test_a_phone_never_scrolls_sideways_and_dark_is_dark(browser: Any, address: str) -> None:
    with opened(browser, address, width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.click("#theme")
        assert page.evaluate(background) != light
