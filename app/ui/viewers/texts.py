"""Texts: folded where long, and compared with another one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nicegui import ui

from app.services.threads import call
from app.ui import parts, text
from app.ui.viewers.view import MAX_TEXT

#: Longer texts are folded until asked for.
FOLD = 600
#: Lines and characters of each text that are compared.
MAX_LINES = 2_000
MAX_CHARS = 200_000
#: Equal lines beside a difference; more of them are folded.
_AROUND = 2
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")
_LONG_LINE = 160


def long_text(content: str, *, mono: bool = False) -> None:
    """Text, folded where it is long; of a huge one, its beginning."""
    label = parts.label(content[:FOLD], "rl-pre rl-prose" + (" rl-mono" if mono else ""))
    if len(content) <= FOLD:
        return
    label.text = content[:FOLD].rstrip() + " …"
    shown = min(len(content), MAX_TEXT)
    words = f"Show all ({text.short(len(content))} characters)"
    if shown < len(content):
        words = f"Show the first {text.short(shown)} of {text.short(len(content))} characters"
    more = parts.tag("button", words, "rl-more")

    def unfold() -> None:
        label.text = content[:shown] + (" …" if shown < len(content) else "")
        more.delete()

    more.on("click", unfold)


@dataclass(frozen=True)
class Line:
    """A row of a comparison; `left` and `right` are pieces, each with whether it differs."""

    kind: Literal["same", "changed", "removed", "added", "folded"]
    left: tuple[tuple[str, bool], ...] = ()
    right: tuple[tuple[str, bool], ...] = ()
    #: Lines that a folded row stands for.
    count: int = 0


def lines_of(content: str) -> tuple[list[str], bool]:
    """Lines to compare, long ones cut at the ends of sentences; and whether that is all of it."""
    found: list[str] = []
    for line in content[:MAX_CHARS].splitlines():
        found.extend(_SENTENCE.split(line) if len(line) > _LONG_LINE else [line])
        if len(found) > MAX_LINES:
            break
    return found[:MAX_LINES], len(content) <= MAX_CHARS and len(found) <= MAX_LINES


def diff(before: str, after: str, *, fold: bool = True) -> list[Line]:
    """What changed from one text to another, line by line. Blocks; bounded in size."""
    a, b = lines_of(before)[0], lines_of(after)[0]
    rows: list[Line] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            rows.extend(Line("same", ((line, False),), ((line, False),)) for line in a[i1:i2])
            continue
        paired = min(i2 - i1, j2 - j1)
        for k in range(paired):
            left, right = _words(a[i1 + k], b[j1 + k])
            rows.append(Line("changed", left, right))
        rows.extend(Line("removed", ((line, True),)) for line in a[i1 + paired : i2])
        rows.extend(Line("added", (), ((line, True),)) for line in b[j1 + paired : j2])
    return _folded(rows) if fold else rows


_Pieces = tuple[tuple[str, bool], ...]


def _words(before: str, after: str) -> tuple[_Pieces, _Pieces]:
    """The pieces of two lines, those marked that differ."""
    a, b = re.findall(r"\w+|\W", before[:2_000]), re.findall(r"\w+|\W", after[:2_000])
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    if matcher.quick_ratio() < 0.3:
        return ((before, True),), ((after, True),)
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if i1 < i2:
            left.append(("".join(a[i1:i2]), tag != "equal"))
        if j1 < j2:
            right.append(("".join(b[j1:j2]), tag != "equal"))
    if len(before) > 2_000:
        left.append((before[2_000:], False))
    if len(after) > 2_000:
        right.append((after[2_000:], False))
    return tuple(left), tuple(right)


def _folded(rows: list[Line]) -> list[Line]:
    near = {
        at + away
        for at, row in enumerate(rows)
        if row.kind != "same"
        for away in range(-_AROUND, _AROUND + 1)
    }
    result: list[Line] = []
    hidden = 0
    for at, row in enumerate(rows):
        if row.kind == "same" and at not in near:
            hidden += 1
            continue
        if hidden:
            result.append(Line("folded", count=hidden))
            hidden = 0
        result.append(row)
    if hidden:
        result.append(Line("folded", count=hidden))
    return result


class DiffView:
    """Compares a text with another one, chosen from a list or pasted; inline or side by side."""

    def __init__(
        self,
        content: str,
        others: Callable[[], Mapping[str, str]],
        *,
        chosen: str | None = None,
    ) -> None:
        self._content, self._others = content, dict(others())
        self._against = ""
        with parts.div("rl-col") as self.element:
            with parts.div("rl-row rl-wrap"):
                options = {**{name: name for name in self._others}, _PASTED: "A text I paste"}
                first = chosen if chosen in options else next(iter(options))
                self._pick = ui.select(options, value=first, on_change=self.draw)
                self._pick.classes("rl-grow").props["aria-label"] = "Compare with"
                self._mode = ui.toggle(
                    {"inline": "Inline", "beside": "Side by side"}, value="inline",
                    on_change=self.draw,
                ).props(parts.SEGMENTS).classes("rl-segments")  # fmt: skip
            self._paste = ui.textarea(placeholder="Paste the text to compare with")
            self._paste.props("debounce=400").classes("rl-hidden").on_value_change(self.draw)
            self._paste.props["aria-label"] = "Text to compare with"
            self._room = parts.div("rl-diff")
            ui.timer(0.01, self.draw, once=True)

    async def draw(self) -> None:
        """Compare, and show it."""
        pasted = self._pick.value == _PASTED
        self._paste.classes(remove="rl-hidden") if pasted else self._paste.classes("rl-hidden")
        other = str(self._paste.value or "") if pasted else self._others.get(self._pick.value, "")
        rows = await call(diff, other, self._content)
        if self._room.is_deleted:
            return
        self._room.clear()
        with self._room:
            if pasted and not other:
                return
            show_diff(rows, beside=self._mode.value == "beside")
            if not (lines_of(other)[1] and lines_of(self._content)[1]):
                parts.label("Only the beginning of these texts is compared.", "rl-muted rl-small")


_PASTED = "\0pasted"


def show_diff(rows: list[Line], *, beside: bool) -> None:
    """Draw a comparison; removed and added are told by sign and word, not by colour alone."""
    if not any(row.kind not in ("same", "folded") for row in rows):
        parts.label("The texts are the same.", "rl-muted rl-small")
        return
    with parts.div("rl-diff-rows" + (" rl-beside" if beside else "")):
        for row in rows:
            if row.kind == "folded":
                parts.label(f"{text.count(row.count, 'equal line')}", "rl-diff-fold")
            elif beside:
                _cell(row.left, "removed" if row.kind in ("changed", "removed") else "")
                _cell(row.right, "added" if row.kind in ("changed", "added") else "")
            else:
                if row.kind == "same":
                    _cell(row.left, "")
                if row.kind in ("changed", "removed"):
                    _cell(row.left, "removed")
                if row.kind in ("changed", "added"):
                    _cell(row.right, "added")


def _cell(pieces: _Pieces, kind: str) -> None:
    tag = {"removed": "del", "added": "ins"}.get(kind, "div")
    with parts.tag(tag, "", f"rl-diff-line{f' rl-{kind}' if kind else ''}"):
        for piece, differs in pieces:
            parts.tag("mark" if differs and kind else "span", piece)
