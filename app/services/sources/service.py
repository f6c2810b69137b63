"""Sources: folders, pages and sitemaps whose documents a knowledge base holds and keeps up to date."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from app.engine.problems import RagloomError
from app.services.automation.cron import BadSchedule, next_time
from app.services.broadcast import Broadcast
from app.services.ingestion.service import IngestService
from app.services.sources.checks import (
    check_room,
    checked_location,
    checked_times,
    default_name,
    free_prefix,
    short_name,
)
from app.services.sources.folder import Roots
from app.services.sources.refreshing import Refreshing
from app.services.sources.views import (
    Kind,
    RefreshView,
    SourceItemView,
    SourceSettings,
    SourceView,
    item_view,
    refresh_view,
    source_view,
)
from app.services.threads import call, see_through
from app.services.views import Page
from app.services.web import WebService
from storage.errors import Conflict, NotFound, StorageError
from storage.knowledge import KnowledgeRepository
from storage.source_tables import Source
from storage.sources import SourceRepository, new_source_id

if TYPE_CHECKING:
    from app.services.knowledge.service import KnowledgeService

log = logging.getLogger(__name__)

#: Seconds between looks at a refresh that is about to begin, or goes on elsewhere.
_POLL_S = 0.05


class SourceService:
    """The use cases of sources; `kb` is an id or a name everywhere."""

    def __init__(
        self,
        sources: SourceRepository,
        repository: KnowledgeRepository,
        ingest: IngestService,
        knowledge: KnowledgeService,
        web: WebService,
        roots: Roots,
    ) -> None:
        """`web` decides which hosts may be asked, `roots` which folders may be read."""
        self._sources = sources
        self._repository = repository
        self._ingest = ingest
        self._knowledge = knowledge
        self._web = web
        self._roots = roots
        self._refreshing = Refreshing(
            sources, ingest, web, roots, self._remove_document, self._tell
        )
        self._updates: Broadcast[tuple[str, str]] = Broadcast()
        #: Called where a time was set or moved, by whoever looks at the clock.
        self.rescheduled: Callable[[], None] = lambda: None

    async def recover(self) -> None:
        """Go on with the refreshes that an earlier process left."""
        for row in await call(self._sources.running):
            if not self.busy(row.source_id):
                source = await call(self._sources.get, row.source_id)
                log.info("Going on with the refresh of the source %s", source.id)
                self._refreshing.go(source, row)

    async def close(self) -> None:
        """Stop; refreshes under way go on at the next start."""
        await self._refreshing.close()
        self._updates.close()

    # -- sources ----------------------------------------------------------------------------

    async def list(self, kb: str) -> list[SourceView]:
        """Sources of a knowledge base, oldest first. Raises NotFound."""
        base = await call(self._repository.find, kb)
        return await call(lambda: self._views(self._sources.list(base.id)))

    async def get(self, kb: str, source_id: str) -> SourceView:
        """One source. Raises NotFound."""
        return await self._view(await self._own(kb, source_id))

    async def add(
        self,
        kb: str,
        kind: Kind,
        location: str,
        *,
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        cron: str = "",
        timezone: str = "UTC",
        enabled: bool = True,
        refresh: bool = True,
        trigger: str = "api",
    ) -> SourceView:
        """Add a source and, with `refresh`, begin to take its documents in.

        Raises NotFound; RagloomError where it cannot be asked or read at all (“no_folder”,
        “folder_not_allowed”, “bad_url”, “private_address”, “host_unreachable”, …), BadSchedule.
        """
        base = await call(self._repository.find, kb)
        chosen = SourceSettings.model_validate(settings or {})
        location = await checked_location(kind, location, self._roots, self._web)
        plain, zone, at = await checked_times(cron, timezone, enabled=enabled)
        others = await call(self._sources.list, base.id)
        check_room(others, kind, location)
        now = time.time()
        row = Source(
            id=new_source_id(),
            knowledge_base_id=base.id,
            name=short_name(name) or default_name(kind, location),
            kind=kind,
            location=location,
            prefix=free_prefix(location, others) if kind == "folder" else "",
            settings=chosen.model_dump(),
            cron=plain,
            timezone=zone,
            enabled=enabled,
            next_at=at,
            created_at=now,
            updated_at=now,
        )
        await call(self._sources.add, row)
        self.rescheduled()
        self._tell(row)
        return (
            await self.refresh(base.id, row.id, trigger=trigger)
            if refresh
            else await self._view(row)
        )

    async def change(self, kb: str, source_id: str, **values: Any) -> SourceView:
        """Change name, location, settings (keys not given stay), cron, timezone or enabled.

        Raises as `add` does.
        """
        row = await self._own(kb, source_id)
        given = {name: value for name, value in values.items() if value is not None}
        if "name" in given:
            given["name"] = short_name(given["name"]) or row.name
        if "location" in given:
            given["location"] = await checked_location(
                row.kind, given["location"], self._roots, self._web
            )
        if "settings" in given:
            merged = {**row.settings, **given["settings"]}
            given["settings"] = SourceSettings.model_validate(merged).model_dump()
        if {"cron", "timezone", "enabled"} & given.keys():
            enabled = given.get("enabled", row.enabled)
            given["cron"], given["timezone"], given["next_at"] = await checked_times(
                given.get("cron", row.cron), given.get("timezone", row.timezone), enabled=enabled
            )
            given["note"] = ""
        row = await call(self._sources.change, row.id, given)
        self.rescheduled()
        self._tell(row)
        return await self._view(row)

    async def remove(
        self, kb: str, source_id: str, *, documents: bool = False, author: str = ""
    ) -> None:
        """Forget a source; with `documents`, take its documents out too. Raises NotFound."""
        row = await self._own(kb, source_id)
        await self._refreshing.stop(row.id)
        if documents:
            known = await call(self._sources.known, row.id)
            for item in known.values():
                await self._take_out(row, item.filename if item.sha else "", author)
        await call(self._sources.remove, row.id)
        self._tell(row)

    async def items(
        self,
        kb: str,
        source_id: str,
        limit: int = 50,
        offset: int = 0,
        outcome: str | None = None,
    ) -> Page[SourceItemView]:
        """Files or pages of a source, failed ones first. Raises NotFound."""
        row = await self._own(kb, source_id)

        def read() -> Page[SourceItemView]:
            rows, total = self._sources.items(row.id, limit, offset, outcome)
            names = [item.filename for item in rows if item.filename]
            tasks = self._sources.newest_tasks(row.knowledge_base_id, names)
            items = [item_view(item, tasks.get(item.filename)) for item in rows]
            return Page(items=items, total=total)

        return await call(read)

    async def refreshes(
        self, kb: str, source_id: str, limit: int = 50, offset: int = 0
    ) -> Page[RefreshView]:
        """Reports of the refreshes of a source, newest first. Raises NotFound."""
        row = await self._own(kb, source_id)
        rows, total = await call(self._sources.refreshes, row.id, limit, offset)
        return Page(
            items=[refresh_view(one, self._refreshing.counts(row.id)) for one in rows], total=total
        )

    # -- refreshing -------------------------------------------------------------------------

    async def refresh(
        self, kb: str, source_id: str, *, full: bool = False, trigger: str = "api"
    ) -> SourceView:
        """Begin to look at what changed; with `full`, everything is handed in anew.

        Raises NotFound, Conflict while one is under way.
        """
        row = await self._own(kb, source_id)
        await see_through(self._begin(row, trigger, full=full))
        return await self._view(row)

    async def _begin(self, row: Source, trigger: str, *, full: bool) -> None:
        """Write down that a refresh begins, and begin it: never the one without the other."""
        self._refreshing.go(row, await call(self._sources.begin, row.id, trigger, full=full))

    async def cancel(self, kb: str, source_id: str) -> SourceView:
        """Stop a refresh, and what it has handed in; documents that are in already stay.

        Raises NotFound, RagloomError “conflict” where none is under way.
        """
        row = await self._own(kb, source_id)
        if not await self._refreshing.stop(row.id):
            raise RagloomError(
                f"“{row.name}” is not being refreshed.",
                code="conflict",
                fix="There is nothing to stop.",
            )
        return await self._view(row)

    async def wait(self, kb: str, source_id: str, timeout_s: float | None = None) -> SourceView:
        """The source once its refresh and the documents of it are through, or as it is then."""
        return (await self.wait_through(kb, source_id, timeout_s))[0]

    async def wait_through(
        self, kb: str, source_id: str, timeout_s: float | None = None
    ) -> tuple[SourceView, bool]:
        """The same, and whether they are through."""
        row = await self._own(kb, source_id)
        through = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    if task := self._refreshing.task(row.id):
                        await asyncio.wait([task])
                    last = (await call(self._sources.latest, [row])).get(row.id)
                    if last is None or last.status != "running":
                        break
                    # It is written down a moment before it begins here.
                    await asyncio.sleep(_POLL_S)
                for job_id in [] if last is None else last.jobs:
                    await self._ingest.wait(job_id)
                through = True
        return await self._view(row), through

    def busy(self, source_id: str) -> bool:
        """Whether a source is being refreshed here."""
        return self._refreshing.task(source_id) is not None

    async def watch(self, kb: str) -> AsyncIterator[str]:
        """Ids of sources of a knowledge base as they change, until the server stops."""
        base = await call(self._repository.find, kb)
        watcher = self._updates.join(lambda update: update[0] == base.id)
        try:
            while not watcher.closed:
                await watcher.changed(None)
                for _, source_id in watcher.take():
                    yield source_id
        finally:
            self._updates.leave(watcher)

    # -- times (the loop of the schedules calls these) ---------------------------------------

    async def next_time(self) -> float | None:
        """When the next source is due."""
        return await call(self._sources.next_time)

    async def fire_due(self, now: float) -> None:
        """Refresh what is due: once, however often it was missed while no server ran."""
        for row in await call(self._sources.due, now):
            due = row.next_at
            try:
                values: dict[str, Any] = {"next_at": next_time(row.cron, row.timezone, now)}
            except BadSchedule as error:  # such as a time zone that this machine does not know
                log.warning("The source %s is refreshed no more by itself: %s", row.id, error)
                values = {"next_at": None, "enabled": False, "note": f"It was paused: {error}"}
                await call(self._sources.advance, row.id, due, values)
                self._tell(row)
                continue
            # Whoever moves the time on starts it: with several servers, only one does.
            if not await call(self._sources.advance, row.id, due, values):
                continue
            try:
                await self.refresh(row.knowledge_base_id, row.id, trigger="schedule")
            except (Conflict, NotFound):
                # The refresh before has not ended, or the source has just gone.
                log.info("The source %s was not refreshed at its time", row.id)
            except StorageError:
                log.warning("The source %s could not be refreshed", row.id, exc_info=True)

    # -- inside -----------------------------------------------------------------------------

    async def _own(self, kb: str, source_id: str) -> Source:
        base = await call(self._repository.find, kb)
        row = await call(self._sources.get, source_id)
        if row.knowledge_base_id != base.id:
            raise NotFound("source", source_id)
        return row

    async def _take_out(self, source: Source, filename: str, author: str) -> None:
        kb_id = source.knowledge_base_id
        if not filename or await call(self._sources.shared, kb_id, source.id, filename):
            return
        for document_id in await call(self._sources.documents, kb_id, filename):
            await self._remove_document(kb_id, document_id, author)

    async def _remove_document(self, kb_id: str, document_id: str, author: str) -> None:
        # Somebody may have taken it out by hand before.
        with contextlib.suppress(NotFound):
            await self._knowledge.delete_document(kb_id, document_id, author)

    def _tell(self, source: Source) -> None:
        self._updates.publish(source.id, (source.knowledge_base_id, source.id))

    async def _view(self, row: Source) -> SourceView:
        return (await call(lambda: self._views([self._sources.get(row.id)])))[0]

    def _views(self, rows: _Sources) -> _Views:
        counts = self._sources.item_counts([row.id for row in rows])
        latest = self._sources.latest(rows)
        return [
            source_view(
                row, counts.get(row.id, 0), latest.get(row.id), self._refreshing.counts(row.id)
            )
            for row in rows
        ]


_Sources = list[Source]
_Views = list[SourceView]
