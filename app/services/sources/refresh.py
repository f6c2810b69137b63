"""One refresh of a source: list, compare, hand in what changed, take out what is gone.

What became of each item is written down with the batch that hands it in, so that a refresh that
was killed goes on with the items it had not come to.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.engine.problems import RagloomError
from app.services.ingestion.service import IngestService
from app.services.problems import explain
from app.services.sources.readers import Found, Items, Read, Reader
from app.services.sources.web import marked_name
from app.services.threads import call
from app.services.views import JobView
from app.services.web_address import WebError
from storage.source_tables import Source, SourceItem, SourceRefresh
from storage.sources import Known, SourceRepository

#: What one batch holds at most: the first documents are searchable while others are still fetched.
_BATCH_FILES = 25
_BATCH_BYTES = 32 * 1024 * 1024
#: Outcomes written together where nothing is to be handed in.
_BATCH_UNCHANGED = 200
#: A batch waits no longer than this for more.
_PATIENCE_S = 2.0

#: Takes a document out of the knowledge base of a source.
Remove = Callable[[str, str, str], Awaitable[None]]


@dataclass(slots=True)
class Batch:
    """Items to be written down together."""

    rows: list[SourceItem] = field(default_factory=list)
    files: list[Any] = field(default_factory=list)
    size: int = 0
    #: When the first came.
    since: float = 0.0

    def is_full(self) -> bool:
        """Whether it has to go now."""
        return bool(self.rows) and (
            len(self.files) >= _BATCH_FILES
            or self.size >= _BATCH_BYTES
            or len(self.rows) >= _BATCH_UNCHANGED
            or time.monotonic() - self.since > _PATIENCE_S
        )


class Refresh:
    """A refresh under way; `run` takes it to its end."""

    def __init__(
        self,
        repository: SourceRepository,
        ingest: IngestService,
        remove: Remove,
        reader: Reader,
        source: Source,
        row: SourceRefresh,
        *,
        remove_gone: bool,
        changed: Callable[[Refresh], None],
    ) -> None:
        self.source = source
        #: The row as it was last written.
        self.row = row
        #: Items by outcome so far.
        self.counts: Counter[str] = Counter()
        self._repository = repository
        self._ingest = ingest
        self._remove = remove
        self._reader = reader
        self._remove_gone = remove_gone
        self._changed = changed
        self._known: dict[str, Known] = {}
        #: Names of documents -> the item that has it.
        self._names: dict[str, str] = {}
        self._again: set[str] = set()

    async def run(self) -> None:
        """Do it. Raises RagloomError where the source as a whole cannot be read, StorageFull."""
        try:
            self.counts.update(await self._call(self._repository.counts))
            items = await self._reader.list()
            self._known = await call(self._repository.known, self.source.id)
            self._names = {known.filename: key for key, known in self._known.items()}
            self._again = await call(self._repository.cancelled, self.source.id)
            await self._listed(len(items.found), items.notes)
            await self._look_at(items.found)
            await self._settle(items)
        finally:
            await self._reader.close()

    # -- what is there ----------------------------------------------------------------------

    async def _look_at(self, found: Sequence[Found]) -> None:
        """Read a few at once and take them in their order: names are given by it."""
        number = self.row.number
        todo = (
            item
            for item in found
            if (known := self._known.get(item.key)) is None or known.seen < number
        )
        ahead: deque[tuple[Found, asyncio.Task[Read]]] = deque()
        batch = Batch()
        try:
            while True:
                for item in itertools.islice(todo, self._reader.at_once - len(ahead)):
                    ahead.append((item, asyncio.create_task(self._read(item))))
                if not ahead:
                    break
                item, reading = ahead[0]
                done, _ = await asyncio.wait([reading], timeout=_PATIENCE_S)
                if done:
                    ahead.popleft()
                    await self._take(item, reading, batch)
                if batch.is_full():
                    await self._write(batch)
                    batch = Batch()
            await self._write(batch)
        finally:
            for _, reading in ahead:
                reading.cancel()
            await asyncio.gather(*(reading for _, reading in ahead), return_exceptions=True)

    async def _read(self, item: Found) -> Read:
        known = self._known.get(item.key)
        anew = self.row.full or known is None or known.filename in self._again
        return await self._reader.read(item, None if anew else known)

    async def _take(self, item: Found, reading: asyncio.Task[Read], batch: Batch) -> None:
        """Put an item that was read into a batch; that it failed is an outcome like others."""
        known = self._known.get(item.key)
        try:
            row = self._row_of(item, known, reading.result(), batch)
        except (RagloomError, OSError) as error:
            is_gone = isinstance(error, WebError) and error.code == "gone"
            if is_gone and known is not None and known.sha:
                row = await self._gone(item.key, known)
            else:
                row = self._failed(item.key, known, error)
        if not batch.rows:
            batch.since = time.monotonic()
        batch.rows.append(row)
        self.counts[row.outcome] += 1
        self._changed(self)

    def _row_of(self, item: Found, known: Known | None, read: Read, batch: Batch) -> SourceItem:
        filename, outcome, now = (
            self._name(item.key, known, read.filename),
            "unchanged",
            time.time(),
        )
        changed_at = now if known is None else known.changed_at
        if read.file is not None:
            outcome = "changed" if known is not None and known.sha else "added"
            read.file.filename, changed_at = filename, now
            batch.files.append(read.file)
            batch.size += read.size
        return SourceItem(
            source_id=self.source.id,
            key=item.key,
            filename=filename,
            etag=read.etag,
            last_modified=read.last_modified,
            stamp=read.stamp,
            sha=read.sha,
            size=read.size,
            outcome=outcome,
            seen=self.row.number,
            checked_at=now,
            changed_at=changed_at,
        )

    def _name(self, key: str, known: Known | None, wished: str) -> str:
        """The name of an item's document: the one it has, else a free one."""
        if known is not None and known.sha:
            return known.filename
        name = wished
        if self._names.get(name, key) != key:
            name = marked_name(wished, key)
        self._names[name] = key
        return name

    def _failed(self, key: str, known: Known | None, error: Exception) -> SourceItem:
        if isinstance(error, RagloomError):
            problem = explain(error).data()
        else:
            reason = getattr(error, "strerror", None) or str(error)
            problem = {
                "code": "unreadable",
                "message": f"{key} cannot be read: {reason}.",
                "fix": "Check that the file exists and may be read.",
            }
        return self._row(key, known, "failed", error=problem)

    async def _write(self, batch: Batch) -> None:
        """Hand in the files of a batch, then write down what became of its items."""
        if not batch.rows:
            return
        job_id = None
        if batch.files:
            job = await self._ingest.submit(
                self.source.knowledge_base_id, batch.files, author=self._author
            )
            job_id = job.job_id
            self._refused(batch.rows, job)
        await self._call(self._repository.record, batch.rows, job_id)
        if job_id is not None:
            self.row.jobs = [*self.row.jobs, job_id]
            self._changed(self)

    def _refused(self, rows: Sequence[SourceItem], job: JobView) -> None:
        """Files that were refused at once have failed; the next refresh reads them again."""
        errors = {result.filename: result.error for result in job.results if result.error}
        for row in rows:
            if row.outcome in ("added", "changed") and row.filename in errors:
                self.counts[row.outcome] -= 1
                self.counts["failed"] += 1
                row.outcome, row.error = "failed", errors[row.filename]
                known = self._known.get(row.key)
                row.sha = "" if known is None else known.sha
                row.stamp = row.etag = row.last_modified = ""

    # -- what is not ------------------------------------------------------------------------

    async def _settle(self, items: Items) -> None:
        """Deal with what is known and was not listed, where the list can be trusted."""
        unseen = await self._call(self._repository.unseen)
        if not unseen:
            return
        if not items.whole:
            await self._listed(len(items.found), [*items.notes, _NOT_WHOLE])
            return
        if not items.found:
            # An empty folder is more often a drive that is not connected than a wish.
            await self._listed(0, [*items.notes, _NOTHING_LEFT])
            return
        for at in range(0, len(unseen), _BATCH_FILES):
            rows = []
            for item in unseen[at : at + _BATCH_FILES]:
                rows.append(await self._gone(item.key, self._known[item.key]))
                self.counts[rows[-1].outcome] += 1
            await self._call(self._repository.record, rows)
            self._changed(self)

    async def _gone(self, key: str, known: Known) -> SourceItem:
        """What is to be done about an item that is gone: its document goes too, if so wanted."""
        if not self._remove_gone:
            return self._row(key, known, "gone")
        kb_id, source_id = self.source.knowledge_base_id, self.source.id
        if known.sha and not await call(self._repository.shared, kb_id, source_id, known.filename):
            for document_id in await call(self._repository.documents, kb_id, known.filename):
                await self._remove(kb_id, document_id, self._author)
        return self._row(key, None, "removed", filename=known.filename)

    # -- common -----------------------------------------------------------------------------

    @property
    def _author(self) -> str:
        return f"source {self.source.name}"

    def _row(self, key: str, known: Known | None, outcome: str, **values: Any) -> SourceItem:
        """An item that was not read, with what is known of it as far as that still holds."""
        facts: dict[str, Any] = {"filename": ""}
        if known is not None:
            facts = {name: getattr(known, name) for name in _FACTS}
        return SourceItem(
            source_id=self.source.id,
            key=key,
            outcome=outcome,
            seen=self.row.number,
            checked_at=time.time(),
            **{**facts, **values},
        )

    async def _listed(self, total: int, notes: Sequence[str]) -> None:
        await self._call(self._repository.listed, total, notes)
        self.row.total, self.row.notes = total, list(notes)
        self._changed(self)

    async def _call(self, method: Callable[..., Any], *args: Any) -> Any:
        return await call(method, self.source.id, self.row.number, *args)


_FACTS = ("filename", "etag", "last_modified", "stamp", "sha", "size", "changed_at")
_NOT_WHOLE = "The list is not complete, so nothing was taken for gone."
_NOTHING_LEFT = "Nothing at all was found any more, so nothing was taken for gone."
