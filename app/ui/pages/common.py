"""What pages share: lists that load more, statuses in words, where to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.views import ExecutionView, KnowledgeBaseHealth
from app.ui import parts, text
from app.ui.frame import SECTIONS, frame

RUN_TONES = {
    "completed": ("ok", "check", "Completed"),
    "failed": ("danger", "error_outline", "Failed"),
    "cancelled": ("warn", "block", "Cancelled"),
    "running": ("accent", "sync", "Running"),
    "waiting": ("accent", "pan_tool", "Waiting"),
    "interrupted": ("warn", "power_off", "Interrupted"),
}


def run_badge(status: str) -> None:
    """The status of a run, in a word and a tone."""
    tone, icon, word = RUN_TONES.get(status, ("", "help_outline", status))
    parts.badge(word, tone, icon)


def asked(input_data: dict[str, Any]) -> str:
    """What a run was asked, in one line."""
    for name in ("question", "query"):
        if isinstance(input_data.get(name), str):
            return str(input_data[name])
    return next((str(v) for v in input_data.values() if isinstance(v, str) and v), "")


def answered(execution: ExecutionView) -> str:
    """The start of what a run answered, or why it failed."""
    if execution.error:
        return parts.error_words(execution.error)[0]
    for value in execution.outputs.values():
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            return str(value["text"])
        if isinstance(value, str):
            return value
    return ""


def health_badges(health: KnowledgeBaseHealth) -> None:
    """What of a knowledge base needs somebody, or that nothing does."""
    state_badges(health)
    failure_badges(health)


def state_badges(health: KnowledgeBaseHealth) -> None:
    """What goes on in a knowledge base, or that all is well."""
    if health.indexing:
        parts.badge("Indexing", "accent", "sync")
    if health.pending:
        parts.badge(f"{health.pending} on the way", "accent", "schedule")
    if health.paused:
        parts.badge(text.count(health.paused, "paused job"), "warn", "pause_circle_outline")
    if not any((health.indexing, health.pending, health.paused, health.failed)):
        parts.badge("Healthy", "ok", "check")


def failure_badges(health: KnowledgeBaseHealth, show: Callable[[str], None] | None = None) -> None:
    """Documents that did not come in; `show` lists those of a status."""
    failed = health.failed - health.locked
    if failed:
        with _leading(show, "error"):
            parts.badge(text.count(failed, "failed document"), "danger", "error_outline")
    if health.locked:
        with _leading(show, "locked"):
            parts.badge(text.count(health.locked, "locked document"), "warn", "lock")


def _leading(show: Callable[[str], None] | None, status: str) -> AbstractContextManager[object]:
    if show is None:
        return nullcontext()
    button = parts.tag("button", "", "rl-badge-link").props('type="button"')
    return button.on("click", lambda: show(status)).mark(f"show-{status}")


async def ask_password(filename: str) -> str:
    """The password of an encrypted file; empty where somebody would rather not."""
    with parts.dialog(f"Password of {filename}") as box:
        entry = ui.input("Password", password=True).props("autofocus").classes("rl-grow")
        entry.on("keydown.enter", lambda: box.submit(entry.value))
        parts.label("It is used once and kept nowhere.", "rl-muted rl-small")
        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            parts.primary("Open", lambda: box.submit(entry.value))
    return str(await parts.ask(box) or "")


def missing(services: Services, section: str, error: object) -> None:
    """The page of something that is not there (any more)."""
    title, _ = parts.error_words(error)
    home = next(href for name, _, href in SECTIONS if name == section)
    hint = "The link may be old, or it was deleted."
    with frame(services, section), parts.empty("search_off", title, hint):
        parts.primary(f"All {section.lower()}", lambda: ui.navigate.to(home))


async def workflow_choices(services: Services) -> Sequence[tuple[str, str]]:
    """Names and addresses of workflows, for the breadcrumb."""
    page = await services.workflows.list(limit=50, offset=0)
    return [(w.name, f"/workflows/{w.workflow_id}") for w in page.items]


async def knowledge_choices(services: Services) -> Sequence[tuple[str, str]]:
    """Names and addresses of knowledge bases, for the breadcrumb."""
    page = await services.knowledge.list(limit=50, offset=0)
    return [(kb.name, f"/knowledge/{kb.knowledge_base_id}") for kb in page.items]


#: What is said of a file whose text would have to be recognised.
SCANS = ("ocr_off", "no_text")


class MoreList:
    """A list that shows one page and a button for the next; never a thousand rows at once."""

    def __init__(
        self,
        load: Callable[[int, int], Awaitable[tuple[Sequence[Any], int]]],
        row: Callable[[Any], None],
        *,
        step: int = 50,
    ) -> None:
        self._load, self._row, self._step = load, row, step
        self._shown = self._turn = 0
        self.total = 0
        self._items: list[Any] = []
        self.room = ui.element("div")
        self._more = parts.quiet("Show more", self.more).classes("rl-hidden")

    async def reset(self) -> int:
        """Load what is shown, at least the first page, again; return how many there are in all.

        Of several calls at the same time, the last one is drawn.
        """
        self._turn += 1
        turn, wanted = self._turn, self._shown
        items, total = await self._load(self._step, 0)
        items = list(items)
        while len(items) < min(wanted, total):
            more, total = await self._load(self._step, len(items))
            if not more:
                break
            items += more
        if turn != self._turn or self.room.is_deleted:
            return self.total
        if items == self._items and total == self.total:
            return total  # what stands there, and who is at it, stays
        self.room.clear()
        self._items = []
        self._shown = 0
        self._add(items, total)
        return total

    async def more(self) -> None:
        """Append the next page."""
        items, total = await self._load(self._step, self._shown)
        self._add(items, total)

    def _add(self, items: Sequence[Any], total: int) -> None:
        self.total = total
        self._shown += len(items)
        self._items += items
        with self.room:
            for item in items:
                self._row(item)
        if self._shown < total and items:
            self._more.text = f"Show more ({total - self._shown} left)"
            self._more.classes(remove="rl-hidden")
        else:
            self._more.classes(add="rl-hidden")
