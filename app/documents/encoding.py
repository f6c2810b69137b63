"""From bytes to text."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{2,40})", re.IGNORECASE)
_SAMPLE = 64 * 1024
_WIDE = ["utf_7", *(f"utf_{n}{end}" for n in (16, 32) for end in ("", "_le", "_be"))]
_FEW = 200
#: What Windows-1252 text does not have: no letter, or three letters that are not ASCII in a row.
_FOREIGN = re.compile(rb"[\x81\x8d\x8f\x90\x9d]|[\x80-\xff]{3}")

#: Control characters that text has no use for.
_CONTROLS = bytes(byte for byte in range(32) if byte not in (9, 10, 12, 13, 27))


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file are not text in any encoding."""
    if not head or any(head.startswith(bom) for bom, _ in _BOMS):
        return False
    if _utf16_without_bom(head) is not None:
        return False
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return controls > len(head) * 0.02


def decode(data: bytes, *, html: bool = False) -> tuple[str, str]:
    """Return (text, name of the encoding): byte order mark, `<meta charset>`, UTF-8, statistics.

    Never fails: what no guess explains is read as Windows-1252.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            return data.decode(name, "replace"), name
    if (utf16 := _utf16_without_bom(data[:4096])) is not None:
        return data.decode(utf16, "replace"), utf16
    declared = _META_CHARSET.search(data[:4096]) if html else None
    for name in ([declared[1].decode("ascii")] if declared else []) + ["utf-8"]:
        try:
            return data.decode(name), name
        except (UnicodeDecodeError, LookupError):
            continue
    if _damaged_utf8(data):
        return data.decode("utf-8", "replace"), "utf-8"
    name = "cp1252" if _short_western(data) else _guess(data[:_SAMPLE]) or "cp1252"
    return data.decode(name, "replace"), name


def _short_western(data: bytes) -> bool:
    """Whether a text too short for statistics has single accented letters among plain ones."""
    if len(data) > _FEW:
        return False
    high = sum(byte > 127 for byte in data)
    return high * 2 < len(data) and not _FOREIGN.search(data)


def _guess(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    # UTF-16 and UTF-32 were recognised before, by their marks or zeros.
    best = from_bytes(sample, cp_exclusion=_WIDE).best()
    return best.encoding if best is not None else None


def _damaged_utf8(data: bytes) -> bool:
    """Whether the text is UTF-8 but for a few bytes (a cut character, a stray byte)."""
    text = data[:_SAMPLE].decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = sum(ord(c) > 127 for c in text) - bad
    return bad <= max(1, good // 20) and good > 0


def _utf16_without_bom(head: bytes) -> str | None:
    """Western UTF-16 shows as every other byte zero."""
    if len(head) < 4 or b"\x00" not in head:
        return None
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        others = head[0::2] if name.endswith("le") else head[1::2]
        if zeros.count(0) > 0.7 * len(zeros) and others.count(0) < 0.05 * len(others) + 1:
            return name
    return None
