"""How values of each port type are shown, from their JSON data. Everything is plain text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.ui import answer, parts, text
from app.ui.run_state import is_answer

#: Longer texts are folded, longer lists cut, until asked for.
FOLD = 600
ROWS = 20


def show(value: Any, found_by: dict[str, list[str]] | None = None) -> None:
    """Show one port value."""
    if value is None:
        parts.label("Nothing came out here: the branch was not taken.", "rl-muted rl-small")
    elif is_answer(value):
        answer.show(value, found_by)
        _facts({"Model": value.get("model"), "Confidence": text.score(value.get("confidence"))})
    elif isinstance(value, dict):
        next(view for fits, view in _VIEWS if fits(value))(value)
    elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        for part in value[:ROWS]:
            show(part, found_by)
    else:
        tree(value)


def _value(value: Any) -> None:
    words = ("No", "Yes")[value] if isinstance(value, bool) else f"{value:g}"
    parts.label(words, "rl-large")


def long_text(content: str, *, mono: bool = False) -> None:
    """Text, folded where it is long."""
    label = parts.label(content[:FOLD], "rl-pre rl-prose" + (" rl-mono" if mono else ""))
    if len(content) <= FOLD:
        return
    label.text = content[:FOLD].rstrip() + " …"
    more = parts.tag("button", f"Show all ({text.short(len(content))} characters)", "rl-more")

    def unfold() -> None:
        label.text = content
        more.delete()

    more.on("click", unfold)


def _items(value: Mapping[str, Any]) -> None:
    items: Sequence[Any] = value["items"]
    if not items:
        parts.label("Nothing was found.", "rl-muted")
        return
    first = items[0]
    if isinstance(first, dict) and "chunk_id" in first:
        chunks(items, value.get("knowledge_base_id"))
    elif isinstance(first, dict) and "filename" in first:
        for document in items[:ROWS]:
            with parts.div("rl-chunk"):
                with parts.div("rl-row"):
                    ui.icon("description")
                    parts.label(str(document["filename"]), "rl-strong rl-ellipsis rl-grow")
                    parts.label(text.size(int(document.get("size") or 0)), "rl-muted rl-small")
                blocks = document.get("blocks") or ()
                facts = [f"{document['pages']} pages" if document.get("pages") else ""]
                facts += [text.language(document.get("language"))]
                facts += [text.count(len(blocks), "block") if blocks else "not extracted yet"]
                parts.label(" · ".join(f for f in facts if f), "rl-muted rl-small")
    else:
        tree(items)


def chunks(items: Sequence[Mapping[str, Any]], kb: str | None, *, limit: int = 10) -> None:
    """Passages as cards, best first."""
    scores = [float(c["score"]) for c in items if c.get("score") is not None]
    top = max(1.0, *scores) if scores else None
    room = parts.div("rl-col")

    def add(part: Sequence[Mapping[str, Any]], start: int) -> None:
        with room:
            for rank, chunk in enumerate(part, start + 1):
                chunk_card(chunk, rank, kb, top)

    add(items[:limit], 0)
    if len(items) > limit:
        more = parts.tag("button", f"Show all {len(items)}", "rl-more")

        def rest() -> None:
            add(items[limit:], limit)
            more.delete()

        more.on("click", rest)


def condensed(content: str) -> str:
    """A passage without empty lines, for a card that shows its beginning."""
    return "\n".join(line for line in content.splitlines() if line.strip())[:900]


def chunk_card(
    chunk: Mapping[str, Any], rank: int | None, kb: str | None, top: float | None = None
) -> ui.element:
    """One passage: rank, source, page, score, text."""
    href = None
    if kb and chunk.get("document_id"):
        path = f"/knowledge/{quote(str(kb))}/documents/{quote(str(chunk['document_id']))}"
        href = f"{path}?chunk={quote(str(chunk['chunk_id']))}"
    content = str(chunk.get("content", ""))
    with parts.div("rl-chunk") as card:
        with parts.div("rl-row"):
            if rank is not None:
                parts.label(str(rank), "rl-rank")
            name = str(chunk.get("document_name") or "")
            with parts.link(href) if href else parts.div() as source:
                source.classes("rl-strong rl-small rl-ellipsis")
                parts.tag("span", name)
            parts.label(answer.place(dict(chunk)), "rl-muted rl-small rl-ellipsis rl-grow")
            with parts.div():
                parts.score(chunk.get("score"), top)
                if chunk.get("scores"):
                    ui.tooltip(
                        " · ".join(f"{k} {text.score(v)}" for k, v in dict(chunk["scores"]).items())
                    )
        folded = len(content) > 320
        start = condensed(content) if folded else content
        body = parts.label(start, "rl-chunk-text" + (" rl-folded" if folded else ""))
        if folded:
            more = parts.tag("button", "Show all", "rl-more")

            def unfold() -> None:
                body.text = content
                body.classes(remove="rl-folded")
                more.delete()

            more.on("click", unfold)
    return card


def verdict(value: Mapping[str, Any]) -> None:
    """Pass or fail, and every check with its reason."""
    passed = bool(value.get("passed"))
    with parts.div("rl-row"):
        parts.badge(
            "Passed" if passed else "Failed",
            "ok" if passed else "danger",
            "check" if passed else "close",
        )
        parts.score(value.get("confidence"))
        parts.label("confidence", "rl-muted rl-small")
    for check in value.get("checks") or ():
        with parts.div("rl-row").style("align-items: flex-start"):
            ui.icon("check_circle" if check["passed"] else "cancel").classes(
                "rl-ok" if check["passed"] else "rl-danger"
            ).style("font-size: 18px; margin-top: 1px")
            with parts.div("rl-col rl-grow").style("gap: 0"):
                parts.label(text.words(str(check["name"])), "rl-strong rl-small")
                parts.label(str(check["reason"]), "rl-muted rl-small rl-prose")
            parts.score(check.get("score"))
    for reason in value.get("reasons") or ():
        parts.label(str(reason), "rl-small rl-prose")


def _query(value: Mapping[str, Any]) -> None:
    parts.label(str(value["text"]), "rl-prose")
    if value["original"] != value["text"]:
        parts.label(f"Asked as: {value['original']}", "rl-muted rl-small")
    facts = {
        "Language": text.language(value.get("language")),
        "Expanded": ", ".join(f"{k} → {v}" for k, v in (value.get("expansions") or {}).items()),
        "Corrected": ", ".join(f"{k} → {v}" for k, v in (value.get("corrections") or {}).items()),
        "Found": ", ".join(f"{e['text']} ({e['kind']})" for e in value.get("entities") or ()),
        "Filters": json.dumps(value["filters"]) if value.get("filters") else "",
    }
    _facts(facts)


def _facts(facts: Mapping[str, Any]) -> None:
    shown = {k: v for k, v in facts.items() if v not in (None, "", [])}
    if not shown:
        return
    with parts.tag("dl", "", "rl-facts"):
        for name, value in shown.items():
            parts.tag("dt", name)
            parts.tag("dd", str(value))


facts = _facts


def table(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under named columns, the first of them."""
    if not rows:
        parts.label("No rows.", "rl-muted rl-small")
        return
    with parts.div("rl-table-wrap"), parts.tag("table", "", "rl-table"):
        with parts.tag("thead"), parts.tag("tr"):
            for column in columns:
                parts.tag("th", str(column))
        with parts.tag("tbody"):
            for row in rows[: ROWS * 5]:
                with parts.tag("tr"):
                    for cell in row:
                        parts.tag("td", "" if cell is None else str(cell))
    if len(rows) > ROWS * 5:
        parts.label(
            f"and {text.count(len(rows) - ROWS * 5, 'more row', 'more rows')}", "rl-muted rl-small"
        )


def tree(value: Any, depth: int = 0) -> None:
    """JSON data: small things as they are, nested ones to unfold."""
    if isinstance(value, str):
        long_text(value, mono=True)
        return
    if not isinstance(value, dict | list) or not value:
        parts.label(json.dumps(value, ensure_ascii=False, default=str), "rl-mono rl-small")
        return
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    with parts.div("rl-tree"):
        for name, part in pairs[: ROWS * 2]:
            if isinstance(part, dict | list) and part:
                size = f"{len(part)} " + ("keys" if isinstance(part, dict) else "items")
                with parts.tag("details") as details:
                    with parts.tag("summary", "", "rl-mono rl-small"):
                        parts.tag("span", str(name))
                        parts.tag("span", size, "rl-muted").style("margin-left: 8px")
                    inner = parts.div()
                if depth < 1 and len(pairs) <= 6:
                    details.props("open")
                    with inner:
                        tree(part, depth + 1)
                else:
                    _lazy(details, inner, part, depth)
            else:
                with parts.div("rl-tree-leaf rl-mono rl-small"):
                    parts.tag("span", f"{name}: ", "rl-muted")
                    written = json.dumps(part, ensure_ascii=False, default=str)
                    parts.tag("span", written if len(written) < FOLD else written[:FOLD] + " …")
        if len(pairs) > ROWS * 2:
            parts.label(f"and {len(pairs) - ROWS * 2} more", "rl-muted rl-small")


def _lazy(details: ui.element, room: ui.element, value: Any, depth: int) -> None:
    filled: list[bool] = []

    def fill() -> None:
        if not filled:
            filled.append(True)
            with room:
                tree(value, depth + 1)

    details.on("toggle", fill)


_Value = Mapping[str, Any]
#: What each shape of JSON data is shown with; the last one takes everything.
_VIEWS: tuple[tuple[Callable[[_Value], bool], Callable[[Any], None]], ...] = (
    (lambda v: isinstance(v.get("items"), list), _items),
    (lambda v: "checks" in v and "passed" in v, verdict),
    (lambda v: "original" in v and "text" in v, _query),
    (lambda v: "columns" in v and "rows" in v, lambda v: table(v["columns"], v["rows"])),
    (lambda v: set(v) == {"text"}, lambda v: long_text(str(v["text"]))),
    (lambda v: set(v) == {"value"}, lambda v: _value(v["value"])),
    (lambda v: set(v) == {"data"}, lambda v: tree(v["data"])),
    (lambda v: True, tree),
)
