"""One port and its value: searched, compared, copied, downloaded, and shown large."""

from __future__ import annotations

import re
from typing import Any

from nicegui import ui

from app.services.threads import call
from app.ui import parts, text
from app.ui.viewers.texts import DiffView
from app.ui.viewers.values import show
from app.ui.viewers.view import MAX_COPY, MAX_HITS, View, as_json, find, weight

#: A download larger than this would fill the memory of a browser.
_MAX_DOWNLOAD = 400_000_000


class PortPanel:
    """Head with the tools, and the viewer of the value's type below it."""

    def __init__(
        self, heading: str, port: str, value: Any, view: View, *, large: bool = True
    ) -> None:
        self._heading, self._port, self._value, self._view = heading, port, value, view
        self._weight = weight(value, MAX_COPY)
        self._turn = 0
        with parts.div("rl-port"):
            with parts.div("rl-row rl-port-head"):
                parts.label(heading, "rl-muted rl-small")
                parts.label(port, "rl-mono rl-small rl-grow rl-ellipsis")
                if value is not None:
                    self._tools(large=large)
            self._search = parts.div("rl-col rl-gap-4 rl-hidden")
            self._body = parts.div("rl-col")
            with self._body:
                show(value, view=view)

    @property
    def text(self) -> str | None:
        """The text of a value that is one, to compare it with others."""
        return text_of(self._value)

    def _tools(self, *, large: bool) -> None:
        parts.icon_button("search", "Search in it", self.toggle_search).mark(f"search-{self._port}")
        if self.text is not None:
            parts.icon_button("difference", "Compare with another text", self._compare)
        if self._weight <= MAX_COPY:
            parts.icon_button("content_copy", "Copy as JSON", self._copy)
        parts.icon_button("download", "Download as JSON", self._download)
        if large:
            parts.icon_button("open_in_full", "Show large", self._enlarge)

    async def _copy(self) -> None:
        ui.clipboard.write((await as_json(self._value)).decode())
        parts.toast("Copied.")

    async def _download(self) -> None:
        if weight(self._value, _MAX_DOWNLOAD) > _MAX_DOWNLOAD:
            parts.toast("This value is too large to download here; read it over REST.")
            return
        name = re.sub(r"[^\w.-]+", "-", self._port)[:60] or "value"
        ui.download.content(await as_json(self._value), f"{name}.json", "application/json")

    def _compare(self) -> None:
        content = self.text or ""
        with parts.dialog(f"Compare {self._port}", wide=True) as box:
            DiffView(content, self._view.texts)
            with parts.div("rl-dialog-actions"):
                parts.bare("Close", lambda: box.submit(None))
        box.on_value_change(lambda e: None if e.value else box.delete())
        box.open()

    def _enlarge(self) -> None:
        with ui.dialog() as box, parts.div("rl-dialog rl-large-view"):
            with parts.div("rl-row"):
                parts.label(f"{self._heading} {self._port}", "rl-large rl-grow rl-ellipsis")
                parts.icon_button("close", "Close", lambda: box.submit(None))
            PortPanel(self._heading, self._port, self._value, self._view, large=False)
        box.on_value_change(lambda e: None if e.value else box.delete())
        box.open()

    def toggle_search(self) -> None:
        """Open or close the search."""
        if "rl-hidden" not in self._search.classes:
            self._search.classes("rl-hidden")
            self._search.clear()
            self._body.classes(remove="rl-hidden")
            return
        self._search.classes(remove="rl-hidden")
        with self._search:
            entry = ui.input(
                placeholder="Find in this value",
                on_change=lambda e: self._find(str(e.value or "")),
            ).props("debounce=250 autofocus clearable")
            entry.props["aria-label"] = f"Find in {self._port}"
            self._hits = parts.div("rl-col rl-gap-4")
            self._hits.props["aria-live"] = "polite"

    async def _find(self, wanted: str) -> None:
        self._turn += 1
        turn = self._turn
        found, whole = await call(find, self._value, wanted.strip(), self._view.path)
        if turn != self._turn or self._hits.is_deleted:
            return
        self._hits.clear()
        searching = bool(wanted.strip())
        if searching:
            self._body.classes("rl-hidden")
        else:
            self._body.classes(remove="rl-hidden")
            return
        with self._hits:
            words = text.count(len(found), "place")
            if not whole:
                words = f"The first {words}" if len(found) >= MAX_HITS else f"{words} so far"
            parts.label(f"{words}." if found or not whole else "Not found.", "rl-muted rl-small")
            for hit in found:
                with parts.div("rl-hit"):
                    with parts.div("rl-hit-text rl-small"):
                        parts.tag("span", hit.before)
                        parts.tag("mark", hit.match)
                        parts.tag("span", hit.after)
                    path = parts.tag("button", hit.path, "rl-more rl-mono rl-ellipsis")
                    path.props["data-rl-copy"] = hit.path
                    path.props["title"] = "Copy the path"
                    path.on(
                        "click", js_handler="(e) => ragloom.copy(e.currentTarget.dataset.rlCopy)"
                    )


def text_of(value: Any) -> str | None:
    """The text of a value that is one: a text, a question, an answer."""
    if isinstance(value, str):
        return value
    held = value.get("text") if isinstance(value, dict) else None
    return held if isinstance(held, str) else None
