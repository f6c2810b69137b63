"""Refreshes of sources that are under way on this server."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from app.services.ingestion.service import IngestService
from app.services.problems import explain
from app.services.sources.folder import Roots
from app.services.sources.readers import FolderReader, Reader, SitemapReader, UrlReader
from app.services.sources.refresh import Refresh
from app.services.sources.views import SourceSettings
from app.services.sources.web import Crawler
from app.services.threads import call
from app.services.web import WebService
from storage.errors import NotFound, StorageError
from storage.source_tables import Source, SourceRefresh
from storage.sources import SourceRepository

log = logging.getLogger(__name__)

#: Sources that are refreshed side by side; further ones wait.
_AT_ONCE = 2
#: Largest page that is fetched, in bytes: it is held in memory until it is stored.
MAX_PAGE_BYTES = 50 * 1024 * 1024
#: Between attempts to write down how a refresh ended, while the disk is full.
_BACKOFF_S = (0.2, 1.0, 5.0, 15.0)

#: Takes a document out: knowledge base, document, author.
Remove = Callable[[str, str, str], Awaitable[None]]


class Refreshing:
    """Runs refreshes to their written end. Belongs to the event loop."""

    def __init__(
        self,
        sources: SourceRepository,
        ingest: IngestService,
        web: WebService,
        roots: Roots,
        remove: Remove,
        tell: Callable[[Source], None],
    ) -> None:
        self._sources = sources
        self._ingest = ingest
        self._web = web
        self._roots = roots
        self._remove = remove
        self._tell = tell
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._refreshes: dict[str, Refresh] = {}
        self._cancelling: set[str] = set()
        self._closed = False

    async def close(self) -> None:
        """Stop; what is under way goes on at the next start."""
        self._closed = True
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def task(self, source_id: str) -> asyncio.Task[None] | None:
        """The refresh of a source, if it is under way here."""
        return self._running.get(source_id)

    def counts(self, source_id: str) -> Mapping[str, int]:
        """What the refresh of a source has done so far."""
        refresh = self._refreshes.get(source_id)
        return {} if refresh is None else dict(refresh.counts)

    def go(self, source: Source, row: SourceRefresh) -> None:
        """Begin a refresh, or go on with it."""
        if self._closed:
            return  # it begins at the next start
        task = asyncio.create_task(self._work(source, row), name=f"refresh {source.id}")
        self._running[source.id] = task
        self._tell(source)

    async def _work(self, source: Source, row: SourceRefresh) -> None:
        refresh = self._refreshes[source.id] = Refresh(
            self._sources,
            self._ingest,
            self._remove,
            self._reader(source),
            source,
            row,
            remove_gone=SourceSettings.model_validate(source.settings).remove_gone,
            changed=lambda refresh: self._tell(refresh.source),
        )
        try:
            status, error = await self._ran(refresh)
            await self._ended(row, status, error)
        finally:
            self._refreshes.pop(source.id, None)
            self._running.pop(source.id, None)
            self._tell(source)

    async def _ran(self, refresh: Refresh) -> tuple[str, dict[str, Any] | None]:
        """Status and error of a refresh at its end."""
        source = refresh.source
        try:
            async with self._slots:
                await refresh.run()
        except asyncio.CancelledError:
            if source.id not in self._cancelling:
                raise  # the server stops: it goes on at the next start
            for job_id in refresh.row.jobs:
                await self._ingest.cancel(job_id)
            return "cancelled", None
        except NotFound as failure:
            log.info("The source %s is gone, or what it needs: %s", source.id, failure)
            return "failed", explain(failure).data()
        except Exception as failure:
            # Whatever it was, it must be said where people look.
            return "failed", explain(failure).data()
        return "completed", None

    async def _ended(self, row: SourceRefresh, status: str, error: dict[str, Any] | None) -> None:
        """Write down how a refresh ended, as soon as that can be written."""
        for wait_s in itertools.chain(_BACKOFF_S, itertools.repeat(_BACKOFF_S[-1])):
            try:
                await call(self._sources.end, row.source_id, row.number, status, error=error)
            except NotFound:
                return  # the source was removed meanwhile
            except StorageError:
                log.warning("The end of a refresh cannot be written; trying again", exc_info=True)
                await asyncio.sleep(wait_s)
            else:
                return

    def _reader(self, source: Source) -> Reader:
        settings = SourceSettings.model_validate(source.settings)
        limit = self._ingest.limits.file_bytes
        if source.kind == "folder":
            return FolderReader(
                source.location, source.prefix, settings, self._roots, max_file_bytes=limit
            )
        crawler = Crawler(self._web, max_bytes=min(limit, MAX_PAGE_BYTES), pause_s=settings.pause_s)
        if source.kind == "url":
            return UrlReader(source.location, crawler)
        return SitemapReader(source.location, settings, crawler)

    async def stop(self, source_id: str) -> bool:
        """Stop the refresh of a source; False when none is under way here."""
        task = self._running.get(source_id)
        if task is None:
            return False
        self._cancelling.add(source_id)
        try:
            task.cancel()
            await asyncio.wait([task])
        finally:
            self._cancelling.discard(source_id)
        return True
