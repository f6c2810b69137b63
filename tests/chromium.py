"""One Chromium for all browser tests of a process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

#: The one that never draws a window takes half the time of the processor.
PATHS = (Path("/usr/lib/chromium/chromium-headless-shell"), Path("/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def path() -> Path:
    """The browser; skips the test where there is none, which on CI is a failure."""
    for found in PATHS:
        if found.exists():
            return found
    if os.environ.get("CI") == "true":
        pytest.fail("Chromium is not installed")
    pytest.skip("Chromium is not installed")


class Chromium:
    """Rests while other tests run event loops of their own in this thread.

    Playwright leaves its loop standing in the thread as the running one, and Python lets no other
    run beside it. Starting driver and browser for each module would take two seconds each.
    """

    def __init__(self) -> None:
        found = path()
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self.browser = self._playwright.chromium.launch(executable_path=found, args=FLAGS)
        self.rest()

    def wake(self) -> None:
        asyncio._set_running_loop(self._loop)

    def rest(self) -> None:
        asyncio._set_running_loop(None)

    def close(self) -> None:
        self.wake()
        self.browser.close()
        self._playwright.stop()
