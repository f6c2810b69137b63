"""Which viewer shows a value: each port type has its own, all else is a tree."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from app.ui import answer, parts, text
from app.ui.run_state import is_answer
from app.ui.viewers.passages import chunks
from app.ui.viewers.pictures import image, is_image
from app.ui.viewers.reading import documents
from app.ui.viewers.tables import table
from app.ui.viewers.texts import long_text
from app.ui.viewers.trees import tree
from app.ui.viewers.view import View

#: A table of one row with at least so many columns is told as names and values.
_WIDE = 6


def show(
    value: Any, found_by: dict[str, list[str]] | None = None, *, view: View | None = None
) -> None:
    """Show one port value."""
    view = view or View(found_by=found_by or {})
    if value is None:
        parts.label(
            "Nothing came out here: the branch was not taken, or nothing was wired to it.",
            "rl-muted rl-small",
        )
    elif is_answer(value):
        answer.show(value, view.found_by, on_node=view.on_node)
        _answer_facts(value)
    elif isinstance(value, dict):
        next(viewer for fits, viewer in _VIEWS if fits(value))(value, view)
    elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        items(value, view)
    elif is_image(value):
        image(value)
    else:
        tree(value, view.path)


def _answer_facts(value: Mapping[str, Any]) -> None:
    confidence = value.get("confidence")
    facts(
        {
            "Model": value.get("model"),
            "Confidence": text.score(confidence) if isinstance(confidence, int | float) else None,
            **usage_facts(value.get("usage")),
        }
    )


def usage_facts(used: Any) -> dict[str, str]:
    """Tokens, calls and cost in words."""
    if not isinstance(used, Mapping):
        return {}

    def number(*names: str) -> float:
        found = (used.get(name) for name in names)
        return next((float(v) for v in found if isinstance(v, int | float)), 0.0)

    read, written = number("prompt_tokens"), number("completion_tokens")
    calls, cost, spared = number("calls"), number("cost_usd"), number("ms")
    shown: dict[str, str] = {}
    if read or written:
        shown["Tokens"] = f"{text.short(int(read))} in, {text.short(int(written))} out"
    if calls:
        shown["Calls"] = text.short(int(calls))
    if cost:
        shown["Cost"] = f"${cost:.4f}" if cost < 0.1 else f"${cost:.2f}"
    if spared:
        shown["Time"] = text.duration(spared)
    return shown


def usage(used: Any, saved: Any = None) -> None:
    """What a step used, and what a reused result saved."""
    spent, spared = usage_facts(used), usage_facts(saved)
    if spent:
        facts(spent)
    if spared:
        words = " · ".join(f"{value}" for value in spared.values())
        parts.label(f"Saved by reusing the result: {words}", "rl-ok rl-small")


def items(values: Sequence[Any], view: View) -> None:
    """A list of values, one at a time."""
    from app.ui.viewers.items import ItemView

    ItemView(values, view)


def _items(value: Mapping[str, Any], view: View) -> None:
    listed: Sequence[Any] = value["items"]
    if not listed:
        parts.label("Nothing was found.", "rl-muted")
        return
    first = listed[0]
    if isinstance(first, dict) and "chunk_id" in first:
        fitting = [item for item in listed if isinstance(item, dict)]
        commit = value.get("commit")
        chunks(
            fitting, value.get("knowledge_base_id"), view=view,
            commit=commit if isinstance(commit, str) else None,
        )  # fmt: skip
    elif isinstance(first, dict) and "filename" in first:
        documents(listed)
    elif isinstance(first, dict) and {"type", "value"} <= first.keys():
        items(listed, view)
    else:
        tree(listed, f"{view.path}.items" if view.path else "items")


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


def _query(value: Mapping[str, Any], _: View) -> None:
    parts.label(str(value["text"]), "rl-prose")
    if value["original"] != value["text"]:
        parts.label(f"Asked as: {value['original']}", "rl-muted rl-small")
    facts(
        {
            "Language": text.language(value.get("language")),
            "Expanded": _arrows(value.get("expansions")),
            "Corrected": _arrows(value.get("corrections")),
            "Found": ", ".join(
                f"{e.get('text')} ({e.get('kind')})"
                for e in value.get("entities") or ()
                if isinstance(e, Mapping)
            ),
            "Filters": json.dumps(value["filters"]) if value.get("filters") else "",
        }
    )


def _arrows(pairs: Any) -> str:
    return ", ".join(f"{k} → {v}" for k, v in dict(pairs or {}).items())


def facts(told: Mapping[str, Any]) -> None:
    """Names and values, those that are there; a function draws its value itself."""
    shown = {k: v for k, v in told.items() if v not in (None, "", [])}
    if not shown:
        return
    with parts.tag("dl", "", "rl-facts"):
        for name, value in shown.items():
            parts.tag("dt", name)
            with parts.tag("dd", "" if callable(value) else str(value)):
                if callable(value):
                    value()


def _text(value: Mapping[str, Any], view: View) -> None:
    content = value["text"]
    if is_image(content):
        image(content)
    else:
        long_text(str(content))


def _scalar(value: Mapping[str, Any], _: View) -> None:
    held = value["value"]
    words = ("No", "Yes")[held] if isinstance(held, bool) else f"{held:g}"
    parts.label(words, "rl-large")


def _data(value: Mapping[str, Any], view: View) -> None:
    data = value["data"]
    if is_image(data):
        image(data)
    else:
        tree(data, f"{view.path}.data" if view.path else "data")


def _table(value: Mapping[str, Any], view: View) -> None:
    columns, rows = value["columns"], value["rows"]
    if len(rows) == 1 and len(columns) >= _WIDE and len(rows[0]) == len(columns):
        facts({str(name): cell for name, cell in zip(columns, rows[0], strict=True)})
    else:
        table(columns, rows, name=view.path or "table")


def _tagged(value: Mapping[str, Any], view: View) -> None:
    parts.label(str(value["type"]), "rl-muted rl-small")
    show(value["value"], view=view)


_Value = Mapping[str, Any]
#: What each shape of JSON data is shown with; the last one takes everything.
_VIEWS: tuple[tuple[Callable[[_Value], bool], Callable[[Any, View], None]], ...] = (
    (lambda v: isinstance(v.get("items"), list), _items),
    (lambda v: "checks" in v and "passed" in v, lambda v, _: verdict(v)),
    (lambda v: isinstance(v.get("original"), str) and isinstance(v.get("text"), str), _query),
    (
        lambda v: isinstance(v.get("columns"), list) and isinstance(v.get("rows"), list),
        _table,
    ),
    (lambda v: set(v) == {"text"}, _text),
    (lambda v: set(v) == {"value"} and isinstance(v["value"], bool | int | float), _scalar),
    (lambda v: set(v) == {"data"}, _data),
    (lambda v: set(v) == {"type", "value"} and isinstance(v["type"], str), _tagged),
    (lambda v: True, lambda v, view: tree(v, view.path)),
)
