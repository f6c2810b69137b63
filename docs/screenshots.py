"""Take the pictures of every page: `make screenshots`.

Starts a server with the demo in a temporary data folder, drives Chromium, and writes
`docs/screenshots/PAGE-THEME-WIDTH.png`. Look at them after every change of a page.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

OUT = Path(__file__).parent / "screenshots"
WIDTHS = {1440: 900, 1280: 800, 800: 1000, 400: 860}
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def server() -> Iterator[str]:
    """A server with the demo; gives the link that opens it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", str(port), "--data", folder],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout
            link = next(w for line in process.stdout for w in line.split() if "?token=" in w)
            marker = Path(folder) / "demo-seeded"
            while not marker.exists():
                time.sleep(0.2)
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
            yield link
        finally:
            process.terminate()
            process.wait(30)


def settle(page: Page) -> None:
    """Wait until the page is connected and quiet."""
    page.wait_for_function("window.did_handshake === true", timeout=30_000)
    page.wait_for_timeout(900)


def pages(page: Page, base: str) -> dict[str, Callable[[], None]]:
    """What to open for each picture."""

    def go(path: str) -> Callable[[], None]:
        def open_it() -> None:
            page.goto(base + path)
            settle(page)

        return open_it

    go("/")()
    workflow = page.locator('a[href*="/workflows/"]', has_text="Ask the handbook").first
    path = re.sub(r"^https?://[^/]+", "", workflow.get_attribute("href") or "")
    go("/knowledge")()
    kb = page.locator('a[href*="/knowledge/"]').first.get_attribute("href") or ""
    go(kb)()
    document = page.locator('a[href*="/documents/"]', has_text="The Ragloom handbook").first
    document_path = document.get_attribute("href") or ""

    def run() -> None:
        go(path)()
        page.keyboard.press("Control+Enter")
        page.get_by_text(re.compile(r"^Done in|^Cached")).nth(3).wait_for(
            state="attached", timeout=60_000
        )
        page.wait_for_timeout(900)

    return {
        "canvas": run,
        "workflows": go("/"),
        "knowledge": go("/knowledge"),
        "knowledge-base": go(kb),
        "document": go(document_path),
        "runs": go("/runs"),
        "settings": go("/settings"),
    }


def shoot(browser: Browser, base: str, state: str, theme: str, width: int) -> None:
    """Every page in one theme at one width."""
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width]}, storage_state=state,
        color_scheme="dark" if theme == "dark" else "light",
    )  # fmt: skip
    page = context.new_page()
    for name, show in pages(page, base).items():
        show()
        page.screenshot(path=OUT / f"{name}-{theme}-{width}.png")
    context.close()


def main() -> None:
    """All pages, both themes, four widths."""
    OUT.mkdir(exist_ok=True)
    with server() as link, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        state = str(Path(folder) / "state.json")
        context = browser.new_context()
        context.new_page().goto(link)
        context.storage_state(path=state)
        context.close()
        base = link.split("/start?")[0]
        for theme in ("light", "dark"):
            for width in WIDTHS:
                shoot(browser, base, state, theme, width)
        browser.close()


if __name__ == "__main__":
    main()
