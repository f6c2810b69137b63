"""A real server, and a tab of a real browser with the moves a person makes in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Error, Locator, Page, ViewportSize

from tests.patience import MS, stand_still

ROOT = Path(__file__).resolve().parents[2]
SIZE: ViewportSize = {"width": 1440, "height": 900}


#: Until nothing changes any more for some milliseconds.
_QUIET = """(ms) => new Promise((done) => {
  let still = 0
  const over = () => { eyes.disconnect(); done() }
  const eyes = new MutationObserver(() => { clearTimeout(still); still = setTimeout(over, ms) })
  eyes.observe(document, { subtree: true, childList: true, attributes: true, characterData: true })
  still = setTimeout(over, ms)
  setTimeout(over, 3 * ms)
})"""


@dataclass
class Server:
    """A running `ragloom serve`; it can be stopped hard and started again on its data."""

    data: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    url: str = ""
    link: str = ""
    flags: tuple[str, ...] = ()
    #: What is run, and with which variables besides.
    module: str = "app"
    variables: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    def start(self) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAGLOOM_", "PYTEST"))}
        command = [sys.executable, "-m", self.module, "serve", f"--port={self.port}"]
        command += ["--data", str(self.data)]
        command += self.flags
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**clean, **self.variables}, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := re.match(r"Open ((http://\S+?:(\d+))/start\?token=\S+)", line):
                self.link, self.url, self.port = found[1], found[2], int(found[3])
                drain = threading.Thread(target=self._drain, args=(self.process,), daemon=True)
                drain.start()
                self.reader = drain
                return
        raise AssertionError(f"the server did not start: {self.lines}")

    def ensure(self) -> None:
        """Start it where a test has left it stopped."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def _drain(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.lines.extend(line.rstrip() for line in process.stdout)

    def stop(self, how: int = signal.SIGTERM) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(60)
        if self.reader is not None and self.process.stdout is not None:
            self.reader.join(60)
            self.process.stdout.close()

    def client(self) -> httpx.Client:
        """REST with the key of the server."""
        key = (self.data / "api_key").read_text().strip()
        # No connection is kept: the server closes those that rest while the browser is at work,
        # maybe in the moment in which one is used again.
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )

    def get(self, path: str) -> Any:
        with self.client() as client:
            answer = client.get(path)
        answer.raise_for_status()
        return answer.json()

    def wait_for_demo(self) -> None:
        until((self.data / "demo-seeded").exists, 240)


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until `condition` gives something true, and return that."""
    ends = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


class Desk:
    """One tab, and the moves a person makes in it."""

    def __init__(self, page: Page, server: Server) -> None:
        self.server = server
        self.errors: list[str] = []
        self.page = page
        self.page.set_default_timeout(MS)
        self.page.on("pageerror", self._on_error)

    def _on_error(self, error: Error) -> None:
        self.errors.append(str(error))

    def leave(self) -> None:
        """Hand the tab on, as a new one would be."""
        self.page.mouse.up()
        self.page.mouse.move(0, 0)
        self.page.set_viewport_size(SIZE)
        self.page.remove_listener("pageerror", self._on_error)

    def open(self, path: str) -> None:
        try:
            self.page.goto(self.server.url + path)
        except Error as error:
            # A page that finds its server back loads itself again, and may just be at it.
            if "ERR_ABORTED" not in error.message:
                raise
            self.page.goto(self.server.url + path)
        self.settled()

    def settled(self) -> None:
        self.page.wait_for_function("window.did_handshake")

    def open_workflow(self, name: str) -> str:
        found = self.server.get(f"/workflows?text={name}")["items"]
        id_ = next(str(one["workflow_id"]) for one in found if one["name"] == name)
        self.open_canvas(id_)
        return id_

    def open_canvas(self, workflow_id: str) -> None:
        self.open(f"/workflows/{workflow_id}")
        self.page.wait_for_selector(".rl-node, .rl-empty-hint")
        self.still()

    def still(self) -> None:
        """Wait until the view of the canvas no longer moves."""
        stand_still(self.page)

    def quiet(self, ms: int = 300) -> None:
        """Wait until nothing of the page has changed for a moment; three moments at most."""
        self.page.evaluate(_QUIET, ms)

    def fits(self) -> None:
        """Wait until nothing of the page sticks out at its side."""
        self.page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")

    def new_workflow(self) -> str:
        self.open("/")
        self.page.get_by_role("button", name="New workflow").click()
        self.page.locator(".q-menu").get_by_text("Empty canvas").click()
        self.page.wait_for_url("**/workflows/*")
        self.settled()
        self.page.wait_for_selector(".rl-empty-hint")
        return self.page.url.rsplit("/", 1)[1]

    def graph(self, workflow_id: str) -> dict[str, Any]:
        found = self.server.get(f"/workflows/{workflow_id}")
        return dict(found.get("graph") or found)

    def node(self, id_: str) -> Locator:
        return self.page.locator(f'.vue-flow__node[data-id="{id_}"]')

    def port(self, id_: str, side: str, name: str) -> Locator:
        return self.node(id_).locator(f'.vue-flow__handle.{side}[data-handleid="{name}"]')

    def drop(self, kind: str, x: float, y: float) -> None:
        """Drag a node from the palette onto the canvas."""
        self.page.locator(f'[data-node-type="{kind}"]').drag_to(
            self.page.locator(".vue-flow__pane"), target_position={"x": x, "y": y}
        )

    def pull(self, source: Locator, target: Locator) -> None:
        """Draw a wire."""
        start, end = _middle(source), _middle(target)
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(start[0] + 8, start[1] + 4)
        mouse.move(*end, steps=6)
        mouse.up()

    def saved(self) -> None:
        self.page.locator(".rl-save", has_text="Saved").wait_for()

    def answered(self) -> Locator:
        """Wait for the answer in the run bar."""
        answer = self.page.locator(".rl-runbar .rl-answer")
        answer.wait_for()
        return answer


def _middle(target: Locator) -> tuple[float, float]:
    box = target.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
