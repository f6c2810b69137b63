"""What could be written next in an expression."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.engine.sandbox import FILTERS, TESTS

#: Suggestions of one kind.
_MOST = 50
_FIELDS_OF_MANY = 5
#: The path that ends at the cursor: names and indexes with dots, and the word being written.
_PATH = re.compile(r"((?:[^\W\d]\w*|\[\d+\])(?:\.\w+|\[\d+\])*)\.(\w*)$")
_WORD = re.compile(r"(\w*)$")
_AFTER_BAR = re.compile(r"\|\s*(\w*)$")
_AFTER_IS = re.compile(r"\bis\s+(?:not\s+)?(\w*)$")
_STRINGS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_WORDS = {
    "and": "both hold", "or": "one of both holds", "not": "does not hold",
    "if": "a if condition else b", "else": "otherwise", "in": "is one of", "is": "passes a test",
    "true": "yes", "false": "no", "none": "nothing",
}  # fmt: skip
_HELP = {"input": "what the run was given", "variables": "values of the workflow"}
_NOTHING = object()


def suggestions(source: str, cursor: int, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See `app.engine.expressions.complete`."""
    before = _STRINGS.sub("''", source[: max(0, min(cursor, len(source)))])
    if before.count("'") % 2 or before.count('"') % 2:
        return []  # inside of a text
    if found := _AFTER_BAR.search(before):
        return _of(found[1], {name: (help_, None) for name, help_ in FILTERS.items()})
    if found := _AFTER_IS.search(before):
        return _of(found[1], dict.fromkeys(sorted(TESTS), ("a test", None)))
    if found := _PATH.search(before):
        value = _look_up(found[1], names)
        return _of(found[2], {key: (_kind(item), item) for key, item in _fields(value).items()})
    word = _WORD.search(before)
    known = {name: (_HELP.get(name) or _kind(value), value) for name, value in names.items()}
    for name, help_ in _HELP.items():
        known.setdefault(name, (help_, None))
    if word and word[1] and source[: cursor - len(word[1])].strip():
        known.update({name: (help_, None) for name, help_ in _WORDS.items()})
    return _of(word[1] if word else "", known)


def _of(begun: str, options: Mapping[str, tuple[str, Any]]) -> list[dict[str, Any]]:
    start = begun.casefold()
    fitting = [name for name in options if name.casefold().startswith(start)]
    return [
        {"text": name, "help": options[name][0], "value": _preview(options[name][1])}
        for name in fitting[:_MOST]
    ]


def _look_up(path: str, names: Mapping[str, Any]) -> Any:
    at: Any = names
    for part in re.findall(r"\w+", path):
        if isinstance(at, Mapping):
            at = at.get(part, _NOTHING)
        elif isinstance(at, (list, tuple)) and part.isdigit() and int(part) < len(at):
            at = at[int(part)]
        else:
            return _NOTHING
    return at


def _fields(value: Any) -> dict[str, Any]:
    """Fields of an object that can be written behind a dot."""
    if not isinstance(value, Mapping):
        return {}
    return {str(k): v for k, v in value.items() if str(k).isidentifier()}


def _kind(value: Any) -> str:
    match value:
        case bool():
            kind = "yes or no"
        case int() | float():
            kind = "a number"
        case str():
            kind = f"a text of {len(value):,} characters"
        case list() | tuple():
            kind = f"a list of {len(value):,}"
        case Mapping():
            fields = list(map(str, value))
            more = ", …" if len(fields) > _FIELDS_OF_MANY else ""
            kind = f"has {', '.join(fields[:_FIELDS_OF_MANY])}{more}" if fields else "has no fields"
        case _:
            kind = "nothing" if value is None else ""
    return kind


def _preview(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return f"{len(value)} items"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text[:400].split())
    return text if len(text) <= 80 else f"{text[:79]}…"
