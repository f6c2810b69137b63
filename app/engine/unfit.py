"""Faults that pydantic finds in data, in words of people who write no Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NEEDS = {
    "bool": "true or false", "bytes": "a text", "date": "a day such as 2026-01-31",
    "datetime": "a time such as 2026-01-31T09:00:00Z", "decimal": "a number", "dict": "an object",
    "float": "a number", "frozen": "a list", "int": "a whole number", "iterable": "a list",
    "list": "a list", "mapping": "an object", "model": "an object", "set": "a list",
    "string": "a text", "time": "a time", "tuple": "a list", "url": "an address",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_COUNTED = {"string": "characters", "list": "items", "dictionary": "entries"}


def unfit(item: Mapping[str, Any]) -> str:
    """What is wrong with a value, without a full stop: “it has to be a whole number”.

    `item` is one of pydantic's `errors()`. What a validator of ours says is left as it is.
    """
    kind, context = str(item["type"]), item.get("ctx") or {}
    plain = {"missing": "it is missing", "extra_forbidden": "there is nothing of that name here"}
    said = plain.get(kind) or _length(kind, context)
    if kind in ("literal_error", "enum"):
        said = f"it has to be {_quoted(str(context.get('expected', '')))}"
    elif kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        said = f"it has to be {words} {_number(context.get(name))}"
    elif (
        not said and kind != "string_pattern_mismatch" and kind.split("_", maxsplit=1)[0] in _NEEDS
    ):
        said = f"it has to be {_NEEDS[kind.split('_', maxsplit=1)[0]]}"
    return said or str(item["msg"]).removeprefix("Value error, ").rstrip(".")


def _length(kind: str, context: Mapping[str, Any]) -> str:
    """What is wrong with how long a text or a list is, or nothing."""
    for end, name, words in (
        ("too_short", "min_length", "at least"),
        ("too_long", "max_length", "at most"),
    ):
        number = context.get(name)
        if kind.endswith(end) and number is not None:
            what = "string" if kind.startswith("string") else str(context.get("field_type", ""))
            counted = _COUNTED.get(what.lower(), "items")
            counted = counted.removesuffix("s") if number == 1 else counted
            short = end == "too_short" and number == 1
            return "it is empty" if short else f"it has to have {words} {_number(number)} {counted}"
    return ""


def _quoted(expected: str) -> str:
    """“a”, “b” or “c” for pydantic's 'a', 'b' or 'c'."""
    words = expected.split("'")
    return "".join(f"“{word}”" if at % 2 else word for at, word in enumerate(words))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).removesuffix(".0")
