"""The canvas alone in a server of its own, and a real browser before it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from canvas_desk import Desk
from playwright.sync_api import Browser, BrowserContext, Page

HERE = Path(__file__).parent
BUNDLE = HERE.parents[1] / "app" / "ui" / "canvas" / "dist" / "index.js"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server with nothing but canvases, each test's under a name of its own."""
    if not BUNDLE.exists():
        pytest.skip("the canvas is not built: run hatch_build.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("canvas") / "server.log").open("w")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    process = subprocess.Popen(
        [sys.executable, str(HERE / "canvas_app.py"), str(port)],
        stdout=log,
        stderr=log,
        env=environment,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/?id=warm").close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, Path(log.name).read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1360, "height": 800})
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
