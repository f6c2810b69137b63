"""Differences on a page: legends, settings before and after, texts, passages that moved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from app.documents.media import page_word
from app.services.runs.compare_values import ChunkRank, ValueDiff
from app.services.workflows.diff import DrawnDiff, GraphDiff, NodeDiff
from app.services.workflows.json_diff import Change, TextPart
from app.ui import parts, text, theme

#: Icon and word of each mark; the canvas uses the same.
MARKS = {
    "added": ("add_circle", "Added"),
    "removed": ("remove_circle", "Removed"),
    "changed": ("edit", "Changed"),
    "moved": ("open_with", "Moved"),
    "config": ("tune", "Settings differ"),
    "input": ("login", "Input differs"),
    "output": ("logout", "Output differs"),
    "missing": ("block", "Only in one"),
    "same": ("check", "Same"),
}
#: One of them, and several.
_COUNTED = {
    "added": ("node added", "nodes added"), "removed": ("node removed", "nodes removed"),
    "changed": ("node changed", "nodes changed"), "moved": ("node moved", "nodes moved"),
    "wires_added": ("wire added", "wires added"),
    "wires_removed": ("wire removed", "wires removed"),
    "wires_changed": ("wire changed", "wires changed"),
    "drawn": ("note or group", "notes or groups"), "info": ("other change", "other changes"),
}  # fmt: skip
_MOST = 60
#: Most characters of a value.
_LONGEST = 600


def head() -> None:
    """Add the style of these pages to the page being built."""
    stamp = int((theme.STATIC / "history.css").stat().st_mtime)
    ui.add_head_html(f'<link rel="stylesheet" href="/_ragloom/static/history.css?v={stamp}">')


def summary_words(counts: Mapping[str, int] | None) -> str:
    """How much changed, in words: “2 changed, 1 added”; empty where nothing is known."""
    if not counts:
        return ""
    return ", ".join(
        text.count(counts[key], one, many)
        for key, (one, many) in _COUNTED.items()
        if counts.get(key)
    )


def state(mark: str) -> None:
    """A mark as an icon and a word."""
    icon, word = MARKS[mark]
    with ui.element("span").classes(f"rl-state rl-tone-{mark}"):
        ui.icon(icon)
        parts.tag("span", word)


def legend(counts: Mapping[str, int]) -> None:
    """What the marks on a canvas mean, and how many there are of each."""
    for mark, count in counts.items():
        icon, word = MARKS[mark]
        with ui.element("span").classes(f"rl-tone-{mark}"):
            ui.icon(icon)
            parts.tag("span", f"{word} {count}")


def change_row(change: Change) -> None:
    """A setting before and after."""
    with parts.div("rl-change"):
        parts.tag("span", change.path.removeprefix("config."), "rl-mono")
        if change.text:
            text_parts(change.text)
            return
        with parts.div("rl-change-values"):
            if change.path == "pinned":
                change = change.model_copy(
                    update={"before": _pinned(change.before), "after": _pinned(change.after)}
                )
            if change.kind != "added":
                _value(change.before, "del", "rl-was", "before")
            if change.kind == "changed":
                parts.tag("span", "→", "rl-muted").props("aria-hidden=true")
            if change.kind != "removed":
                _value(change.after, "ins", "rl-now", "now")
            if change.kind != "changed":
                parts.tag("span", change.kind, "rl-muted rl-small")


def change_rows(changes: Sequence[Change], *, more: bool = False) -> None:
    """Settings or places of data before and after, the first of them."""
    for change in changes[:_MOST]:
        change_row(change)
    if more or len(changes) > _MOST:
        parts.label("There are more differences than these.", "rl-muted rl-small")


def text_parts(found: Sequence[TextPart]) -> None:
    """A text with what was taken out and put in."""
    with parts.div("rl-textdiff"):
        for part in found:
            tag = {"added": "ins", "removed": "del"}.get(part.op, "span")
            parts.tag(tag, part.text)


def ranks(rows: Sequence[ChunkRank]) -> None:
    """Passages with their places in both results."""
    with parts.div("rl-table-wrap"), parts.tag("table", "", "rl-ranks"):
        with parts.tag("thead"), parts.tag("tr"):
            for name in ("First", "Second", "Passage"):
                parts.tag("th", name)
        with parts.tag("tbody"):
            for row in rows:
                with parts.tag("tr"):
                    for rank, score in ((row.rank_a, row.score_a), (row.rank_b, row.score_b)):
                        with parts.tag("td"):
                            parts.tag("span", f"#{rank}" if rank else "–", "rl-strong")
                            if score is not None:
                                parts.tag("span", f" {text.score(score)}", "rl-muted rl-small")
                    with parts.tag("td"):
                        parts.label(_moved(row), f"rl-small rl-tone-{_tone(row)}")
                        where = f" · {page_word(row.document_name)} {row.page}" if row.page else ""
                        parts.label(f"{row.document_name}{where}", "rl-small rl-strong")
                        if row.text:
                            text_parts(row.text)
                        else:
                            parts.label(row.snippet, "rl-small rl-muted")


def value_diff(diff: ValueDiff) -> None:
    """How the value of a port differs."""
    with parts.div("rl-change-node"):
        with parts.div("rl-row rl-wrap"):
            parts.tag("span", diff.port, "rl-mono rl-strong")
            parts.tag("span", diff.what, "rl-muted rl-small")
        if diff.text:
            text_parts(diff.text)
        if diff.chunks:
            ranks(diff.chunks)
        change_rows(diff.changes, more=diff.more)


def graph_diff(
    diff: GraphDiff, on_node: Callable[[str], Any], titles: Mapping[str, str]
) -> dict[str, ui.element]:
    """Everything that differs between two versions; returns the boxes of nodes by node id."""
    boxes = {
        node.node_id: _node(node, on_node, titles.get(node.node_id) or node.title)
        for node in diff.nodes
    }
    if diff.edges:
        with parts.div("rl-change-node"):
            parts.label("Wires", "rl-strong")
            for edge in diff.edges[: _MOST * 2]:
                with parts.div("rl-row"):
                    state(edge.change)
                    names = [titles.get(id_) or id_ for id_ in (edge.source, edge.target)]
                    parts.label(
                        f"{names[0]}.{edge.source_port} → {names[1]}.{edge.target_port}",
                        "rl-small rl-ellipsis",
                    )
            if len(diff.edges) > _MOST * 2:
                parts.label(f"and {len(diff.edges) - _MOST * 2} more", "rl-muted rl-small")
    for drawn in diff.drawn[:_MOST]:
        _drawn(drawn)
    if diff.info:
        with parts.div("rl-change-node"):
            parts.label("The workflow itself", "rl-strong")
            change_rows(diff.info)
    return boxes


def _node(node: NodeDiff, on_node: Callable[[str], Any], title: str) -> ui.element:
    with parts.div("rl-change-node") as box:
        with parts.div("rl-row rl-wrap"):
            state(node.change)
            name = parts.tag("button", title, "rl-more rl-strong")
            name.on("click", lambda: on_node(node.node_id))
            parts.tag("span", node.type, "rl-muted rl-small rl-mono")
            if node.moved and node.change == "changed":
                parts.tag("span", "and moved", "rl-muted rl-small")
        change_rows(node.changes)
    return box


def _drawn(drawn: DrawnDiff) -> None:
    with parts.div("rl-change-node"):
        with parts.div("rl-row rl-wrap"):
            state(drawn.change)
            parts.label(f"{drawn.kind.title()} “{drawn.title or drawn.id}”", "rl-strong")
        if drawn.change == "changed":
            change_rows(drawn.changes)


def _value(value: Any, tag: str, classes: str, spoken: str) -> None:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}… ({len(shown):,} characters)"
    element = parts.tag(tag, shown if shown != "" else "empty", f"{classes} rl-mono")
    element.props["aria-label"] = f"{spoken}: {shown or 'empty'}"


def _pinned(outputs: Any) -> str:
    """What is pinned in words: its values are on the canvas."""
    if outputs is None:
        return "not pinned"
    return f"pinned: {', '.join(outputs)}" if isinstance(outputs, dict) else "pinned"


def _moved(row: ChunkRank) -> str:
    if row.rank_a is None:
        return "new in the second run"
    if row.rank_b is None:
        return "not in the second run"
    steps = row.rank_a - row.rank_b
    if steps:
        place = f"{abs(steps)} {'up' if steps > 0 else 'down'}"
        return f"{place}, other text" if row.text else place
    if row.text:
        return "same place, other text"
    return "same place, other " + ("details" if row.score_a == row.score_b else "score")


def _tone(row: ChunkRank) -> str:
    if row.rank_a is None:
        return "added"
    return "removed" if row.rank_b is None else "moved"
