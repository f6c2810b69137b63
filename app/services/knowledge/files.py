"""Original files: where they lie, what is in them, and what their pages look like."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.documents.extract.options import ExtractOptions
from app.documents.guard import ParseLimits, WorkerPool
from app.documents.model import ExtractedDocument
from app.engine.problems import RagloomError
from app.engine.values import Block, Box, Document
from app.services.knowledge.page_render import DAMAGED, NO_SUCH_PAGE
from app.services.problems import in_own_words
from app.services.threads import call
from app.settings import Settings
from storage.blobs import Blobs

#: Widths in pixels that pages are drawn at; what is asked for is rounded up to one of them.
PAGE_WIDTHS = (300, 800, 1_200, 2_000)
_RENDERERS = 2
_RENDER_TIMEOUT_S = 20.0
#: So many are copied in less time than a thread takes to begin.
_FEW_BLOCKS = 100
#: Drawn pages that are kept; the oldest half goes when there are more.
_KEPT_PAGES = 2_000


class FileService:
    """Serves the engine's `Files`; whatever opens a user's file runs in a guarded process."""

    def __init__(self, blobs: Blobs, cache: Path, settings: Settings) -> None:
        self._blobs = blobs
        self._cache = cache
        self._options = ExtractOptions(
            max_pages=settings.max_pages, max_chars=settings.max_text_mb * 1_000_000
        )
        self._pool = WorkerPool(
            settings.parse_workers,
            ParseLimits(timeout_s=settings.parse_timeout_s, memory_mb=settings.parse_memory_mb),
        )
        self._render_slots = asyncio.Semaphore(_RENDERERS)
        self._password: SecretStr | None = None

    def unlocked(self, password: SecretStr) -> FileService:
        """The same files, opened with a password where they need one."""
        unlocked = copy(self)
        unlocked._password = password
        return unlocked

    async def path(self, blob: str) -> Path:
        """Local path of an original. Raises RagloomError “not_found”."""
        with in_own_words():
            return await call(self._blobs.path, blob)

    async def extract(self, document: Document, options: Mapping[str, Any]) -> Document:
        """Return the document with blocks, pages, title, language and metadata filled in.

        `options`: extraction_strategy (comprehensive, auto, fast), ocr (off, auto, force),
        password.
        """
        path = await self.path(document.blob)
        tables = options.get("extraction_strategy") != "fast"
        chosen = self._options.model_copy(
            update={
                "tables": tables,
                "password": options.get("password") or self._password,
                "ocr": options.get("ocr", "off"),
            }
        )
        with in_own_words():
            extracted = await self._pool.extract(path, document.filename, chosen)
        if len(extracted.blocks) <= _FEW_BLOCKS:
            return _filled(document, extracted)
        return await call(_filled, document, extracted)

    async def page_image(self, blob: str, page: int, width: int = 800) -> Path:
        """A PNG of one page (from 1) of a PDF, about `width` pixels wide.

        Raises RagloomError “not_found”, “no_page_image” or “damaged”.
        """
        source = await self.path(blob)
        wide = next((known for known in PAGE_WIDTHS if known >= width), PAGE_WIDTHS[-1])
        target = self._cache / "pages" / f"{blob}-{page}-{wide}.png"
        if not target.is_file():
            async with self._render_slots:
                await self._render(source, page, wide, target)
        return target

    async def close(self) -> None:
        """End the processes."""
        await call(self._pool.close)

    async def _render(self, source: Path, page: int, width: int, target: Path) -> None:
        await call(_make_room, target.parent)
        handle, name = await call(tempfile.mkstemp, ".png", "new-", str(target.parent))
        os.close(handle)
        try:
            code = await _run_renderer(source, page, width, name)
            if code == NO_SUCH_PAGE:
                raise RagloomError(
                    f"There is no page {page}.", code="not_found", fix="Ask for a page it has."
                )
            if code == DAMAGED:
                raise RagloomError(
                    "Only pages of PDF files can be drawn.",
                    code="no_page_image",
                    fix="Open the original file instead.",
                )
            if code != 0:
                raise RagloomError(
                    f"Page {page} could not be drawn within the limits of time and memory.",
                    code="no_page_image",
                    fix="Open the original file instead.",
                )
            await call(Path(name).replace, target)
        finally:
            await call(Path(name).unlink, missing_ok=True)


async def _run_renderer(source: Path, page: int, width: int, target: str) -> int | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.services.knowledge.page_render",
        str(source),
        str(page),
        str(width),
        target,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    try:
        async with asyncio.timeout(_RENDER_TIMEOUT_S):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _make_room(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = list(folder.glob("*.png"))
    if len(pages) > _KEPT_PAGES:
        pages.sort(key=lambda path: path.stat().st_mtime)
        for path in pages[: len(pages) // 2]:
            path.unlink(missing_ok=True)


def _filled(document: Document, extracted: ExtractedDocument) -> Document:
    blocks = tuple(
        Block(
            kind=block.kind,
            text=block.text,
            page=block.page,
            level=block.level,
            boxes=tuple(
                Box(page=box.page, x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1)
                for box in block.boxes
            ),
            cells=block.cells,
            language=block.language,
            info=block.info,
        )
        for block in extracted.blocks
    )
    return document.model_copy(
        update={
            "media_type": extracted.media_type,
            "title": extracted.title,
            "language": extracted.language,
            "pages": extracted.pages,
            "metadata": {**extracted.metadata, **document.metadata},
            "blocks": blocks,
        }
    )
