"""The dialog that adds a source or changes one: where, what counts, and how often."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from pydantic import ValidationError

from app.services.container import Services
from app.services.sources.views import SourceView
from app.ui import parts
from app.ui.expecting import Expecting
from app.ui.pages.automation.times import Times, browser_zone, named

#: Kind -> (word, icon, words of the button that adds one)
KINDS = {
    "folder": ("Folder", "folder", "Follow a folder"),
    "url": ("Web page", "link", "Follow a page"),
    "sitemap": ("Sitemap", "travel_explore", "Follow a sitemap"),
}
_FIELDS = {
    "folder": ("Folder on the server", "/home/ann/handbook"),
    "url": ("Address of the page or file", "https://example.com/guide.html"),
    "sitemap": ("Address of the sitemap", "https://example.com/sitemap.xml"),
}
_NEVER = "Only when asked"


async def ask_source(
    services: Services, kb_id: str, kind: str = "", known: SourceView | None = None
) -> None:
    """Ask for a source until it can be kept, or it is given up; keep it."""
    zone = known.timezone if known is not None and known.cron else await browser_zone()
    title = f"Edit “{known.name}”" if known is not None else "Add a source"
    with parts.dialog(title, wide=True) as box:
        form = SourceForm(services, kb_id, kind, zone, known)
        form.build()
        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))

            async def keep() -> None:
                save.props("loading")
                try:
                    kept = await form.keep()
                finally:
                    save.props(remove="loading")
                if kept:
                    box.submit(True)

            save = parts.primary("Save" if known is not None else "Add", keep).mark("save-source")
            form.gate = save
    await parts.ask(box)


class SourceForm:
    """The fields; what is wrong is said above the buttons."""

    def __init__(
        self, services: Services, kb_id: str, kind: str, zone: str, known: SourceView | None
    ) -> None:
        self._sources, self._kb, self._known = services.sources, kb_id, known
        self._roots = services.settings.allowed_roots
        self._kind = (
            known.kind if known is not None else kind or ("folder" if self._roots else "url")
        )
        cron = known.cron if known is not None else ""
        self._times = Times(cron, zone, never=_NEVER)
        self.gate: ui.button | None = None

    def build(self) -> None:
        """Draw the fields."""
        known = self._known
        settings = known.settings if known is not None else None
        if known is None:
            names = {kind: word for kind, (word, _, _) in KINDS.items()}
            kinds = ui.toggle(names, value=self._kind, on_change=lambda e: self._choose(e.value))
            kinds.classes("rl-segments rl-src-kinds").props(parts.SEGMENTS).mark("source-kind")
        with parts.div("rl-col").style("gap: 2px"):
            self._title = parts.label("", "rl-small rl-muted")
            self._location = ui.input(value=known.location if known else "").props("autofocus")
            self._location.mark("source-location").classes("rl-src-location")
            self._hint = parts.label("", "rl-small rl-muted")
        with parts.div("rl-form-grid"):
            self._times.build()
        self._gone = ui.switch(
            "Remove documents whose file or page is gone",
            value=bool(settings and settings.remove_gone),
        ).mark("remove-gone")
        with ui.expansion("More").classes("rl-src-more").props("dense"), parts.div("rl-form-grid"):
            self._name = ui.input(value=known.name if known else "", placeholder="Optional")
            named("Name", self._name.mark("source-name")).classes("rl-span")
            self._include = self._patterns("Only paths like", settings.include if settings else [])
            self._exclude = self._patterns(
                "But not paths like", settings.exclude if settings else []
            )
            self._hosts = ui.input(value=", ".join(settings.hosts) if settings else "")
            self._hosts.props["placeholder"] = "Such as docs.example.com"
            self._hosts_row = named("Other hosts it may lead to", self._hosts).classes("rl-span")
            self._most = ui.number(
                value=settings.max_items if settings else 2_000, min=1, max=50_000, step=100
            )
            named("Most files or pages", self._most)
        self._problem = parts.div().props('role="alert"')
        self._times.changed = self._check
        self._choose(self._kind)

    def _patterns(self, title: str, value: list[str]) -> ui.input:
        field = ui.input(value=", ".join(value), placeholder="Such as *.pdf, guides/**")
        named(title, field).classes("rl-span")
        return field

    def _choose(self, kind: Any) -> None:
        self._kind = kind
        title, example = _FIELDS[kind]
        self._title.text = title
        self._location.props["placeholder"] = example
        self._location.props["aria-label"] = title
        self._hint.text = self._hint_of(kind)
        self._hosts_row.set_visibility(kind == "sitemap")
        self._problem.clear()

    def _hint_of(self, kind: str) -> str:
        if kind == "folder":
            if not self._roots:
                return (
                    "This server imports no folders yet: name them in the setting import_roots "
                    "(RAGLOOM_IMPORT_ROOTS) and start it again."
                )
            return f"With the folders in it, below {' or '.join(map(str, self._roots))}."
        if kind == "url":
            return "An HTML page, a PDF or another document that anybody can open."
        return "Pages of its host are read slowly, and as its robots.txt allows."

    def _check(self) -> None:
        if self.gate is not None:
            self.gate.set_enabled(self._times.good)

    async def keep(self) -> bool:
        """Add or change the source; False with the reason shown where that cannot be."""
        self._problem.clear()
        location = (self._location.value or "").strip()
        settings: dict[str, Any] = {
            "include": _listed(self._include.value),
            "exclude": _listed(self._exclude.value),
            "remove_gone": bool(self._gone.value),
            "max_items": int(self._most.value or 0),
        }
        if self._kind == "sitemap":
            settings["hosts"] = _listed(self._hosts.value)
        values: dict[str, Any] = {
            "name": self._name.value or "",
            "settings": settings,
            "cron": self._times.cron,
            "timezone": self._times.zone,
        }
        try:
            with Expecting() as met:
                if self._known is None:
                    kind: Any = self._kind
                    await self._sources.add(self._kb, kind, location, trigger="page", **values)
                else:
                    id_ = self._known.source_id
                    await self._sources.change(self._kb, id_, location=location, **values)
        except ValidationError:
            self._say("A setting is out of bounds.", "Name 1 to 50,000 files or pages.")
            return False
        if met.error:
            self._say(*parts.error_words(met.error))
        return not met.error

    def _say(self, message: str, fix: str) -> None:
        with self._problem, parts.notice("danger", message, fix):
            pass


def _listed(value: str | None) -> list[str]:
    return [piece.strip() for piece in (value or "").split(",") if piece.strip()]
