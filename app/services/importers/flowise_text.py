"""Texts of Flowise: HTML of its editor, and the variables in them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from app.services.importers.source import (
    FILES,
    HISTORY,
    QUESTION,
    UNKNOWN,
    VARIABLE,
    Ref,
    Template,
    mapping,
    split_template,
    text,
)

#: {{ question }}, {{ llmAgentflow_0.output.x }}, {{ $flow.state.next }}, {{ chatOpenAI_0.data.instance }}
VARIABLE_IN_TEXT = re.compile(r"\{\{\s*(\$?[A-Za-z_][\w.$\-]{0,120})\s*\}\}")
#: {question} of older prompt templates.
FIELD_IN_TEXT = re.compile(r"(?<!\{)\{\s*([A-Za-z_]\w{0,60})\s*\}(?!\})")
_BREAKS = re.compile(r"<br\s*/?>|</(?:p|li|h[1-6]|div|tr|pre|ul|ol)>", re.IGNORECASE)
_ITEMS = re.compile(r"<li[^>]{0,500}>", re.IGNORECASE)
_TAGS = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_EDITOR = re.compile(r"\s*<(p|ul|ol|h\d|pre|div|span|blockquote)[\s>]", re.IGNORECASE)


def plain_html(value: Any) -> str:
    """The words of a text that the editor kept as HTML; any other text as it is."""
    written = text(value)
    if not _EDITOR.match(written):
        return written
    lines = _ITEMS.sub("- ", _BREAKS.sub("\n", written))
    return re.sub(r"\n{3,}", "\n\n", html.unescape(_TAGS.sub("", lines))).strip()


def template(value: Any, states: Mapping[str, Ref] | None = None) -> Template:
    """A text with {{ variables }} in it."""
    return split_template(
        plain_html(value), VARIABLE_IN_TEXT, lambda m: reference(m.group(1), states or {})
    )


def reference(name: str, states: Mapping[str, Ref]) -> Ref:
    """What a variable means."""
    if name.startswith("$flow.state."):
        return states.get(name[12:], Ref(UNKNOWN, name))
    for start, step in (("$form.", "@form"), ("$vars.", VARIABLE), ("$iteration", "@item")):
        if name.startswith(start):
            return Ref(step, name[len(start) :].strip("."))
    known = {"question": QUESTION, "chat_history": HISTORY, "file_attachment": FILES}
    if name in known or name.startswith("$"):
        return Ref(known[name]) if name in known else Ref(UNKNOWN, name)
    step, _, rest = name.partition(".")
    rest = rest.removeprefix("data.instance").removeprefix("output").strip(".")
    return Ref(step, rest)


def fields(value: Any, values: Any, states: Mapping[str, Ref]) -> Template:
    """An older prompt with {names}, filled with what its list of values says."""
    try:
        held = mapping(json.loads(values)) if isinstance(values, str) else mapping(values)
    except (ValueError, RecursionError):
        held = {}
    pieces = split_template(text(value), FIELD_IN_TEXT, lambda m: Ref("@field", m.group(1)))
    found: list[str | Ref] = []
    for piece in pieces:
        if isinstance(piece, Ref):
            given = held.get(piece.field)
            if isinstance(given, str) and given:
                found.extend(template(given, states))
            else:
                # What is not filled is what the person types.
                found.append(Ref(QUESTION))
        else:
            found.extend(template(piece.replace("{{", "{").replace("}}", "}"), states))
    return tuple(found)


def parsed(value: Any) -> Any:
    """JSON in a text, as lists of conditions are kept."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def same_name(value: str) -> str:
    """A name without case and punctuation: “Software Engineer” and “softwareEngineer”."""
    return re.sub(r"[\W_]+", "", value).lower()
