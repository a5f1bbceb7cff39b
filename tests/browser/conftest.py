from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.served import Served, served
from tests.browser.walker import Walker
from tests.example.studio import REPOSITORY, Studio, new_database

SCREENSHOTS = Path(os.environ.get("BROWSER_SCREENSHOTS") or REPOSITORY / "browser-screenshots")

SCREENS: dict[int, dict[str, Any]] = {
    390: {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    1280: {"viewport": {"width": 1280, "height": 900}},
}
"""A phone and a desktop, by their width in pixels."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Iterator[Served]:
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    folder = tmp_path_factory.mktemp("studio")
    with (
        django_db_blocker.unblock(),
        new_database(folder) as url,
        served(Studio(url, folder)) as site,
    ):
        yield site


@pytest.fixture(scope="session")
def chromium(site: Served) -> Iterator[Browser]:
    # After the site and its database, and ended before them: while Playwright runs, this thread has an event loop, in
    # which Django refuses to ask a database.
    found = shutil.which(os.environ["CHROMIUM"])
    assert found, f"there is no {os.environ['CHROMIUM']!r}: install chromium, or let CHROMIUM name one"
    # What takes a moment takes several where other checks run beside it.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SCREENS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def walker(
    request: pytest.FixtureRequest, chromium: Browser, site: Served, width: int, theme: Any
) -> Iterator[Walker]:
    """Walk at one width in one theme, each combination with cookies and screenshots of its own."""
    pictures = SCREENSHOTS / re.sub(r"\W+", "-", request.node.name).strip("-")
    pictures.mkdir(parents=True)
    with chromium.new_context(color_scheme=theme, reduced_motion="reduce", **SCREENS[width]) as context:
        yield Walker(context, site.url, pictures, theme=theme)
