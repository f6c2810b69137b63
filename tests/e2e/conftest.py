"""A real server with the demo in a process of its own, and a real browser before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_desk import Desk, Server
from playwright.sync_api import Browser, BrowserContext, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    running = Server(tmp_path_factory.mktemp("e2e") / "data")
    running.start()
    running.wait_for_demo()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A browser that came in through the printed link."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = made.new_page()
    page.goto(server.link)
    page.wait_for_function("window.did_handshake")
    page.close()
    yield made
    made.close()


@pytest.fixture
def desk(context: BrowserContext, server: Server) -> Iterator[Desk]:
    made = Desk(context, server)
    yield made
    made.page.close()
    assert made.errors == []
