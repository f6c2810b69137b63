"""Take the pictures of every page: `make screenshots`.

Starts a server with the demo in a temporary data folder, drives Chromium, and writes
`docs/screenshots/PAGE-THEME-WIDTH.png`. Look at them after every change of a page. Names of pages
as arguments take only those.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

OUT = Path(__file__).parent / "screenshots"
WIDTHS = {1440: 900, 400: 860}
KEY = secrets.token_urlsafe(24)
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
            env={**os.environ, "RAGLOOM_API_KEY": KEY},
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


class Rest:
    """Prepares what the pictures show, over REST."""

    def __init__(self, base: str) -> None:
        self._base = base

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to one request."""
        request = urllib.request.Request(
            f"{self._base}/api/v1{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def prepare(rest: Rest) -> dict[str, str]:
    """Runs, revisions, schedules and a chat of the demo's workflow; gives paths of pages."""
    workflows = rest("GET", "/workflows")["items"]
    workflow = next(w for w in workflows if w["name"] == "Ask the handbook")["workflow_id"]
    at = f"/workflows/{workflow}"
    asked = {"input_data": {"question": "What does hybrid search do?"}}
    first = rest("POST", f"{at}/execute", asked)["execution_id"]
    graph = rest("GET", at)["graph"]
    for node in graph["nodes"]:
        if node["type"] == "retrieve":
            node["config"]["k"] = 4
        if node["type"] == "rerank":
            node["title"] = "Best three"
    rest("PUT", at, {"graph": graph, "message": "Fewer passages"})
    second = rest("POST", f"{at}/execute", asked)["execution_id"]
    rest("POST", f"{at}/schedules", {"cron": "0 7 * * 1", "name": "Monday morning", **asked})
    rest("POST", f"{at}/webhooks", {"name": "Help desk", "mapping": {"question": "ticket.text"}})
    questions = ["What is a chunk?", "What is a commit?", "How do I export a workflow?"]
    rows = [{"question": question} for question in questions]
    batch = rest("POST", f"{at}/batches", {"rows": rows})["batch_id"]
    while rest("GET", f"/batches/{batch}")["status"] not in ("completed", "failed"):
        time.sleep(0.3)
    link = rest("POST", f"{at}/chat_links", {"name": "For everyone", "greeting": "", "origins": []})
    base = rest("GET", "/knowledge_bases")["items"][0]["knowledge_base_id"]
    documents = rest("GET", f"/knowledge_bases/{base}/documents")["items"]
    document = next(d for d in documents if d["media_type"] == "application/pdf")["document_id"]
    return {
        "workflow": at,
        "compare": f"/compare?a={first}&b={second}",
        "batch": f"{at}/batch?batch={batch}",
        "shared": link["path"],
        "base": f"/knowledge/{base}",
        "document": f"/knowledge/{base}/documents/{document}",
    }


def pages(page: Page, base: str, paths: dict[str, str]) -> dict[str, Callable[[], None]]:
    """What to open for each picture."""

    def go(path: str) -> Callable[[], None]:
        def open_it() -> None:
            page.goto(base + path)
            settle(page)

        return open_it

    def run() -> None:
        go(paths["workflow"])()
        page.keyboard.press("Control+Enter")
        page.get_by_text(re.compile(r"^Done in|^Cached")).nth(3).wait_for(
            state="attached", timeout=60_000
        )
        page.wait_for_timeout(900)

    def inspect() -> None:
        run()
        page.locator('.vue-flow__node[data-id="retrieve"] .rl-title').click()
        page.keyboard.press("Enter")  # leads into the settings, also where there is no room beside
        page.get_by_role("tab", name="Config").wait_for()
        page.wait_for_timeout(600)

    def timeline() -> None:
        run()
        page.get_by_label("Open in the drawer").click()
        page.get_by_role("tab", name="timeline").click()
        page.locator(".rl-gantt-bar").first.wait_for()
        page.wait_for_timeout(600)

    def quick_add() -> None:
        go(paths["workflow"])()
        page.keyboard.press("Tab")
        page.wait_for_timeout(400)

    def keys() -> None:
        go(paths["workflow"])()
        page.keyboard.press("?")
        page.wait_for_timeout(600)

    def chat(path: str) -> Callable[[], None]:
        def ask() -> None:
            go(path)() if not path.startswith("/c/") else page.goto(base + path)
            page.get_by_label("Question").fill("What does hybrid search do?")
            page.get_by_label("Question").press("Enter")
            page.locator(".rc-actions").last.wait_for(timeout=60_000)
            page.wait_for_timeout(400)

        return ask

    return {
        "canvas": run,
        "canvas-inspector": inspect,
        "canvas-quick-add": quick_add,
        "canvas-keys": keys,
        "canvas-timeline": timeline,
        "workflows": go("/"),
        "templates": go("/templates"),
        "begin": go("/begin"),
        "history": go(paths["workflow"] + "/history"),
        "compare": go(paths["compare"]),
        "automation": go(paths["workflow"] + "/automation"),
        "batch": go(paths["batch"]),
        "chat": chat(paths["workflow"] + "/chat"),
        "chat-shared": chat(paths["shared"]),
        "knowledge": go("/knowledge"),
        "knowledge-base": go(paths["base"]),
        "knowledge-base-search": go(paths["base"] + "?tab=Search&q=hybrid+search"),
        "knowledge-base-sources": go(paths["base"] + "?tab=Sources"),
        "knowledge-base-history": go(paths["base"] + "?tab=History"),
        "knowledge-base-settings": go(paths["base"] + "?tab=Settings"),
        "document": go(paths["document"]),
        "runs": go("/runs"),
        "settings": go("/settings"),
    }


def shoot(
    browser: Browser, base: str, state: str, paths: dict[str, str], theme: str, width: int
) -> None:
    """Every page (or those named on the command line) in one theme at one width."""
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width]}, storage_state=state,
        color_scheme="dark" if theme == "dark" else "light",
    )  # fmt: skip
    page = context.new_page()
    for name, show in pages(page, base, paths).items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            show()
        except TimeoutError as error:
            page.screenshot(path=OUT / f"failed-{name}.png")
            raise SystemExit(f"{name} ({theme}, {width}): {error}") from error
        page.screenshot(path=OUT / f"{name}-{theme}-{width}.png")
    context.close()


def main() -> None:
    """All pages, both themes, wide and narrow."""
    OUT.mkdir(exist_ok=True)
    with server() as link, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        state = str(Path(folder) / "state.json")
        context = browser.new_context()
        context.new_page().goto(link)
        context.storage_state(path=state)
        context.close()
        base = link.split("/start?")[0]
        paths = prepare(Rest(base))
        for theme in ("light", "dark"):
            for width in WIDTHS:
                shoot(browser, base, state, paths, theme, width)
        browser.close()


if __name__ == "__main__":
    main()
