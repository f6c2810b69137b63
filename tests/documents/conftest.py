"""What the tests of documents share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from app.documents.extract import extract
from app.documents.guard import ParseLimits, WorkerPool
from app.documents.model import ExtractedDocument


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    """Two worker processes with a tight limit of memory; of time, what a slow machine takes."""
    opened = WorkerPool(2, ParseLimits(timeout_s=60, memory_mb=1024))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., ExtractedDocument]:
    """Write a file and extract it in this process."""

    def _read(name: str, content: str | bytes, **options: Any) -> ExtractedDocument:
        from app.documents.extract.options import ExtractOptions

        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path, options=ExtractOptions(**options))

    return _read
