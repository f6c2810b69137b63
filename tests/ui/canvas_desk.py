"""What a person does with the canvas, in words that the browser tests speak."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, Locator, Page

from tests.patience import MS, stand_still


class Desk:
    """One browser page over one editor, and what Python says about it."""

    def __init__(self, page: Page, url: str, name: str, query: str = "") -> None:
        self.url, self.name, self.query = url, name, query
        self.errors: list[str] = []
        self.page = page
        self.page.set_default_timeout(MS)
        self.page.on("pageerror", self._on_error)
        self.page.on("console", self._on_console)
        self.open()

    def _on_error(self, error: Error) -> None:
        self.errors.append(str(error))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def leave(self) -> None:
        """Hand the tab on, as a new one would be."""
        self.page.mouse.up()
        self.page.mouse.move(0, 0)
        self.page.remove_listener("pageerror", self._on_error)
        self.page.remove_listener("console", self._on_console)

    def open(self) -> None:
        self.page.goto(f"{self.url}/?id={self.name}{self.query}")
        self.page.wait_for_function("window.did_handshake")
        self.page.wait_for_selector(".rl-empty-hint, .rl-node")
        self.settled()

    def settled(self) -> None:
        """Wait until the view stands still."""
        stand_still(self.page)

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/state/{self.name}") as answer:
            return dict(json.load(answer))

    def do(self, **body: Any) -> None:
        request = urllib.request.Request(
            f"{self.url}/do/{self.name}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in self.state()["graph"]["nodes"]}

    def edges(self) -> set[str]:
        return {f"{e['source']} {e['key']} {e['target']}" for e in self.state()["graph"]["edges"]}

    def events(self, kind: str) -> list[Any]:
        return [event for event in self.state()["events"] if event[0] == kind]

    def selected(self) -> list[str] | None:
        """Nodes of the last selection that was told."""
        told = self.events("selection")
        return told[-1][1] if told else None

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + MS / 1000
        while not condition():
            assert time.monotonic() < deadline, self.state()
            self.page.wait_for_timeout(30)

    def shows(self, target: Locator, text: str, *, exact: bool = True) -> None:
        """Wait until an element says this."""

        def said() -> bool:
            now = target.all_inner_texts()
            return any(text == one if exact else text in one for one in now)

        self.until(said)

    def gone(self, target: Locator) -> None:
        """Wait until there is no such element."""
        self.until(lambda: target.count() == 0)

    def node(self, id_: str) -> Locator:
        return self.page.locator(f'.vue-flow__node[data-id="{id_}"]')

    def title(self, id_: str) -> Locator:
        return self.node(id_).locator(".rl-title")

    def port(self, id_: str, side: str, name: str) -> Locator:
        return self.node(id_).locator(f'.vue-flow__handle.{side}[data-handleid="{name}"]')

    def wires(self) -> Locator:
        return self.page.locator(".vue-flow__edge")

    def middle(self, target: Locator) -> tuple[float, float]:
        box = target.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], hold: bool = False
    ) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(start[0] + 8, start[1] + 4)
        mouse.move(*end, steps=6)
        if not hold:
            mouse.up()

    def pull(self, source: Locator, target: Locator, hold: bool = False) -> None:
        self.drag(self.middle(source), self.middle(target), hold)

    def drop_from_palette(self, type_: str, x: float, y: float) -> None:
        item = self.page.locator(f'[data-palette="{type_}"]')
        canvas = self.page.locator(".rl-canvas").bounding_box()
        assert canvas is not None
        item.drag_to(
            self.page.locator(".vue-flow__pane"),
            target_position={"x": x, "y": y},
        )

    def drawn_at(self, id_: str, x: float, y: float) -> None:
        """Wait until a node is drawn where it was put."""
        place = f"translate({x}px, {y}px)"
        self.until(lambda: self.node(id_).evaluate("e => e.style.transform") == place)

    def copied(self) -> str:
        """Copy what is selected; what the clipboard holds then."""
        self.page.evaluate("navigator.clipboard.writeText('')")
        self.page.keyboard.press("Control+c")
        read = "navigator.clipboard.readText()"
        self.page.wait_for_function(f"{read}.then((text) => text !== '')")
        return str(self.page.evaluate(read))

    def empty_spot(self) -> tuple[float, float]:
        box = self.page.locator(".rl-canvas").bounding_box()
        assert box is not None
        return box["x"] + 300, box["y"] + 90
