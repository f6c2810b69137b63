"""Revisions of a workflow, what changed between them, and the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.engine.graph import Graph
from app.services.container import Services
from app.services.threads import call
from app.services.views import WorkflowView
from app.services.workflows.diff import GraphDiff, diff_graphs, union
from app.services.workflows.history import RevisionGraph, RevisionView, stretches
from app.ui import differences, parts, text
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas, Selection
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, Frame, frame
from app.ui.pages.canvas.sessions import Sessions
from app.ui.pages.common import missing, workflow_choices
from app.ui.person import person_name

_PAGE = 100
_NEWEST, _BEFORE = "newest", "before"
_ORDER = ("added", "removed", "changed", "moved")


def history_href(workflow_id: str, revision: int | None = None) -> str:
    """Address of the history of a workflow, at one of its revisions."""
    at = f"?to={revision}" if revision else ""
    return f"/workflows/{quote(workflow_id)}/history{at}"


def register(get_services: Callable[[], Services], sessions: Sessions) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}/history", response_timeout=30)
    async def history_page(workflow_id: str, to: int = 0, against: str = "") -> None:
        services = get_services()
        with Expecting("not_found") as met:
            workflow = await services.workflows.get(workflow_id)
        if met.error:
            missing(services, "Workflows", met.error)
            return
        crumbs = [
            Crumb(
                workflow.name,
                f"/workflows/{workflow_id}",
                choices=lambda: workflow_choices(services),
            ),
            Crumb("History"),
        ]
        with frame(services, "Workflows", crumbs, full=True) as bar:
            differences.head()
            await History(services, sessions, workflow).build(bar, to, against)


class History:
    """The list of revisions, and the one that is looked at beside what it is compared with."""

    def __init__(self, services: Services, sessions: Sessions, workflow: WorkflowView) -> None:
        self._services, self._sessions = services, sessions
        self._id, self._name = workflow.workflow_id, workflow.name
        self._newest = workflow.revision
        self._revisions: list[RevisionView] = []
        self._total = 0
        self._shown: RevisionGraph | None = None
        self._rows: dict[int, ui.element] = {}
        self._boxes: dict[str, ui.element] = {}
        #: What a person wants to compare with, and what this revision is compared with.
        self._wanted = self._chosen = _BEFORE

    async def build(self, bar: Frame, to: int, against: str) -> None:
        """Fill the page; begin with revision `to`, or the newest."""
        with bar.actions:
            parts.quiet(
                "Open the workflow", lambda: ui.navigate.to(f"/workflows/{self._id}")
            ).classes("rl-wide-only")
        with parts.div("rl-hist"):
            with ui.element("aside").classes("rl-hist-side").props('aria-label="Versions"'):
                with parts.div("rl-hist-head"):
                    parts.label("Versions", "rl-strong rl-grow")
                    self._named = ui.checkbox("Named only", on_change=self._reload)
                self._list = parts.div("rl-hist-list")
            with parts.div("rl-hist-main"):
                with parts.div("rl-hist-bar"):
                    self._title = parts.div("rl-col rl-grow").style("gap: 0; min-width: 160px")
                    self._against = ui.select(
                        {_BEFORE: "with the one before it"}, value=_BEFORE, on_change=self._picked
                    ).style("min-width: 220px")
                    self._against.props["aria-label"] = "Compare with"
                    self._against.props["prefix"] = "Compare"
                    self._actions = parts.div("rl-row rl-gap-4")
                self._legend = parts.div("rl-legend").props('role="note"')
                with parts.div("rl-hist-stage"):
                    self._canvas = FlowCanvas(
                        GraphEditor(Graph(), self._services.registry),
                        read_only=True,
                        on_selection=self._selected,
                    ).classes("rl-hist-canvas")
                self._under = parts.div("rl-hist-under").mark("differences")
        await self._load()
        if against in (_NEWEST, _BEFORE) or against.isdigit():
            self._wanted = against
        await self.show(to if 0 < to <= self._newest else self._newest)

    # ---- the list ----
    async def _load(self, more: bool = False) -> None:
        offset = len(self._revisions) if more else 0
        page = await self._services.history.list(
            self._id, _PAGE, offset, named=bool(self._named.value)
        )
        self._revisions = [*(self._revisions if more else ()), *page.items]
        self._total = page.total
        self._draw_list()

    async def _reload(self) -> None:
        await self._load()
        self._mark_row()

    async def _more(self) -> None:
        await self._load(more=True)
        self._mark_row()

    def _draw_list(self) -> None:
        self._list.clear()
        self._rows = {}
        with self._list:
            if not self._revisions:
                with parts.empty("label_off", "No version has a name yet", "Name the good ones."):
                    pass
            for group in stretches(self._revisions):
                self._row(group[0])
                if len(group) > 1:
                    self._fold(group[1:])
            if len(self._revisions) < self._total:
                left = self._total - len(self._revisions)
                parts.quiet(f"Show more ({left} left)", self._more)

    def _fold(self, group: list[RevisionView]) -> None:
        with parts.tag("details") as fold:
            parts.tag("summary", text.count(len(group), "save") + " just before")
            for revision in group:
                self._row(revision)
        if self._shown and any(r.number == self._shown.number for r in group):
            fold.props("open")

    def _row(self, revision: RevisionView) -> None:
        row = parts.tag("button", "", "rl-hist-row").props(
            f'type="button" data-rev={revision.number}'
        )
        row.on("click", partial(self.show, revision.number))
        self._rows[revision.number] = row
        with row:
            with parts.div("rl-row"):
                parts.label(_title(revision), "rl-strong rl-ellipsis rl-grow")
                if revision.number == self._newest:
                    parts.badge("Current", "accent")
            what = revision.message or differences.summary_words(revision.summary)
            if what:
                parts.label(what, "rl-small rl-ellipsis")
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                parts.label(f"{_who(revision.author)} ·", "rl-ellipsis")
                parts.moment(revision.created_at)
                if revision.name:
                    parts.label(f"· version {revision.number}")

    def _mark_row(self) -> None:
        for number, row in self._rows.items():
            here = self._shown is not None and number == self._shown.number
            row.props["aria-current"] = "true" if here else "false"
            row.update()

    # ---- one revision ----
    async def show(self, number: int) -> None:
        """Show a revision beside what it is compared with."""
        with Expecting("not_found") as met:
            self._shown = await self._services.history.get(self._id, number)
        if met.error:
            parts.failed(met.error)
            return
        self._mark_row()
        self._fill_against(number)
        self._head()
        await self._compare()

    def _fill_against(self, number: int) -> None:
        options = {_BEFORE: "with the one before it"} if number > 1 else {}
        if number != self._newest:
            options[_NEWEST] = "with the current one"
        for revision in self._revisions:
            if revision.number != number:
                options[str(revision.number)] = f"with {_title(revision)}"
        chosen = self._wanted if self._wanted in options else next(iter(options), _BEFORE)
        self._chosen = chosen
        self._against.set_options(options, value=chosen if options else None)
        self._against.set_enabled(bool(options))

    def _head(self) -> None:
        shown = self._shown
        if shown is None:
            return
        self._title.clear()
        self._actions.clear()
        with self._title:
            parts.label(_title(shown), "rl-strong rl-ellipsis").mark("shown-version")
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                parts.label(f"{_who(shown.author)} · {text.count(shown.node_count, 'node')} ·")
                parts.moment(shown.created_at)
        with self._actions:
            parts.quiet("Rename" if shown.name else "Name it", self._rename, icon="label")
            if shown.number != self._newest:
                parts.primary("Restore", self._restore, icon="history").mark("restore")

    async def _picked(self) -> None:
        chosen = str(self._against.value or _BEFORE)
        if chosen != self._chosen:  # by a person, not by what a revision offers
            self._chosen = self._wanted = chosen
            await self._compare()

    async def _compare(self) -> None:
        shown = self._shown
        if shown is None:
            return
        base = shown.number - 1 if self._chosen == _BEFORE else self._newest
        base = int(self._chosen) if self._chosen.isdigit() else base
        query = f"?to={shown.number}&against={self._chosen}"
        ui.run_javascript(f"history.replaceState(null, '', location.pathname + {query!r})")
        other = await self._services.history.get(self._id, base) if base > 0 else None
        if self._shown is not shown or self._list.is_deleted:  # another one was chosen meanwhile
            return
        older, newer = (other, shown) if other is None or base < shown.number else (shown, other)
        diff, both = await call(_difference, (older or newer).graph, newer.graph)
        editor = GraphEditor(both, self._services.registry)
        self._canvas.set_editor(editor)
        self._canvas.set_marks(diff.marks() if older else {})
        counts = Counter[str](node.change for node in diff.nodes)
        self._legend.clear()
        with self._legend:
            if older is None:
                parts.label("The first version", "rl-muted")
            elif counts:
                differences.legend({mark: counts[mark] for mark in _ORDER if counts[mark]})
            else:
                parts.label("No node differs", "rl-muted")
        self._under.clear()
        with self._under:
            if older is None:
                parts.label("The first version: there is nothing before it.", "rl-muted")
                self._boxes = {}
                return
            words = differences.summary_words(diff.counts())
            parts.label(
                f"From {_title(older)} to {_title(newer)}: {words or 'nothing differs'}",
                "rl-strong",
            )
            titles = {id_: str((editor.node_view(id_) or {}).get("title")) for id_ in both.nodes}
            self._boxes = differences.graph_diff(diff, self._point, titles)

    def _point(self, node_id: str) -> None:
        self._canvas.select([node_id], shown=True)

    def _selected(self, selection: Selection) -> None:
        for node_id, box in self._boxes.items():
            lit = node_id in selection.nodes
            box.classes(add="rl-lit") if lit else box.classes(remove="rl-lit")
        first = next((self._boxes[n] for n in selection.nodes if n in self._boxes), None)
        if first is not None:
            ui.run_javascript(f"getHtmlElement({first.id})?.scrollIntoView({{block: 'nearest'}})")

    # ---- what can be done with it ----
    async def _rename(self) -> None:
        shown = self._shown
        if shown is None:
            return
        with parts.dialog("Name this version") as box:
            name = ui.input("Name, such as “Before the new prompt”", value=shown.name).props(
                "autofocus maxlength=200"
            )
            name.on("keydown.enter", lambda: box.submit(True))
            message = ui.textarea("What it is about", value=shown.message).props("maxlength=1000")
            with parts.div("rl-dialog-actions"):
                parts.bare("Cancel", lambda: box.submit(False))
                parts.primary("Save", lambda: box.submit(True))
        if not await parts.ask(box):
            return
        await self._services.history.name(
            self._id, shown.number, str(name.value or "").strip(), str(message.value or "").strip()
        )
        await self._load()
        await self.show(shown.number)

    async def _restore(self) -> None:
        if self._shown is not None:
            await self._bring_back(self._shown.number)

    async def _bring_back(self, number: int) -> None:
        with Expecting() as met:
            before = await self._sessions.settle(self._id)
            restored = await self._services.history.restore(
                self._id, number, await person_name(), before
            )
        if met.error:
            parts.failed(met.error)
            return
        self._sessions.adopt(self._id, restored.graph, restored.number)
        undo_to = self._newest if before is None else before
        self._newest = restored.number
        await self._load()
        await self.show(restored.number)
        parts.toast(
            f"Version {number} is back, as version {restored.number}.",
            undo=partial(self._bring_back, undo_to),
        )


def _difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[GraphDiff, Graph]:
    old, new = Graph.parse(before), Graph.parse(after)
    return diff_graphs(old, new), union(old, new)


def _title(revision: RevisionView) -> str:
    return revision.name or f"Version {revision.number}"


def _who(author: str) -> str:
    return {"page": "Somebody", "": "Somebody", "demo": "The demonstration"}.get(author, author)
