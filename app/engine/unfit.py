"""Faults that pydantic finds in data, in words of people who write no Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NEEDS = {
    "bool": "true or false", "bytes": "a text", "date": "a day such as 2026-01-31",
    "datetime": "a time such as 2026-01-31T09:00:00Z", "decimal": "a number", "dict": "an object",
    "float": "a number", "frozen_dict": "an object", "frozen_set": "a list",
    "int": "a whole number", "iterable": "a list", "list": "a list", "mapping": "an object",
    "model": "an object", "set": "a list", "string": "a text",
    "time": "a time of day such as 09:00:00", "time_delta": "a duration such as 01:30:00",
    "tuple": "a list", "url": "an address",
}  # fmt: skip
#: What follows the name of a type where the data is none of that type: longer ones first.
_NONE_OF_IT = (
    "_attributes_type", "_type", "_from_datetime_parsing", "_from_datetime_inexact",
    "_from_date_parsing", "_parsing", "_from_float", "_unicode", "_invalid_encoding",
    "_object_invalid", "_syntax_violation",
)  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
#: What has a length, for one and for several.
_COUNTED = {"string": ("character", "characters"), "dictionary": ("entry", "entries")}


def unfit(item: Mapping[str, Any]) -> str:
    """What is wrong with a value, without a full stop: “it has to be a whole number”.

    `item` is one of pydantic's `errors()`. What a validator of ours says is left as it is.
    """
    kind, context = str(item["type"]), item.get("ctx") or {}
    plain = {
        "missing": "it is missing",
        "extra_forbidden": "there is nothing of that name here",
        "int_parsing_size": "it has too many digits",
    }
    said = plain.get(kind) or _length(kind, context)
    if kind in ("literal_error", "enum"):
        said = f"it has to be {_quoted(str(context.get('expected', '')))}"
    elif kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        said = f"it has to be {words} {_number(context.get(name))}"
    elif not said and (needs := _needs(kind)):
        said = f"it has to be {needs}"
    return said or str(item["msg"]).removeprefix("Value error, ").rstrip(".")


def _needs(kind: str) -> str:
    """What data of no fitting type would have to be, or nothing."""
    end = next((end for end in _NONE_OF_IT if kind.endswith(end)), "")
    return _NEEDS.get(kind.removesuffix(end), "") if end else ""


def _length(kind: str, context: Mapping[str, Any]) -> str:
    """What is wrong with how long a text or a list is, or nothing."""
    for end, name, words in (
        ("too_short", "min_length", "at least"),
        ("too_long", "max_length", "at most"),
    ):
        number = context.get(name)
        if kind.endswith(end) and number is not None:
            what = "string" if kind.startswith("string") else str(context.get("field_type", ""))
            one, several = _COUNTED.get(what.lower(), ("item", "items"))
            counted = one if number == 1 else several
            short = end == "too_short" and number == 1
            return "it is empty" if short else f"it has to have {words} {_number(number)} {counted}"
    return ""


def _quoted(expected: str) -> str:
    """“a”, “b” or “c” for pydantic's 'a', 'b' or 'c'."""
    words = expected.split("'")
    return "".join(f"“{word}”" if at % 2 else word for at, word in enumerate(words))


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).removesuffix(".0")
