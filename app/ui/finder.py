"""Search everything, behind Ctrl+K: what is on this page, workflows, knowledge, documents, runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nicegui import events, ui

from app.services.container import Services
from app.services.workflows import templates
from app.ui import parts, text

_PER_KIND = 6


@dataclass(frozen=True)
class Hit:
    """Something to go to."""

    kind: str
    icon: str
    name: str
    detail: str
    href: str
    #: What it does on this page, in place of going somewhere.
    act: Callable[[], object] | None = None


_PAGES = (
    Hit("Pages", "dashboard_customize", "Templates", "Workflows to begin with", "/templates"),
    Hit("Pages", "upload_file", "Ask my own files", "From files to answers", "/begin"),
    Hit("Pages", "menu_book", "Knowledge bases", "", "/knowledge"),
    Hit("Pages", "history", "Runs", "", "/runs"),
    Hit("Pages", "tune", "Settings", "Keys, models, limits", "/settings"),
)


async def find(services: Services, words: str) -> list[Hit]:
    """What matches `words`, grouped by kind; with no words, what was used last."""
    needle = words.strip().lower()
    workflows, bases, runs = await asyncio.gather(
        services.workflows.list(limit=200, offset=0),
        services.knowledge.list(limit=100, offset=0),
        services.runs.list(limit=50, offset=0),
    )
    hits = [
        Hit(
            "Workflows",
            "account_tree",
            w.name,
            text.count(w.node_count, "node"),
            f"/workflows/{w.workflow_id}",
        )
        for w in workflows.items
        if needle in w.name.lower()
    ][:_PER_KIND]
    hits += [
        Hit(
            "Knowledge bases",
            "menu_book",
            kb.name,
            text.count(kb.document_count, "document"),
            f"/knowledge/{kb.knowledge_base_id}",
        )
        for kb in bases.items
        if needle in kb.name.lower()
    ][:_PER_KIND]
    if needle:
        pages = await asyncio.gather(
            *(
                services.knowledge.documents(
                    kb.knowledge_base_id, limit=_PER_KIND, offset=0, text=needle
                )
                for kb in bases.items[:20]
            )
        )
        documents = [
            Hit(
                "Documents",
                "description",
                d.title or d.filename,
                kb.name,
                f"/knowledge/{kb.knowledge_base_id}/documents/{d.document_id}",
            )
            for kb, page in zip(bases.items, pages, strict=False)
            for d in page.items
        ]
        hits += documents[:_PER_KIND]
    found = []
    for run in runs.items:
        asked = next((str(v) for v in run.input_data.values() if isinstance(v, str)), "")
        if run.workflow_id and needle in f"{asked} {run.workflow_name}".lower():
            name = asked or run.workflow_name
            found.append(
                Hit(
                    "Runs",
                    "history",
                    name,
                    f"{run.workflow_name} · {text.ago(run.started_at)}",
                    f"/workflows/{run.workflow_id}?run={run.execution_id}",
                )
            )
    begin_with = [
        Hit("Templates", "dashboard", t.name, "template", f"/templates?use={t.id}")
        for t in templates.templates()
        if needle and t.matches(needle)
    ]
    places = [p for p in _PAGES if needle and needle in f"{p.name} {p.detail}".lower()]
    return hits + found[:_PER_KIND] + begin_with[:_PER_KIND] + places


class Finder:
    """The dialog; `open` shows it with what was used last."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: What the page itself finds for some words in lower case; it comes first.
        self.here: Callable[[str], Sequence[Hit]] | None = None
        self._turn = 0
        self._on = 0
        self._shown: list[tuple[Hit, ui.element]] = []
        box = ui.dialog().props("position=top transition-show=fade transition-hide=fade")
        with box as self._box, parts.div("rl-finder").style("margin-top: 12vh"):
            self._entry = ui.input(
                placeholder="Search nodes, workflows, knowledge, documents, runs"
            )
            self._entry.props("autofocus borderless debounce=120").props(remove="outlined")
            self._entry.on_value_change(self._refresh)
            self._entry.on("keydown", self._key, ["key"])
            self._room = parts.div("rl-finder-list")

    async def open(self) -> None:
        """Show the dialog."""
        self._box.open()
        await self._refresh()

    async def _refresh(self) -> None:
        self._turn += 1
        turn = self._turn
        words = self._entry.value or ""
        here = list(self.here(words.strip().lower())) if self.here is not None else []
        hits = here + await find(self._services, words)
        if turn == self._turn:  # an older, slower answer must not replace a newer one
            self._draw(hits)

    def _draw(self, hits: list[Hit]) -> None:
        self._room.clear()
        self._shown.clear()
        with self._room:
            kind = ""
            for hit in hits:
                if hit.kind != kind:
                    kind = hit.kind
                    parts.label(kind, "rl-finder-group")
                if hit.act is None:
                    element = parts.link(hit.href, "rl-finder-item")
                else:
                    element = ui.element("button").classes("rl-finder-item")
                    element.on("click", lambda hit=hit: self._go(hit))
                with element:
                    ui.icon(hit.icon)
                    parts.tag("span", hit.name, "rl-ellipsis rl-grow")
                    parts.tag("span", hit.detail, "rl-muted rl-small rl-ellipsis")
                self._shown.append((hit, element))
            if not hits:
                with parts.div("rl-col rl-gap-4").style("padding: 16px"):
                    parts.label("Nothing has that name.")
                    parts.label(
                        "Names and questions are searched here. To find what documents say, ask a "
                        "workflow, or search in a knowledge base.",
                        "rl-muted rl-small",
                    )
        self._highlight(0)

    def _highlight(self, position: int) -> None:
        if not self._shown:
            return
        self._on = position % len(self._shown)
        for number, (_, element) in enumerate(self._shown):
            on = number == self._on
            element.classes(add="rl-on") if on else element.classes(remove="rl-on")

    def _key(self, event: events.GenericEventArguments) -> None:
        name = event.args.get("key") if isinstance(event.args, dict) else event.args
        if name == "ArrowDown":
            self._highlight(self._on + 1)
        elif name == "ArrowUp":
            self._highlight(self._on - 1)
        elif name == "Enter" and self._shown:
            self._go(self._shown[self._on][0])

    def _go(self, hit: Hit) -> None:
        if hit.act is None:
            ui.navigate.to(hit.href)
            return
        self._box.close()
        hit.act()
