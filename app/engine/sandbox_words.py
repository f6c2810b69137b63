"""What goes wrong in expressions and templates, in words of people who write no Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

_KINDS = {
    "dict": "an object", "list": "a list", "tuple": "a list", "range": "a list", "str": "a text",
    "int": "a number", "float": "a number", "bool": "yes or no", "NoneType": "nothing",
}  # fmt: skip
_COMPARED = re.compile(r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'")
_LISTED = re.compile(r"'(\w+)' object is not iterable")
#: Most fields that are named.
_SHOWN = 12


def kind(value: Any) -> str:
    """What a value is: “a text”."""
    return _kind(type(value).__name__)


def _kind(name: str) -> str:
    return _KINDS.get(name, "a value of another kind")


def no_field(value: Any, name: Any) -> str:
    """Why a value gives nothing under a name or a number."""
    if isinstance(value, Mapping):
        there = ", ".join(str(key)[:60] for key in islice(value, _SHOWN))
        more = ", …" if len(value) > _SHOWN else ""
        return f"“{name}” is no field there; " + (f"fields: {there}{more}" if there else "none is")
    if isinstance(value, (list, tuple, range)) and isinstance(name, int):
        return f"there is no item {name} in a list of {len(value)}, which begins with item 0"
    return f"{kind(value)} has no field “{name}”"


def no_sum(left: Any, right: Any) -> str:
    """Why two values can be neither added nor subtracted."""
    return f"“+” and “-” work on numbers only, not on {kind(left)} and {kind(right)}"


def said(error: Exception) -> tuple[str, str]:
    """What a filter, a sum or a comparison failed on, and what would work."""
    text = str(error).rstrip(".")
    whole = isinstance(error, TypeError) and "'dict'" in text
    if compared := _COMPARED.search(text):
        sign, left, right = compared.groups()
        text = f"“{sign}” cannot compare {_kind(left)} with {_kind(right)}"
    elif listed := _LISTED.search(text):
        text = f"{_kind(listed.group(1))} is no list"
    if text.startswith("“+”"):
        first = (
            "Name a field, such as n.value" if "an object" in text else "“| float” makes numbers"
        )
        return text, f"{first}; join texts with [a, b] | join."
    if whole:
        return text, (
            "Name a field of the value: n.value of a number or a flag, t.text of a text, "
            "j.data of data."
        )
    if compared:
        return text, "Compare things of one kind: “| float” makes a number of a text."
    return text, "Look at the values that came in, and write what fits them."
