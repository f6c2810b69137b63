"""Workbooks of Excel 97–2003 (BIFF8), as small as they can be."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

Cell = str | float | bool
#: First row, last row, first column, last column, from 0.
Merged = tuple[int, int, int, int]


def xls(
    sheets: Mapping[str, Mapping[tuple[int, int], Cell]],
    *,
    hidden: Sequence[str] = (),
    merged: Sequence[Merged] = (),
) -> bytes:
    """Return a workbook; `merged` holds for the first sheet."""
    globals_size = 20 + 4 + sum(4 + 8 + len(name) for name in sheets)
    bodies, heads, at = b"", b"", globals_size
    for number, (name, cells) in enumerate(sheets.items()):
        body = _sheet(cells, merged if number == 0 else ())
        flags = struct.pack("<IBBBB", at, name in hidden, 0, len(name), 0)
        heads += _record(0x85, flags + name.encode("latin-1"))
        bodies += body
        at += len(body)
    return container({"Workbook": _begin(5) + heads + _record(0x0A) + bodies})


def _sheet(cells: Mapping[tuple[int, int], Cell], merged: Sequence[Merged]) -> bytes:
    body = _begin(0x10)
    for (row, column), value in sorted(cells.items()):
        place = struct.pack("<HHH", row, column, 0)
        if isinstance(value, bool):
            body += _record(0x205, place + bytes([value, 0]))
        elif isinstance(value, str):
            text = value.encode("utf-16-le")
            body += _record(0x204, place + struct.pack("<HB", len(text) // 2, 1) + text)
        else:
            body += _record(0x203, place + struct.pack("<d", value))
    if merged:
        ranges = b"".join(struct.pack("<HHHH", *one) for one in merged)
        body += _record(0xE5, struct.pack("<H", len(merged)) + ranges)
    return body + _record(0x0A)


def _begin(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 0, 0, 0x600))


def _record(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def container(streams: Mapping[str, bytes]) -> bytes:
    """Return a compound file with these streams at its top."""
    end, free, root_type, stream_type = 0xFFFFFFFE, 0xFFFFFFFF, 5, 2
    table, sectors, entries = [0xFFFFFFFD, end], b"", []
    for name, stream in streams.items():
        # Short streams would lie elsewhere.
        data = stream.ljust(4096, b"\0")
        data += bytes(-len(data) % 512)
        first, count = len(table), len(data) // 512
        table += [*range(first + 1, first + count), end]
        sectors += data
        entries.append((name, stream_type, first, len(data)))
    entries.insert(0, ("Root Entry", root_type, end, 0))
    directory = b""
    for number, (name, kind, first, size) in enumerate(entries[:4]):
        text = (name + "\0").encode("utf-16-le")
        right = number + 1 if 0 < number < len(entries) - 1 else free
        child = 1 if number == 0 and len(entries) > 1 else free
        directory += text.ljust(64, b"\0") + struct.pack(
            "<HBBIII36xIII", len(text), kind, 1, free, right, child, first, size, 0
        )
    table += [free] * (128 - len(table))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack(
        "<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0
    )
    header += struct.pack("<I", 0) + b"\xff" * 432
    return header + struct.pack("<128I", *table) + directory.ljust(512, b"\0") + sectors
