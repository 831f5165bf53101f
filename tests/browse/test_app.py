"""The app itself, in a real browser: `mildbench browse` as a user runs it, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browse_fakes import SLICES
from browsers import chromium

from mildbench.browse.gallery import Gallery

pytestmark = pytest.mark.slow

PATIENCE = 60_000
"""Milliseconds; the app takes its time on a machine that runs other tests beside this one."""


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def url(fiftyone: Any, runs: list[Path], port: int) -> Iterator[str]:
    """The address that the command prints; ended by Ctrl-C, it must end well and leave nothing running."""
    command = [sys.executable, "-m", "mildbench", "browse", *map(str, runs), "--port", str(port)]
    # Without a display no window opens beside the tests' own browser.
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    app = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert app.stdout is not None
    try:
        shown = app.stdout.readline()
        assert "30 of 30 samples" in shown, shown
        yield app.stdout.readline().split()[0]
    finally:
        os.killpg(app.pid, signal.SIGINT)
        assert app.wait(60) == 0
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5)


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Any]:
    """The app, its samples there and its advertisement clicked away whenever it comes."""
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(PATIENCE)
        opened.add_locator_handler(
            opened.get_by_role("button", name="Dismiss").first, lambda button: button.click()
        )
        opened.goto(url)
        opened.locator('[data-cy="looker"]').first.wait_for()
        yield opened


def shown(page: Any, field: str) -> list[str]:
    """The field's values in the grid, row by row; the order in the document is another at times."""
    return page.locator(f'[data-cy="fo-grid"] [data-cy="tag-{field}"]').evaluate_all(
        """tags => tags.map(tag => [tag, tag.closest('[data-cy="looker"]').getBoundingClientRect()])
            .sort(([, a], [, b]) => a.top - b.top || a.left - b.left)
            .map(([tag]) => tag.innerText)"""
    )


def choose(page: Any, menu: str, option: str) -> None:
    page.locator(f'[data-cy="{menu}"]').click()
    page.locator(f'[data-cy="{option}"]').click()


def rounded(values: Any) -> list[str]:
    return [f"{value:.3f}".rstrip("0").rstrip(".") for value in values]


def test_the_command_prints_where_the_app_answers(url: str, port: int) -> None:
    assert url == f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
        assert b"FiftyOne" in answer.read()


def test_a_saved_view_shows_the_worst_first(page: Any, runs: list[Path]) -> None:
    noise = Gallery.open(runs).runs[0]
    worst = noise.scores["psnr.mask.pasted"].dropna().sort_values()
    choose(page, "saved-views-selection", "saved-views-worst-psnr-noise-selection-option")
    page.wait_for_url("**view=worst-psnr-noise**")
    page.wait_for_function(
        "first => document.querySelector('[data-cy=\"tag-noise_psnr_mask_pasted\"]')?.innerText === first",
        arg=rounded(worst)[0],
    )
    values = shown(page, "noise_psnr_mask_pasted")
    assert len(values) > 5
    assert values == rounded(worst)[: len(values)]
    page.locator('[data-cy="btn-clear-view-bar"]').click()


def test_sorting_by_a_metric(page: Any, runs: list[Path]) -> None:
    attentive = Gallery.open(runs).runs[1]
    rising = attentive.scores["psnr.mask.pasted"].dropna().sort_values()
    choose(page, "selector-Sort by", "selector-result-attentive_psnr_mask_pasted")
    page.wait_for_function(
        "first => document.querySelector('[data-cy=\"tag-attentive_psnr_mask_pasted\"]')?.innerText === first",
        arg=rounded(rising)[0],
    )
    values = shown(page, "attentive_psnr_mask_pasted")
    assert len(values) > 5
    assert values == rounded(rising)[: len(values)]


def test_a_sample_has_its_slices_and_its_overlays(page: Any, runs: list[Path]) -> None:
    page.locator('[data-cy="fo-grid"] [data-cy="looker"]').nth(5).click()
    page.locator('[data-cy="modal"]').wait_for()
    carousel = page.locator('[data-cy="group-carousel"] [data-cy="looker"]')
    carousel.nth(len(SLICES) - 2).wait_for()
    modal = page.locator('[data-cy="modal"]')
    picture = modal.locator('[data-cy="sample-canvas"]')
    picture.wait_for()
    page.wait_for_timeout(1000)  # the picture is drawn some frames after its canvas is there

    def drawn() -> np.ndarray:
        return cv2.imdecode(np.frombuffer(picture.screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)

    with_masks = drawn()
    modal.locator('[data-cy="checkbox-visible"]').click()
    page.wait_for_timeout(1000)
    without = drawn()
    assert (abs(with_masks - without).max(axis=2) > 16).mean() > 0.02, "masks cover people"
    names = set()
    for place in range(carousel.count()):
        carousel.nth(place).click()
        tab = modal.locator('[data-cy="panel-tab-fo-sample-modal-plugin"]')
        page.wait_for_timeout(300)
        names.add(tab.inner_text().split(maxsplit=1)[1])
    assert names <= SLICES
    assert {"composite", "truth", "noise", "noise difference"} <= names
    assert not np.array_equal(drawn(), without)
