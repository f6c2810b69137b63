"""Documents that were read: their blocks by kind, each with its page beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.documents.media import page_word
from app.ui import parts, text
from app.ui.viewers.passages import sheet
from app.ui.viewers.tables import table
from app.ui.viewers.texts import long_text

#: Documents that are listed, and blocks that are shown at first and with every “Show more”.
_LISTED, _BLOCKS = 20, 30
_ICONS = {
    "heading": "title", "paragraph": "notes", "list": "format_list_bulleted",
    "table": "table_chart", "code": "code", "image": "image",
}  # fmt: skip


def documents(listed: Sequence[Any]) -> None:
    """Documents, each with what is known about it and what was read."""
    for document in listed[:_LISTED]:
        if isinstance(document, Mapping):
            _document(document)
    if len(listed) > _LISTED:
        parts.label(f"and {len(listed) - _LISTED:,} more", "rl-muted rl-small")


def _document(document: Mapping[str, Any]) -> None:
    blocks = [b for b in document.get("blocks") or () if isinstance(b, Mapping)]
    with parts.div("rl-chunk"):
        with parts.div("rl-row"):
            ui.icon("description")
            parts.label(str(document.get("filename")), "rl-strong rl-ellipsis rl-grow")
            parts.label(text.size(int(document.get("size") or 0)), "rl-muted rl-small")
        pages = document.get("pages")
        word = page_word(str(document.get("filename")))
        told = [text.count(pages, word) if isinstance(pages, int) and pages else ""]
        told += [languages(blocks) or text.language(document.get("language"))]
        told += [text.count(len(blocks), "block") if blocks else "not extracted yet"]
        parts.label(" · ".join(f for f in told if f), "rl-muted rl-small")
        _facts(document)
        if blocks:
            _Blocks(document, blocks)


def languages(blocks: Sequence[Mapping[str, Any]]) -> str:
    """“English 12, German 3”: how many blocks are in each language, where they are told apart."""
    found = Counter(str(b["language"]) for b in blocks if b.get("language"))
    if len(found) < 2:
        return ""
    return ", ".join(f"{text.language(code)} {n}" for code, n in found.most_common(5))


def _facts(document: Mapping[str, Any]) -> None:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return
    told = {"Title": document.get("title")}
    for name, value in list(metadata.items())[:20]:
        if isinstance(value, str | int | float):
            told[text.words(str(name))] = str(value)[:300]
        elif isinstance(value, list) and all(isinstance(v, str) for v in value):
            told[text.words(str(name))] = ", ".join(value)[:300]
    shown = {name: value for name, value in told.items() if value}
    if shown:
        with parts.tag("dl", "", "rl-facts"):
            for name, value in shown.items():
                parts.tag("dt", name)
                parts.tag("dd", str(value))


class _Blocks:
    """Blocks of one document, unfolded on demand; of one kind, where one is chosen."""

    def __init__(self, document: Mapping[str, Any], blocks: Sequence[Mapping[str, Any]]) -> None:
        self._blob = str(document.get("blob") or "")
        self._page_word = page_word(str(document.get("filename")))
        self._drawable = document.get("media_type") == "application/pdf" and bool(self._blob)
        self._blocks = list(enumerate(blocks))
        self._kind = ""
        self._shown = 0
        self._page: int | None = None
        self._kinds = Counter(str(block.get("kind") or "text") for block in blocks)
        with parts.tag("details", "", "rl-more-panel").mark("what-was-read") as details:
            parts.tag("summary", "What was read")
            self._room = parts.div("rl-col")
        self._filled = False
        details.on("toggle", self._fill, [])

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        with self._room:
            if len(self._kinds) > 1:
                self._chips = parts.div("rl-row rl-wrap rl-gap-4")
                self._draw_chips()
            with parts.div("rl-reading"):
                self._list = parts.div("rl-col rl-gap-4")
                if self._drawable:
                    self._sheet = parts.div("rl-reading-page")
            self._more = parts.tag("button", "Show more", "rl-more")
            self._more.on("click", self._add)
        self._add()

    def _draw_chips(self) -> None:
        self._chips.clear()
        with self._chips:
            for kind, count in self._kinds.most_common():
                chip = parts.tag("button", text.count(count, kind), "rl-chip")
                chip.props["aria-pressed"] = "true" if kind == self._kind else "false"
                if kind == self._kind:
                    chip.classes("rl-on")
                chip.on("click", partial(self._choose, kind))

    def _choose(self, kind: str) -> None:
        self._kind = "" if kind == self._kind else kind
        self._draw_chips()
        self._list.clear()
        self._shown, self._page = 0, None
        self._add()

    def _add(self) -> None:
        fitting = [
            (at, block)
            for at, block in self._blocks
            if not self._kind or str(block.get("kind") or "text") == self._kind
        ]
        with self._list:
            for at, block in fitting[self._shown : self._shown + _BLOCKS]:
                self._block(at, block)
        self._shown = min(len(fitting), self._shown + _BLOCKS)
        left = len(fitting) - self._shown
        self._more.text = f"Show more ({left:,} left)"
        self._more.classes(remove="rl-hidden") if left else self._more.classes("rl-hidden")

    def _block(self, at: int, block: Mapping[str, Any]) -> None:
        page = block.get("page")
        if isinstance(page, int) and page != self._page:
            self._page = page
            with parts.div("rl-row rl-reading-head"):
                parts.label(f"{text.words(self._page_word)} {page}", "rl-small rl-strong")
                if self._drawable:
                    show = parts.tag("button", "Show the page", "rl-more")
                    show.on("click", partial(self._show_page, page, None))
        kind = str(block.get("kind") or "text")
        with parts.div(f"rl-block rl-is-{kind}") as element:
            with parts.div("rl-row rl-gap-4"):
                ui.icon(_ICONS.get(kind, "notes")).classes("rl-muted").style("font-size: 15px")
                words = [f"{kind} {block['level']}" if block.get("level") else kind]
                words += [str(block["info"])] if block.get("info") else []
                words += [text.language(block.get("language"))]
                parts.label(" · ".join(w for w in words if w), "rl-muted rl-small rl-grow")
                if self._drawable and block.get("boxes"):
                    button = parts.icon_button(
                        "center_focus_strong", "Show where it stands",
                        partial(self._show_block, block),
                    )  # fmt: skip
                    button.classes("rl-tiny")
            _content(kind, block, at)
        element.props["data-rl-kind"] = kind

    def _show_block(self, block: Mapping[str, Any]) -> None:
        boxes = [b for b in block.get("boxes") or () if isinstance(b, Mapping)]
        page = next((b.get("page") for b in boxes if isinstance(b.get("page"), int)), None)
        if isinstance(page, int):
            self._show_page(page, boxes)

    def _show_page(self, page: int, boxes: Sequence[Mapping[str, Any]] | None) -> None:
        from app.ui.pages.knowledge.files import blob_page_href

        if boxes is None:
            boxes = [
                box
                for _, block in self._blocks
                for box in block.get("boxes") or ()
                if isinstance(box, Mapping) and box.get("page") == page
            ]
        self._sheet.clear()
        with self._sheet:
            sheet(blob_page_href(self._blob, page), page, boxes)
            parts.label(f"Page {page}", "rl-sheet-number")


def _content(kind: str, block: Mapping[str, Any], at: int) -> None:
    words = str(block.get("text") or "")
    cells = block.get("cells")
    if kind == "table" and isinstance(cells, list | tuple) and len(cells) > 1:
        table(cells[0], cells[1:], name=f"table-{at + 1}")
    elif kind == "code":
        parts.tag("pre", words[:20_000], "rl-mono rl-small rl-reading-code")
    elif kind == "heading":
        parts.label(words[:2_000], "rl-strong")
    else:
        long_text(words)
