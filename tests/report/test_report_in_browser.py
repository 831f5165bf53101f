"""The report in a real browser, from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import chromium, opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.slow
def test_the_slider_moves_and_its_sides_can_be_chosen(browser: Any, report: Path) -> None:
    with opened(browser, report.as_uri()) as page:
        case = page.locator(".case").first
        case.scroll_into_view_if_needed()
        right = case.locator(".slider img").nth(1)
        page.wait_for_function(
            "image => image.complete && image.naturalWidth > 0", arg=right.element_handle()
        )
        edges = []
        for place in ("20", "80"):
            case.locator("input[type=range]").fill(place)
            edges.append(right.evaluate("image => getComputedStyle(image).clipPath"))
        assert edges == ["inset(0px 0px 0px 20%)", "inset(0px 0px 0px 80%)"]
        truth = case.locator("img[alt=truth]").get_attribute("src")
        case.locator("select").nth(1).select_option(label="truth")
        assert right.get_attribute("src") == truth
        box = case.locator(".slider").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
        moved = float(case.locator("input[type=range]").input_value())
        assert moved == pytest.approx(50, abs=3)


def test_the_table_sorts(browser: Any, report: Path) -> None:
    with opened(browser, report.as_uri()) as page:
        head = page.locator("table.scores th", has_text="s/image").first
        orders = []
        for _ in range(2):
            head.click()
            cells = page.locator("table.scores tbody tr td:last-child")
            orders.append([float(cell.get_attribute("data-order")) for cell in cells.all()])
        assert orders[0] == sorted(orders[0])
        assert orders[1] == orders[0][::-1]


def test_a_phone_never_scrolls_sideways(browser: Any, report: Path) -> None:
    with opened(browser, report.as_uri(), width=390) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_light_and_dark(browser: Any, report: Path) -> None:
    with opened(browser, report.as_uri()) as page:
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.click("#theme")
        assert page.evaluate(background) != light
