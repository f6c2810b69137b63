"""A document beside its chunks in the browser: pages or text left, the list right, edited in place.

What is shown is read a window at a time, by number; a document of any length opens at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.services.container import Services
from app.services.knowledge.corrections import CorrectionService
from app.services.views import CorrectionView, PassageView, PassageWindow
from app.ui import answer, parts, passage_parts
from app.ui.expecting import Expecting
from storage.ids import chunk_id

#: Chunks that are read at once, at most; and those in front of the one that is looked for.
_MOST, _BEFORE = 60, 20


class DocumentView(ui.element, component="document_view.js"):
    """Shows the chunks of a document and what is done to them."""

    def __init__(
        self, services: Services, kb: str, document_id: str, *, href: str, pages: int,
        author: Callable[[], Awaitable[str]], corrected: Callable[[], Awaitable[None]],
    ) -> None:  # fmt: skip
        super().__init__()
        self._services, self._kb, self._document_id = services, kb, document_id
        self._author, self._corrected = author, corrected
        self._props["paged"], self._props["pageCount"], self._props["href"] = pages > 0, pages, href
        #: Whether a correction is being made.
        self.busy = False
        self._chosen = -1
        self.on("ready", self._ready)
        self.on("need", self._need)
        self.on("page", self._page)
        self.on("act", self._act)
        self.on("chosen", self._chose)

    @property
    def corrections(self) -> CorrectionService:
        """What changes chunks."""
        return self._services.corrections

    def begin_at(self, number: int | None) -> None:
        """Show this chunk once the page is there; without one, the beginning."""
        self._chosen = -1 if number is None else number

    async def go(self, number: int | None) -> None:
        """Show a chunk now, with all numbers read anew."""
        self._chosen = -1 if number is None else number
        await self._send(max(0, self._chosen - _BEFORE), _MOST, at=self._chosen, fresh=True)

    async def renew(self) -> None:
        """Read the chunks anew in place, unless one is being edited."""
        await self._send(
            max(0, self._chosen - _BEFORE), _MOST, at=self._chosen, fresh=True, quiet=True
        )

    def undo(self, done: CorrectionView, what: str, number: int) -> None:
        """Say what was done, with the way back."""

        async def back() -> None:
            with Expecting() as met:
                await self.corrections.restore(
                    self._kb, self._document_id, done.previous_version_id,
                    expected=done.version_id, author=await self._author(), message=f"Undo: {what}",
                )  # fmt: skip
            if met.error:
                parts.failed(met.error)
            await self.go(number)
            await self._corrected()

        with self:  # the button that was pressed may be gone by now
            parts.toast(f"{what}.", undo=back)

    async def _ready(self, _: GenericEventArguments) -> None:
        await self.go(self._chosen)

    async def _need(self, event: GenericEventArguments) -> None:
        count = min(_MOST, int(event.args["count"]))
        await self._send(int(event.args["from"]), count, at=event.args.get("at"))

    async def _page(self, event: GenericEventArguments) -> None:
        page = int(event.args["page"])
        found = await self._services.passages.on_page(self._kb, self._document_id, page)
        self._put(found, keep=True)

    def _chose(self, event: GenericEventArguments) -> None:
        self._chosen = int(event.args["n"])
        id_ = chunk_id(str(event.args["version"]), self._chosen)
        ui.run_javascript(f"history.replaceState(null, '', '?chunk={id_}')")

    async def _send(
        self, offset: int, count: int, *, at: int | None = None, fresh: bool = False,
        quiet: bool = False,
    ) -> None:  # fmt: skip
        with Expecting() as met:
            found = await self._services.passages.window(self._kb, self._document_id, offset, count)
        if met.error:
            parts.failed(met.error)
            return
        self._put(found, at=at, fresh=fresh, quiet=quiet)

    def _put(
        self, found: PassageWindow, *, at: int | None = None, fresh: bool = False,
        keep: bool = False, quiet: bool = False,
    ) -> None:  # fmt: skip
        self.run_method(
            "put",
            {
                "version": found.version_id,
                "total": found.total,
                "items": [_data(item) for item in found.items],
                "at": at,
                "fresh": fresh,
                "keep": keep,
                "quiet": quiet,
            },
        )

    async def _act(self, event: GenericEventArguments) -> None:
        number, op = int(event.args["n"]), str(event.args["op"])
        self.busy = True
        try:
            with Expecting() as met:
                done = await self._do(op, number, event.args)
                await self.go(number)
                await self._corrected()
            if met.error:
                parts.failed(met.error)
                if met.code not in ("conflict", "not_found"):
                    self.run_method("free")
                    return
                await self.go(number)
                if "text" in event.args:  # what was typed is not lost
                    self.run_method("again", {"n": number, "text": str(event.args["text"])})
                return
        finally:
            self.busy = False
        self.undo(done, _DONE[op].format(number + 1, number + 2), number)

    async def _do(self, op: str, number: int, told: dict[str, Any]) -> CorrectionView:
        version = str(told["version"])
        ids = [chunk_id(version, number), chunk_id(version, number + 1)]
        place, author = (self._kb, self._document_id), await self._author()
        if op == "merge":
            return await self.corrections.merge(*place, ids, author=author)
        if op == "replace":
            return await self.corrections.change(
                *place, ids[0], content=str(told["text"]), author=author
            )
        if op == "split":
            return await self._split(ids[0], str(told["text"]), int(told["at"]), author)
        return await self.corrections.change(
            *place, ids[0], disabled=op == "disable", author=author
        )

    async def _split(self, id_: str, draft: str, at: int, author: str) -> CorrectionView:
        """Split where the cursor is; what was typed before is taken along."""
        place = (self._kb, self._document_id)
        # The browser counts as UTF-16 does.
        before = draft.encode("utf-16-le")[: 2 * at].decode("utf-16-le", "ignore")
        lead = len(draft) - len(draft.lstrip())
        written = await self.corrections.change(*place, id_, content=draft, author=author)
        now = written.chunks[0].chunk_id
        with Expecting() as met:
            done = await self.corrections.split(
                *place, now, max(0, len(before) - lead), author=author
            )
        if met.error:
            if written.version_id == written.previous_version_id:
                raise met.error
            parts.failed(met.error)
            return written
        return done.model_copy(update={"previous_version_id": written.previous_version_id})


_DONE = {
    "replace": "Chunk {0} was changed",
    "split": "Chunk {0} was split",
    "merge": "Chunks {0} and {1} were merged",
    "disable": "Chunk {0} is left out of every search",
    "enable": "Chunk {0} can be found again",
}


def _data(chunk: PassageView) -> dict[str, Any]:
    """A chunk as the browser shows it."""
    written = chunk.source is not None
    shown = passage_parts.parts_of(
        chunk.content, chunk.metadata, chunk.headings, None if written else chunk.start
    )
    original = shown
    if chunk.source is not None:
        original = passage_parts.parts_of(chunk.source, chunk.metadata, chunk.headings, chunk.start)
    return {
        "n": chunk.ordinal,
        "content": chunk.content,
        "parts": shown,
        "original": original,
        "source": chunk.source,
        "where": answer.place(
            chunk.model_dump(include={"document_name", "page", "headings", "metadata"})
        ),
        "page": chunk.page,
        "boxes": [[b.page, b.x0, b.y0, b.x1, b.y1] for b in chunk.boxes],
        "start": chunk.start,
        "disabled": chunk.disabled,
        "edited": bool(chunk.metadata.get("edited")),
    }
