"""One Chromium for all browser tests of a process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

PATH = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Chromium:
    """Rests while other tests run event loops of their own in this thread.

    Playwright leaves its loop standing in the thread as the running one, and Python lets no other
    run beside it. Starting driver and browser for each module would take two seconds each.
    """

    def __init__(self) -> None:
        if not PATH.exists():
            pytest.skip("Chromium is not installed")
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self.browser = self._playwright.chromium.launch(executable_path=PATH, args=FLAGS)
        self.rest()

    def wake(self) -> None:
        asyncio._set_running_loop(self._loop)

    def rest(self) -> None:
        asyncio._set_running_loop(None)

    def close(self) -> None:
        self.wake()
        self.browser.close()
        self._playwright.stop()
