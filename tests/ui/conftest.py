"""The canvas alone in a server of its own, and a real browser before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from canvas_desk import Desk
from playwright.sync_api import Browser, BrowserContext, Page
from serving import serving

from tests.patience import keep_toasts

HERE = Path(__file__).parent
BUNDLE = HERE.parents[1] / "app" / "ui" / "canvas" / "dist" / "index.js"


def pytest_itemcollected(item: pytest.Item) -> None:
    # The first of a process may start a server and a browser.
    item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server with nothing but canvases, each test's under a name of its own."""
    if not BUNDLE.exists():
        pytest.skip("the canvas is not built: run hatch_build.py")
    log = tmp_path_factory.mktemp("canvas") / "server.log"
    with serving("canvas_app.py", log, "/?id=warm") as url:
        yield url


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1360, "height": 800})
    keep_toasts(made)
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Iterator[Page]:
    """One tab for all tests of a module: opening one costs more than a page in it."""
    made = context.new_page()
    yield made
    made.close()


@pytest.fixture
def desk(tab: Page, server: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    name = f"{request.module.__name__}.{request.function.__name__}"
    made = Desk(tab, server, name, getattr(request, "param", ""))
    yield made
    made.leave()
    assert made.errors == []
