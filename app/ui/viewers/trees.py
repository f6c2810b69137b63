"""JSON data as a tree: small things as they are, nested ones to unfold, so many at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from nicegui import ui

from app.ui import parts, text
from app.ui.viewers.texts import FOLD, long_text
from app.ui.viewers.view import MAX_TEXT, step

#: Entries shown at first, and with every “Show more”.
ROWS = 40
MORE = 200
#: Copies the path of the entry that was clicked; the page asks the server nothing for it.
_COPY = """(e) => {
  const key = e.target.closest('[data-rl-copy]');
  if (!key) return;
  e.preventDefault();
  ragloom.copy(key.dataset.rlCopy);
  key.classList.add('rl-copied');
  setTimeout(() => key.classList.remove('rl-copied'), 900);
}"""


def tree(value: Any, path: str = "") -> None:
    """Show JSON data; clicking a name copies its path."""
    if isinstance(value, str):
        long_text(value, mono=True)
        return
    if not isinstance(value, dict | list | tuple) or not value:
        parts.label(json.dumps(value, ensure_ascii=False, default=str), "rl-mono rl-small")
        return
    with parts.div("rl-tree-root") as root:
        _level(value, path, 0)
    root.on("click", js_handler=_COPY)


_Level = Mapping[str, Any] | Sequence[Any]


def _level(value: _Level, path: str, depth: int) -> None:
    room = parts.div("rl-tree")
    shown = 0

    def add(count: int) -> None:
        nonlocal shown
        with room:
            for key, part in _slice(value, shown, shown + count):
                _entry(key, part, path, depth, open_it=depth < 1 and len(value) <= 6)
        shown = min(len(value), shown + count)

    add(ROWS)
    if shown >= len(value):
        return
    more = parts.tag("button", "", "rl-more")

    def words() -> None:
        more.text = f"Show {min(MORE, len(value) - shown)} more of {text.short(len(value))}"

    def further() -> None:
        add(MORE)
        if shown >= len(value):
            more.delete()
        else:
            words()

    words()
    more.on("click", further)


def _slice(value: _Level, start: int, stop: int) -> list[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return [(str(k), v) for k, v in islice(value.items(), start, stop)]
    return list(enumerate(value[start:stop], start))


def _entry(key: str | int, part: Any, path: str, depth: int, *, open_it: bool) -> None:
    place = step(path, key)
    if isinstance(part, dict | list | tuple) and part:
        size = text.count(len(part), "key" if isinstance(part, dict) else "item")
        with parts.tag("details") as details:
            with parts.tag("summary", "", "rl-mono rl-small"):
                parts.tag("span", str(key))
                parts.tag("span", size, "rl-muted rl-tree-size")
                _copier("copy path", place, "rl-tree-path")
            inner = parts.div()
        if open_it:
            details.props("open")
            with inner:
                _level(part, place, depth + 1)
        else:
            _lazy(details, inner, part, place, depth)
        return
    with parts.div("rl-tree-leaf rl-mono rl-small"):
        _copier(str(key), place, "rl-tree-key")
        _leaf(part)


def _copier(words: str, place: str, classes: str) -> None:
    button = parts.tag("button", words, classes)
    button.props["data-rl-copy"] = place
    button.props["title"] = f"Copy {place}" if len(place) < 200 else "Copy the path"
    button.props["type"] = "button"


def _leaf(part: Any) -> None:
    if not isinstance(part, str) or len(part) <= FOLD:
        kind = type(part).__name__ if part is not None else "null"
        parts.tag("span", json.dumps(part, ensure_ascii=False, default=str), f"rl-json-{kind}")
        return
    label = parts.tag("span", f"“{part[:FOLD]} …", "rl-json-str")
    more = parts.tag("button", f"{text.short(len(part))} characters", "rl-more")

    def unfold() -> None:
        label.text = f"“{part[:MAX_TEXT]}{'”' if len(part) <= MAX_TEXT else ' …'}"
        more.delete()

    more.on("click", unfold)


def _lazy(details: ui.element, room: ui.element, value: _Level, path: str, depth: int) -> None:
    filled: list[bool] = []

    def fill() -> None:
        if not filled:
            filled.append(True)
            with room:
                _level(value, path, depth + 1)

    details.on("toggle", fill, [])
