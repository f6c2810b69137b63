"""What is wrong with a setting, in words that say what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from app.engine.registry import Registry
from app.ui import text

EXPRESSION = "$expr"

_SECRET_NAME = re.compile(
    r"(?:^|[_\-. ])(?:api[_\- ]?key|apikey|access[_\- ]?key|secret|token|passw(?:or)?d|passphrase"
    r"|authorization|bearer|private[_\- ]?key|credentials?)(?:$|[_\-. ])",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"^(?:Bearer\s+)?(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_\-]{16,}$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: Levels of nested settings that are looked at.
_DEEPEST = 12
NO_KEYS_HERE = (
    "Secrets are not kept in workflows, which are exported and shared. Keys of model providers "
    "belong into the environment of the server; in a header, {{ secret.NAME }} stands for its "
    "variable RAGLOOM_SECRET_NAME."
)


def is_expression(value: Any) -> bool:
    """Whether a setting is computed when the node runs."""
    return isinstance(value, Mapping) and set(value) == {EXPRESSION}


def secret_name(name: str) -> bool:
    """Whether a setting of that name holds a secret: api_key, token, password, but not max_tokens."""
    return bool(_SECRET_NAME.search(_CAMEL.sub("_", name)))


def secret_in(name: str, value: Any) -> str:
    """Path of the first secret in a setting; empty where there is none.

    A reference to a secret, `{{ secret.NAME }}`, and an expression are none.
    """
    return next(_secrets(name, name, value, 0), "")


def _secrets(path: str, name: str, value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST or is_expression(value):
        return
    if isinstance(value, str):
        written = value.strip()
        known = secret_name(name) or _SECRET_VALUE.match(written)
        if known and written and "{{" not in written:
            yield path
    elif isinstance(value, Mapping):
        # A row of a table of names and values: {"name": "password", "value": "…"}.
        label = value.get("name") or value.get("key")
        for key, part in value.items():
            called = str(label) if key == "value" and isinstance(label, str) else str(key)
            yield from _secrets(f"{path}.{key}", called, part, depth + 1)
    elif isinstance(value, list | tuple):
        for position, part in enumerate(value):
            yield from _secrets(f"{path}.{position}", name, part, depth + 1)


def config_errors(registry: Registry, kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Field -> what is wrong with its value, of the settings of a node type."""
    cls = registry.get(kind)
    if cls is None:
        return {}
    found: dict[str, str] = {}
    computed = {name for name, value in values.items() if is_expression(value)}
    try:
        cls.Config.model_validate({k: v for k, v in values.items() if k not in computed})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            name = str(one["loc"][0]) if one["loc"] else ""
            if name not in computed and not is_expression(one.get("input")):
                found.setdefault(name, _at(one["loc"][1:]) + message(one))
    except RecursionError:
        found[""] = "These settings are nested too deep."
    return found


def _at(place: tuple[int | str, ...]) -> str:
    """Where inside a field: “Row 2, name: ”."""
    words = []
    for part in place:
        if isinstance(part, int):
            words.append(f"row {part + 1}")
        elif re.fullmatch(r"[a-z][a-z0-9_]*", part) and part not in _UNION_ARMS:
            words.append(part.replace("_", " "))
    said = ", ".join(words)
    return f"{said[:1].upper()}{said[1:]}: " if said else ""


#: What pydantic puts into the place of an error for the arms of a union.
_UNION_ARMS = frozenset({"str", "int", "float", "bool", "list", "dict", "none"})


def message(error: Mapping[str, Any]) -> str:
    """One error of pydantic as a sentence that says what would be right."""
    context = error.get("ctx") or {}
    kind = str(error["type"])
    simple = _SENTENCES.get(kind)
    if simple is not None:
        try:
            return simple.format(**{k: _plain(v) for k, v in context.items()})
        except (KeyError, IndexError):
            pass
    if kind == "string_too_short":
        least = int(context.get("min_length", 1))
        return "This must not be empty." if least == 1 else f"At least {least} characters."
    if kind == "string_too_long":
        given = error.get("input")
        now = f"; these are {len(given):,}" if isinstance(given, str) else ""
        return f"At most {int(context.get('max_length', 0)):,} characters{now}."
    if kind == "too_short":
        least = int(context.get("min_length", 1))
        return "At least one is needed." if least == 1 else f"At least {least} are needed."
    if kind == "too_long":
        return f"At most {int(context.get('max_length', 0)):,} are allowed."
    words = str(error.get("msg", "It is not valid")).removeprefix("Value error, ").rstrip(".")
    return f"{words[:1].upper()}{words[1:]}."


def _plain(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


_SENTENCES = {
    "missing": "This is needed.",
    "greater_than_equal": "Must be at least {ge}.",
    "less_than_equal": "Must be at most {le}.",
    "greater_than": "Must be more than {gt}.",
    "less_than": "Must be less than {lt}.",
    "multiple_of": "Must be a multiple of {multiple_of}.",
    "int_type": "Must be a whole number, such as 5.",
    "int_parsing": "Must be a whole number, such as 5.",
    "int_from_float": "Must be a whole number, such as 5.",
    "float_type": "Must be a number, such as 0.5.",
    "float_parsing": "Must be a number, such as 0.5.",
    "finite_number": "Must be a number that ends, such as 0.5.",
    "string_type": "Must be a text.",
    "bool_type": "Must be yes or no.",
    "bool_parsing": "Must be yes or no.",
    "list_type": "Must be a list.",
    "tuple_type": "Must be a list.",
    "dict_type": "Must be an object with named values.",
    "model_type": "Must be an object with named values.",
    "literal_error": "Must be one of: {expected}.",
    "enum": "Must be one of: {expected}.",
    "extra_forbidden": "Nothing of this name is known here; remove it.",
    "string_pattern_mismatch": "Must fit the pattern {pattern}.",
    "url_parsing": "Must be an address, such as https://example.org.",
}


def short_value(value: Any, limit: int = 120) -> str:
    """A value in one line, for hints and previews."""
    import json

    if isinstance(value, str):
        line = " ".join(value[: limit * 2].split())
    elif isinstance(value, list | tuple):
        return text.count(len(value), "item")
    elif isinstance(value, Mapping):
        return (
            "{" + ", ".join(str(k) for k in list(value)[:6]) + (", …}" if len(value) > 6 else "}")
        )
    else:
        line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= limit else line[: limit - 1] + "…"
