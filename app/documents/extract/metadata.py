"""What files say about themselves, under the same names whatever the format.

Names: author, created and modified (ISO 8601), subject, keywords (a list), description, and of mail
sender, recipients (a list) and sent (ISO 8601). Formats may add names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.documents.text import one_line

_DATES = frozenset({"created", "modified", "sent"})
_LISTS = frozenset({"keywords", "recipients"})
#: Longest value that is kept: a property is no place for a document.
_MAX_VALUE = 2_000
_MAX_ITEMS = 200
_PART_OF_DATE = re.compile(r"\d{4}(?:-\d{2})?")
#: Days and months by name, as people write them.
_WRITTEN = ("%d %B %Y", "%B %d, %Y", "%d %b %Y", "%b %d, %Y", "%Y/%m/%d", "%d.%m.%Y")


def metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without what is empty, dates as ISO 8601, keywords as a list.

    A date that is none is left out.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _DATES:
            cleaned: Any = iso_date(value)
        elif name in _LISTS:
            cleaned = keywords(value)
        elif isinstance(value, str):
            cleaned = one_line(value)[:_MAX_VALUE]
        else:
            cleaned = value
        if cleaned not in (None, "", [], ()):
            found[name] = cleaned
    return found


def iso_date(value: Any) -> str | None:
    """Return a date or time as ISO 8601 (a year or month alone stays so); None: it is none."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = one_line(str(value or ""))[:60]
    if _PART_OF_DATE.fullmatch(text):
        return text
    try:
        return _iso(text)
    except (ValueError, OverflowError):
        pass
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        pass
    for form in _WRITTEN:
        try:
            return datetime.strptime(text, form).date().isoformat()
        except ValueError:
            continue
    return None


def _iso(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if len(text) <= 10:
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds")


def keywords(value: Any) -> list[str]:
    """Return keywords, given as a list or between commas or semicolons, as a list."""
    if isinstance(value, str):
        value = re.split(r"[;\n]" if ";" in value else r"[,\n]", value)
    if not isinstance(value, list | tuple):
        return []
    words = (one_line(str(word)).strip("\"'[] ")[:200] for word in value[: _MAX_ITEMS * 2])
    return list(dict.fromkeys(word for word in words if word))[:_MAX_ITEMS]
