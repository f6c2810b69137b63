"""A real server with the demo in a process of its own, and a real browser before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2e_desk import SIZE, Desk, Server
from playwright.sync_api import Browser, BrowserContext, Page

from tests.crash.bad_nodes import FOLDER
from tests.patience import keep_toasts
from tests.services.source_server import Site


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.e2e)
    # The first of a process starts a server and waits for its demonstration.
    item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A web site that the server may fetch from."""
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where waiting nodes look for their files, and folders may be followed."""
    return tmp_path_factory.mktemp("e2e-files")


@pytest.fixture(scope="session")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory, site: Site, folder: Path
) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("e2e") / "data",
        module="tests.crash.bad_server",
        variables={
            FOLDER: str(folder),
            "RAGLOOM_HTTP_ALLOW_PRIVATE": site.place,
            "RAGLOOM_IMPORT_ROOTS": str(folder),
        },
    )
    running.start()
    running.wait_for_demo()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    """The server of all modules, with the demonstration, nodes that misbehave, and what other
    tests have left: what a module looks for it makes itself, under names of its own."""
    shared_server.ensure()
    return shared_server


@pytest.fixture
def rest(server: Server) -> Iterator[httpx.Client]:
    """REST with the key of the server."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def _contexts() -> dict[Path, BrowserContext]:
    """Browsers that came in through the printed link, by data folder."""
    return {}


@pytest.fixture(scope="module")
def context(
    browser: Browser, server: Server, _contexts: dict[Path, BrowserContext]
) -> BrowserContext:
    """A browser that is signed in, and remembers nothing of the modules before but the files."""
    if known := _contexts.get(server.data):
        page = known.new_page()
        page.goto(f"{server.url}/settings")
        page.evaluate("localStorage.clear()")
        page.close()
        return known
    # Nothing moves by itself, as people can ask for: what is measured stands where it will stay.
    made = browser.new_context(viewport=SIZE, accept_downloads=True, reduced_motion="reduce")
    keep_toasts(made)
    page = made.new_page()
    page.goto(server.link)
    page.wait_for_function("window.did_handshake")
    page.close()
    _contexts[server.data] = made
    return made


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Iterator[Page]:
    """One tab for all tests of a module: opening one costs more than a page in it."""
    made = context.new_page()
    yield made
    made.close()


@pytest.fixture
def desk(tab: Page, server: Server) -> Iterator[Desk]:
    made = Desk(tab, server)
    yield made
    made.leave()
    assert made.errors == []
