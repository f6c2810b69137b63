"""Many files of many formats: the shared ones, repeated with edits so that each has its own text."""

from __future__ import annotations

import io
import os
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import documents

DATA = Path(os.environ.get("RAGLOOM_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
_FOLDERS = ("docling-docs", "markitdown-docs", "same-text-14-formats", "claude-docs-rag")
_PLAIN = {".md", ".txt", ".html", ".htm", ".csv", ".rst", ".eml", ".ipynb"}
_ZIPPED = {".docx": b"</w:t>", ".pptx": b"</a:t>", ".xlsx": b"</t>"}
_KINDS = {*_PLAIN, *_ZIPPED, ".pdf"}
#: One book of thousands of pages would decide everything.
_LARGEST = 1_000_000


def mixed_files(count: int, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """(name, content) of so many files; without the shared ones, prose as text and HTML."""
    sources = [
        path
        for folder in _FOLDERS
        for path in sorted((DATA / folder).rglob("*"))
        if path.is_file() and path.suffix.lower() in _KINDS and path.stat().st_size < _LARGEST
    ]
    prose = list(documents().items())
    dice = random.Random(seed)
    dice.shuffle(sources)
    for number in range(count):
        mark = f" edition{number} "
        if sources and number % 4:
            path = sources[(number - number // 4) % len(sources)]
            content = edited(path.suffix.lower(), path.read_bytes(), mark)
            yield f"{number // 100}/{number}-{path.name}", content
        else:
            name, text = prose[number // 4 % len(prose)]
            body = text.replace(". ", f".{mark}", 40)
            yield f"{number // 100}/{number}-{name}", body.encode()


def edited(suffix: str, data: bytes, mark: str) -> bytes:
    """The file with a mark in many of its sentences, where its format lets it; else at its end."""
    if suffix in (".md", ".txt", ".html", ".htm", ".rst"):
        return data.replace(b". ", b"." + mark.encode(), 400)
    if suffix in _ZIPPED:
        return _zipped(data, _ZIPPED[suffix], mark.encode())
    return data + (f"\n% {mark}\n".encode() if suffix == ".pdf" else b"")


def _zipped(data: bytes, tag: bytes, mark: bytes) -> bytes:
    held = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(held, "w") as target:
            for info in source.infolist():
                content = source.read(info)
                if info.filename.endswith(".xml"):
                    content = content.replace(tag, mark + tag)
                target.writestr(info, content)
    except zipfile.BadZipFile:
        return data
    return held.getvalue()
