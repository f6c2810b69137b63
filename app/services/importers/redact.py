"""Keys, tokens and passwords in files of other systems: taken out before anything is kept."""

from __future__ import annotations

import math
import re
from typing import Any

from app.services.importers.source import clean, words

REMOVED = "(removed)"
#: Longest text, most entries of a list or object, and deepest nesting that a placeholder keeps.
MAX_CHARS, MAX_ITEMS, MAX_DEPTH = 20_000, 200, 12

_NAMES = re.compile(
    r"(^|[_\-. ])(api[_\-. ]?keys?|apikey|access[_\-. ]?keys?|secret\w*|passw(or)?ds?|"
    r"passwd|pwd|pass|token|auth[_\-. ]?token|access[_\-. ]?token|refresh[_\-. ]?token|bearer|"
    r"authorization|credentials?|private[_\-. ]?key|client[_\-. ]?secret|service[_\-. ]?account"
    r"\w*|session[_\-. ]?key|connection[_\-. ]?string|dsn|cookie|webhook[_\-. ]?url|app[_\-. ]?key|"
    r"subscription[_\-. ]?key|signing[_\-. ]?key|encryption[_\-. ]?key|tenant[_\-. ]?key|key)$",
    re.IGNORECASE,
)
#: Names that end like a secret and are none.
_HARMLESS = re.compile(
    r"^(max|min|num|n|total|chunk|prompt|completion|top)[_\-]?tokens?$|^tokens$|"
    r"^(doc|text|memory|sort|primary|foreign|s3[_\-]?file|i18n|input|output|column|conversation)?"
    r"[_\-]?key$",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"""\b(sk|pk|rk|ak|fc|tvly|gsk|hf|pplx|xai|ghp|gho|ghs|glpat|npm|xox[abpr]|AIza|AKIA|ASIA|
    eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.)[-_]?[A-Za-z0-9_\-./+=]{14,}
    |(?<=bearer[ ])[A-Za-z0-9_\-./+=]{8,}
    |(?<=basic[ ])[A-Za-z0-9_\-./+=]{12,}
    |\b[0-9a-f]{32}\.[A-Za-z0-9]{10,}\b
    |-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|\Z)
    |(?<=://)[^/\s:@"']{1,100}:[^/\s@"']{1,200}(?=@)
    |(?<=[?&;])(?:[a-z_\-]*(?:key|token|secret|password|sig|signature))=[^&\s"'<>]{6,}
    |(?i:\b(?:api[_-]?key|secret|token|password|passwd|authorization)["']?\s*[:=]\s*["']?(?:bearer\s+)?)(?!\{\{|\$|<|your)[A-Za-z0-9_\-./+=]{12,}""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a setting of that name usually holds a secret."""
    plain = words(name).replace(" ", "_")
    return bool(_NAMES.search(plain)) and not _HARMLESS.search(plain)


class Redactor:
    """Copies data without its secrets, and counts what it took out."""

    def __init__(self) -> None:
        self.removed = 0
        self.cut = 0

    def text(self, value: str) -> str:
        """The text without what looks like a key."""
        if len(value) < 12:
            return value
        found, count = _VALUES.subn(REMOVED, value)
        self.removed += count
        return found

    def data(self, value: Any, depth: int = 0) -> Any:
        """JSON data without secrets and within limits; a text past them is cut."""
        if isinstance(value, str):
            return self._cut(self.text(clean(value)))
        if value is None or isinstance(value, bool | int | float):
            return _plain_number(value)
        if depth >= MAX_DEPTH:
            self.cut += 1
            return "…"
        if isinstance(value, dict):
            return self._object(value, depth)
        listed = list(value) if isinstance(value, list | tuple) else []
        self.cut += len(listed) > MAX_ITEMS
        return [self.data(item, depth + 1) for item in listed[:MAX_ITEMS]]

    def _cut(self, value: str) -> str:
        if len(value) <= MAX_CHARS:
            return value
        self.cut += 1
        return value[:MAX_CHARS] + "…"

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        self.cut += len(value) > MAX_ITEMS
        kept: dict[str, Any] = {}
        for key, item in list(value.items())[:MAX_ITEMS]:
            name = clean(str(key))[:200]
            if is_secret_name(name) and _holds_something(item):
                self.removed += 1
                kept[name] = REMOVED
            elif is_secret_name(name) and isinstance(item, dict):
                kept[name] = self._field(self.data(item, depth + 1))
            else:
                kept[name] = self.data(item, depth + 1)
        # {"name": "api_key", "value": "…"}, as lists of settings are written.
        named = next(
            (kept[k] for k in ("name", "key", "variable") if isinstance(kept.get(k), str)), ""
        )
        for key in ("value", "default", "text"):
            if named and is_secret_name(named) and isinstance(kept.get(key), str) and kept[key]:
                self.removed += kept[key] != REMOVED
                kept[key] = REMOVED
        return kept

    def _field(self, field: Any) -> Any:
        """A secret written as a field of a form: {"type": "constant", "value": "…"}."""
        if isinstance(field, dict):
            for key in ("value", "default", "text"):
                if isinstance(field.get(key), str) and _holds_something(field[key]):
                    self.removed += field[key] != REMOVED
                    field[key] = REMOVED
        return field


def _holds_something(value: Any) -> bool:
    if isinstance(value, str):
        # A reference to another step, or to a variable of the server, is no secret.
        plain = value.strip()
        return bool(plain) and not re.fullmatch(r"\{\{.{1,200}\}\}|\$\{?\w{1,80}\}?", plain)
    return bool(value) and not isinstance(value, bool | dict)


def _plain_number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**63:
        return float(value) if abs(value) < 10**300 else str(value)[:40]
    return value
