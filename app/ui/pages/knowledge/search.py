"""A search to try on a knowledge base: what a workflow would find, and in which documents."""

from __future__ import annotations

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.knowledge.document_lists import document_filters
from app.services.views import SearchConfig
from app.ui import parts, text, viewers
from app.ui.pages.knowledge.days import Days

_KINDS = {"hybrid": "Hybrid", "semantic": "Meaning", "keyword": "Words", "adaptive": "Adaptive"}
_FIELDS = {
    "filename": "File name",
    "title": "Title",
    "author": "Author",
    "keywords": "Keywords",
    "headings": "Headings",
}


class Search:
    """The tab."""

    def __init__(self, services: Services, kb: str) -> None:
        self._services, self._kb = services, kb
        #: What was asked last.
        self._asked: tuple[SearchConfig, str] | None = None

    async def build(self, q: str) -> None:
        """Fill it; `q` is searched at once."""
        stats = await self._services.knowledge.stats(self._kb)
        with parts.div("rl-toolbar"):
            self._query = ui.input(
                placeholder="Ask or search, to see what a workflow would find", value=q
            )
            self._query.classes("rl-grow").mark("kb-search")
            self._go = parts.primary("Search", self._run, icon="search")
        with parts.div("rl-toolbar rl-wrap"):
            self._kind = ui.toggle(_KINDS, value="hybrid")
            self._kind.classes("rl-segments").props(parts.SEGMENTS)
            with parts.div("rl-row"):
                parts.label("Passages", "rl-muted rl-small")
                self._k = ui.number(value=8, min=1, max=100, step=1).style("width: 76px")
                self._k.props["aria-label"] = "Passages"
            self._rerank = ui.switch("Rerank")
            self._expand = ui.switch("Larger passages")
            with self._expand:
                ui.tooltip("Of chunks cut as parts of a larger passage, show that passage")
        with parts.div("rl-toolbar rl-wrap"):
            names = {code: text.language(code) for code in sorted(stats.languages)}
            self._language = ui.select({"": "Any language", **names}, value="")
            self._language.props["aria-label"] = "Language"
            self._field = ui.select(_FIELDS, value="filename")
            self._field.props["aria-label"] = "What must hold the words"
            self._holds = ui.input(placeholder="holds anything").props("debounce=400 clearable")
            self._holds.props["aria-label"] = "Words that it must hold"
            self._days = Days(self._run)
            self._branch = ui.select({"main": "In use (main)"}, value="main")
            self._branch.props('aria-label="What is in use, or a copy of it"')
            await self.refresh()
        self._room = parts.div("rl-col")
        self._query.on("keydown.enter", self._run)
        for control in (
            self._kind, self._rerank, self._expand, self._language, self._holds, self._branch,
        ):  # fmt: skip
            control.on_value_change(self._run)
        self._field.on_value_change(self._other_field)
        if q:
            await self._run()

    async def refresh(self) -> None:
        """Offer the copies there are by now."""
        branches = await self._services.knowledge.branches(self._kb)
        copies = {name: f"Copy {name}" for name in branches if name != "main"}
        self._branch.set_options({"main": "In use (main)", **copies})
        self._branch.classes(**{"remove" if copies else "add": "rl-hidden"})

    async def _other_field(self) -> None:
        if self._holds.value:
            await self._run()

    def _config(self) -> SearchConfig:
        words = (self._holds.value or "").strip()
        return SearchConfig(
            search_type=self._kind.value,
            k=int(self._k.value or 8),
            rerank=bool(self._rerank.value),
            ref=str(self._branch.value),
            expand="parent" if self._expand.value else "none",
            target_languages=[self._language.value] if self._language.value else [],
            filters=document_filters("", *self._days.span)
            | ({str(self._field.value): {"$contains": words}} if words else {}),
        )

    async def _run(self) -> None:
        if not (self._query.value or "").strip():
            return
        self._go.props("loading")
        config = self._config()
        self._asked = config, self._query.value
        asked = self._asked
        try:
            found = await self._services.search.search(self._kb, self._query.value, config)
        except RagloomError as error:
            if asked is not self._asked:
                return
            self._room.clear()
            with self._room:
                parts.error_notice(error)
            return
        finally:
            if asked is self._asked:
                self._go.props(remove="loading")
        if asked is not self._asked or self._room.is_deleted:
            return  # Something else was asked meanwhile: that is shown.
        self._room.clear()
        with self._room:
            took = text.duration(found.metadata.get("took_ms"))
            words = text.count(len(found.results), "passage")
            parts.label(f"{words} in {took}" if took else words, "rl-muted rl-small")
            if not found.results:
                narrow = config.filters or config.target_languages
                hint = "search in all documents" if narrow else "the other kind of search"
                parts.label(f"Nothing was found. Try other words, or {hint}.")
            viewers.chunks([c.model_dump(mode="json") for c in found.results], self._kb, limit=20)
