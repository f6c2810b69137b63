"""Values of a flat schema found in text without a model: labels, formats, options.

No understanding: a value is taken where the text writes the field's name in front of it, or where
only one thing in the text has the field's format or is one of its options.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.retrieval.entities import find_entities

_SCALARS = ("string", "number", "integer", "boolean")
_FORMATS = {
    "email": "email", "idn-email": "email", "uri": "url", "url": "url", "iri": "url",
    "date": "date", "date-time": "date",
}  # fmt: skip
_NUMBER = re.compile(r"[-+]?\d[\d,.' ]*")
_YES = frozenset({"yes", "true", "y", "on", "ja", "oui", "sí", "x", "✓"})
_NO = frozenset({"no", "false", "n", "off", "nein", "non", "none", "✗"})
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Characters behind a field's name in which its number is looked for.
_REACH = 60
_MAX_LINES = 20_000


def too_hard_for_patterns(schema: Mapping[str, Any]) -> str:
    """Why patterns cannot fill a schema; empty where they can."""
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, Mapping):
        return "it is not an object with properties"
    if not properties:
        return "it has no properties"
    for name, field in properties.items():
        kind = _kind(field)
        if kind == "array":
            kind = _kind(field.get("items", {})) or "string"
        if kind not in _SCALARS:
            return f"“{name}” is not plain text, a number, yes or no, or a list of these"
    return ""


def find_values(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What the text gives for the properties of a flat schema; others are left out. Blocks."""
    labelled = _labelled(text)
    found: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        value = _find(name, field, text, labelled)
        if value is not None:
            found[name] = value
    return found


def _find(name: str, field: Any, text: str, labelled: Mapping[str, str]) -> Any:
    field = field if isinstance(field, Mapping) else {}
    names = [
        _plain(name),
        *([_plain(field["title"])] if isinstance(field.get("title"), str) else []),
    ]
    given = next((labelled[n] for n in names if n in labelled), None)
    if _kind(field) == "array":
        return _list(field.get("items", {}), given, text)
    if given is not None:
        value = _read(given, field)
        if value is not None:
            return value
    if "enum" in field:
        return _only_option(field["enum"], text)
    if field.get("format") in _FORMATS:
        options = _of_format(text, str(field["format"]))
        return options[0] if len(options) == 1 else None
    if _kind(field) in ("number", "integer"):
        return _number_behind(names, field, text)
    return None


def _list(item: Mapping[str, Any], given: str | None, text: str) -> list[Any] | None:
    if given is not None:
        parts = [part.strip() for part in re.split(r"[;,]", given) if part.strip()]
        read = [_read(part, item) for part in parts[:1_000]]
        values = [value for value in read if value is not None]
        return values or None
    if item.get("format") in _FORMATS:
        return _of_format(text, str(item["format"])) or None
    return None


def _labelled(text: str) -> dict[str, str]:
    """Plain label -> value, of lines “label: value”, “label = value” and two-column rows."""
    found: dict[str, str] = {}
    for line in (row.strip()[:2_000] for row in text.splitlines()[:_MAX_LINES]):
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            pair = (cells[0], cells[1]) if len(cells) == 2 else None
        else:
            cut = re.match(r"[-*•]?\s*([^:=\t]{1,60}?)\s*(?::|=|\t)\s*(\S.*)", line)
            pair = (cut[1], cut[2]) if cut else None
        if pair and pair[1] and not set(pair[1]) <= set("-: "):
            found.setdefault(_plain(pair[0]), pair[1].strip(" *_`").strip())
    return found


def _plain(label: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    return " ".join(re.findall(r"\w+", spaced.replace("_", " ").lower()))


def _read(given: str, field: Mapping[str, Any]) -> Any:
    """A written value as the type of the field; None where it is not one."""
    if "enum" in field:
        same = [o for o in field["enum"] if str(o).casefold() == given.casefold()]
        return same[0] if same else _only_option(field["enum"], given)
    kind = _kind(field)
    if kind in ("number", "integer"):
        match = _NUMBER.search(given)
        return _number(match[0], kind) if match else None
    if kind == "boolean":
        word = given.strip(" .!").casefold()
        return True if word in _YES else False if word in _NO else None
    wanted = field.get("format")
    if wanted in _FORMATS:
        options = _of_format(given, str(wanted))
        return options[0] if options else None
    limit = field.get("maxLength")
    return given if not isinstance(limit, int) or len(given) <= limit else None


def _number(written: str, kind: str) -> float | int | None:
    digits = re.sub(r"[ ']", "", written).rstrip(",.")
    # The last mark with one, two or more than three digits behind it is the decimal one.
    last = max(digits.rfind(","), digits.rfind("."))
    if last >= 0:
        decimals = len(digits) - last - 1
        both = "," in digits and "." in digits
        grouped = decimals == 3 and not both and digits[:last].lstrip("+-") not in ("0", "")
        whole = re.sub(r"[,.]", "", digits[:last])
        digits = whole + digits[last + 1 :] if grouped else f"{whole}.{digits[last + 1 :]}"
    try:
        value = float(digits)
    except ValueError:
        return None
    if kind == "integer":
        return int(value) if value == int(value) else None
    return value


def _number_behind(names: Sequence[str], field: Mapping[str, Any], text: str) -> float | int | None:
    for name in names:
        words = r"[\s_-]+".join(re.escape(word) for word in name.split())
        match = re.search(rf"\b{words}\b", text, re.IGNORECASE) if words else None
        if match:
            sentence = re.split(r"[.!?](?=\s)|\n", text[match.end() : match.end() + _REACH])[0]
            number = _NUMBER.search(sentence)
            if number:
                return _number(number[0], _kind(field))
    return None


def _only_option(options: Sequence[Any], text: str) -> Any:
    lowered = text.casefold()
    there = [
        option
        for option in options
        if option is not None
        and re.search(rf"(?<!\w){re.escape(str(option).casefold())}(?!\w)", lowered)
    ]
    return there[0] if len(there) == 1 else None


def _of_format(text: str, wanted: str) -> list[str]:
    kind = _FORMATS[wanted]
    found = [entity.text for entity in find_entities(text[:200_000]) if entity.kind == kind]
    if kind == "date":
        found = [iso for iso in map(_iso, found) if iso is not None]
    return list(dict.fromkeys(found))


def _iso(written: str) -> str | None:
    """A date as YYYY-MM-DD, where day, month and year are told and cannot be confused."""
    if _ISO.fullmatch(written):
        return written
    parts = re.findall(r"\d+|[A-Za-z]{3,}", written)
    numbers = [part for part in parts if part.isdigit()]
    words = [p[:3].lower() for p in parts if not p.isdigit() and p[:3].lower() in _MONTHS]
    if len(words) == 1 and len(numbers) == 2 and len(numbers[1]) == 4:
        day, month, year = int(numbers[0]), _MONTHS.index(words[0]) + 1, int(numbers[1])
    elif "." in written and len(numbers) == 3 and len(numbers[2]) == 4:
        day, month, year = (int(number) for number in numbers)
    else:
        return None
    return f"{year:04}-{month:02}-{day:02}" if 1 <= day <= 31 and 1 <= month <= 12 else None


def _kind(field: Any) -> str:
    kind = field.get("type") if isinstance(field, Mapping) else None
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), None)
    if kind is None and isinstance(field, Mapping) and "enum" in field:
        return "string"
    return kind if isinstance(kind, str) else ""
