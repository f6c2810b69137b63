"""What a PDF says about itself: author, subject, keywords and dates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.documents.text import one_line

#: What programs write where nobody filled in a field.
_SAYS_NOTHING = frozenset({"", "anonymous", "unspecified", "untitled", "unknown"})
#: "D:20240103093826+01'00'": everything after the year may be left out.
_DATE = re.compile(
    r"^(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)\D?(\d\d)?)?"
)
_BETWEEN_KEYWORDS = re.compile(r"[;,\n]")


def about(info: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a document from its information dictionary.

    Dates are ISO 8601, with the offset where one is given; one that is none is left out.
    """
    found: dict[str, Any] = {}
    for key, name in (("Author", "author"), ("Subject", "subject")):
        value = one_line(info.get(key, ""))
        if value.strip("()").casefold() not in _SAYS_NOTHING:
            found[name] = value
    words = [one_line(word) for word in _BETWEEN_KEYWORDS.split(info.get("Keywords", ""))]
    if words := [word for word in words if word.casefold() not in _SAYS_NOTHING]:
        found["keywords"] = words
    for key, name in (("CreationDate", "created"), ("ModDate", "modified")):
        if date := iso_date(info.get(key, "")):
            found[name] = date
    return found


def iso_date(date: str) -> str:
    """Return a PDF date ("D:20240103093826+01'00'") as ISO 8601, or "" where it is none."""
    match = _DATE.match(date.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, utc, sign, off_hours, off_minutes = match.groups()
    iso = f"{year}-{month or '01'}-{day or '01'}"
    if hour:
        iso += f"T{hour}:{minute or '00'}:{second or '00'}"
        if sign:
            iso += f"{sign}{off_hours}:{off_minutes or '00'}"
        elif utc:
            iso += "+00:00"
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        return ""
    return iso
