"""Comparing values and looking into them: what conditions and switches do."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from app.engine.problems import NodeFailed
from app.engine.values import PortValue

Operator = Literal[
    "is_true", "is_false", "is_empty", "is_not_empty", "equals", "not_equals", "contains",
    "not_contains", "greater", "greater_or_equal", "less", "less_or_equal", "matches", "in",
]  # fmt: skip
#: operator -> how it is read aloud
WORDS: dict[str, str] = {
    "is_true": "is true", "is_false": "is false", "is_empty": "is empty",
    "is_not_empty": "is not empty", "equals": "=", "not_equals": "≠", "contains": "contains",
    "not_contains": "does not contain", "greater": ">", "greater_or_equal": "≥", "less": "<",
    "less_or_equal": "≤", "matches": "matches", "in": "is one of",
}  # fmt: skip
#: Operators that compare with nothing.
UNARY = frozenset({"is_true", "is_false", "is_empty", "is_not_empty"})


def compare(found: Any, operator: str, wanted: Any, *, match_case: bool = False) -> bool:
    """Whether `found` stands in the relation `operator` to `wanted`. Raises NodeFailed.

    With `match_case`, capital and small letters differ.
    """
    if operator in UNARY:
        return _unary(found, operator)
    if operator in ("greater", "greater_or_equal", "less", "less_or_equal"):
        left, right = _number(found), _number(wanted)
        return {
            "greater": left > right,
            "greater_or_equal": left >= right,
            "less": left < right,
            "less_or_equal": left <= right,
        }[operator]
    if operator == "in":
        options = (
            wanted if isinstance(wanted, list) else [p.strip() for p in str(wanted).split(",")]
        )
        return any(same(found, option, match_case=match_case) for option in options)
    if operator in ("equals", "not_equals"):
        return same(found, wanted, match_case=match_case) == (operator == "equals")
    if operator in ("contains", "not_contains"):
        return _contains(found, wanted, match_case) == (operator == "contains")
    return _matches(str(found), str(wanted), match_case)


def _unary(found: Any, operator: str) -> bool:
    empty = found is None or (isinstance(found, str | Sequence | Mapping) and not found)
    if operator == "is_empty":
        return empty
    if operator == "is_not_empty":
        return not empty
    truth = not empty and found is not False and found != 0
    if isinstance(found, str):
        truth = found.strip().lower() not in ("", "false", "no", "0", "off")
    return truth == (operator == "is_true")


def same(a: Any, b: Any, *, match_case: bool = False) -> bool:
    """Whether two values are the same to a person: numbers by size, texts without case.

    With `match_case`, capital and small letters of texts differ.
    """
    if isinstance(a, bool) or isinstance(b, bool):
        return str(a).lower() == str(b).lower()
    try:
        return float(a) == float(b)
    except (TypeError, ValueError):
        return _text(a, match_case) == _text(b, match_case)


def _contains(found: Any, wanted: Any, match_case: bool) -> bool:
    # Of a mapping, its keys.
    if isinstance(found, Mapping | Sequence) and not isinstance(found, str):
        return any(same(item, wanted, match_case=match_case) for item in found)
    return _text(wanted, match_case) in _text(found, match_case)


def _text(value: Any, match_case: bool) -> str:
    return str(value) if match_case else str(value).casefold()


def _number(value: Any) -> float:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return float(len(value))
    try:
        return float(value)
    except (TypeError, ValueError):
        raise NodeFailed(
            f"“{value}” is not a number.",
            code="bad_comparison",
            fix="Choose a field that holds a number, or another operator.",
        ) from None


def _matches(text: str, pattern: str, match_case: bool) -> bool:
    """Wildcards * and ? over the whole text; regular expressions can be made to run for ever."""
    return fnmatch.fnmatchcase(_text(text[:10_000], match_case), _text(pattern, match_case))


def look_up(value: Any, path: str) -> Any:
    """Follow a dotted path through models, mappings and sequences."""
    at = value
    for name in [part for part in path.split(".") if part]:
        if isinstance(at, BaseModel) and name in type(at).model_fields:
            at = getattr(at, name)
        elif isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, Sequence) and not isinstance(at, str) and name.isdigit():
            at = at[int(name)] if int(name) < len(at) else None
        elif name == "length" and isinstance(at, Sequence | Mapping):
            at = len(at)
        else:
            known = _names(at)
            raise NodeFailed(
                f"There is no field “{name}” in {_kind(at)}.",
                code="unknown_field",
                fix=f"Use one of: {', '.join(map(str, known))}." if known else "Correct the field.",
                found=path,
                expected=known,
            )
    return _held(at) if not path else at


def _names(value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    return [str(key) for key in value] if isinstance(value, Mapping) else []


def _held(value: Any) -> Any:
    """What a number, flag, text, data, or list of things holds."""
    for name in ("value", "text", "data", "items"):
        if isinstance(value, PortValue) and set(type(value).model_fields) == {name}:
            return getattr(value, name)
    return value


def _kind(value: Any) -> str:
    return value.type_name if isinstance(value, PortValue) else f"a {type(value).__name__}"
