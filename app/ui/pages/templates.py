"""The gallery: workflows to begin with, their pictures, and a copy of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Literal

from fastapi import FastAPI, HTTPException, Response
from nicegui import ui

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.engine.registry import Registry
from app.services.container import Services
from app.services.demo import KNOWLEDGE_BASE
from app.services.threads import call
from app.services.views import KnowledgeBaseView
from app.services.workflows import templates
from app.services.workflows.templates import Template
from app.ui import parts, text
from app.ui.frame import Crumb, frame
from app.ui.pages.importing import import_file
from app.ui.person import person_name
from app.ui.thumbnail import thumbnail

Theme = Literal["light", "dark"]
#: Most knowledge bases that are offered.
_MOST = 200


def register(app: FastAPI, get_services: Callable[[], Services]) -> None:
    """Add the page, and the pictures on it."""

    @app.get("/_ragloom/template/{template_id}/{theme}.svg", include_in_schema=False)
    async def template_picture(template_id: str, theme: Theme) -> Response:
        try:
            drawn = await call(picture, template_id, theme, get_services().registry)
        except RagloomError as error:
            raise HTTPException(404, error.message) from error
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return Response(drawn, media_type="image/svg+xml", headers=headers)

    @ui.page("/templates", response_timeout=30)
    async def templates_page(tag: str = "", use: str = "") -> None:
        services = get_services()
        with frame(services, "Workflows", [Crumb("Templates")]):
            gallery = Gallery(services)
            gallery.build(tag if tag in templates.tags() else "")
            if use:
                # The dialog waits for an answer; the page is sent before that.
                ui.timer(0.1, partial(gallery.open, use), once=True)


class Gallery:
    """Cards of templates, found by words and tags."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tag = ""

    def build(self, tag: str) -> None:
        """Show all templates, or those of a tag."""
        self._tag = tag
        with parts.div("rl-toolbar"):
            self._search = ui.input(placeholder="Find a template").props("debounce=150 clearable")
            self._search.classes("rl-filter").on_value_change(self._show).mark("find-template")
            self._search.props["aria-label"] = "Find a template"
            parts.div("rl-grow")
            parts.quiet("Ask my own files", lambda: ui.navigate.to("/begin"), icon="note_add")
            parts.quiet("Import", partial(import_file, self._services), icon="upload_file")
        self._tags = parts.div("rl-row rl-wrap rl-chips").props('role="group" aria-label="Tags"')
        self._room = parts.div("rl-cards rl-gallery")
        with (
            parts.div("rl-hidden") as self._nothing,
            parts.empty("search_off", "No template fits", "Try another word, or another tag."),
        ):
            parts.quiet("Show all", self._all)
        self._show()

    def _all(self) -> None:
        self._tag = ""
        self._search.value = ""
        self._show()

    def _choose(self, tag: str) -> None:
        self._tag = "" if tag == self._tag else tag
        self._show()

    def _show(self) -> None:
        words = self._search.value or ""
        found = [t for t in templates.templates() if t.matches(words, self._tag)]
        self._tags.clear()
        with self._tags:
            for tag in templates.tags(least=2):
                chip = parts.tag("button", tag, "rl-chip" + (" rl-on" if tag == self._tag else ""))
                chip.props(f'type="button" aria-pressed={str(tag == self._tag).lower()}')
                chip.on("click", partial(self._choose, tag))
        self._room.clear()
        self._nothing.classes(remove="rl-hidden") if not found else self._nothing.classes(
            add="rl-hidden"
        )
        with self._room:
            for template in found:
                self._card(template)

    def _card(self, template: Template) -> None:
        card = ui.element("button").classes("rl-card rl-click").props('type="button"')
        card.on("click", partial(self.open, template.id)).mark(f"template-{template.id}")
        with card:
            with parts.div("rl-thumb").props("aria-hidden=true"):
                ui.html(thumbnail(dict(template.graph), self._services.registry), sanitize=False)
            parts.label(template.name, "rl-strong")
            parts.label(template.description, "rl-muted rl-small rl-clamp rl-card-text")
            with parts.div("rl-row rl-wrap").style("margin-top: auto"):
                parts.label(text.count(template.steps, "node"), "rl-muted rl-small")
                parts.div("rl-grow")
                if template.needs:
                    parts.badge("needs a service", "warn", "public")
                elif template.files:
                    parts.badge("asks for files", icon="attach_file")

    async def open(self, template_id: str) -> None:
        """Show a template in full, and make a copy when asked to."""
        try:
            template = templates.get(template_id)
        except RagloomError as error:
            parts.failed(error)
            return
        await preview(self._services, template)


async def preview(services: Services, template: Template) -> None:
    """A template in full: picture, words, which knowledge base, and “Use this”."""
    shelf = (await services.knowledge.list(limit=_MOST, offset=0)).items
    with parts.dialog(template.name, wide=True) as box:
        box.props["aria-label"] = template.name
        _picture(template)
        parts.label(template.description, "rl-prose")
        ui.markdown(template.about()).classes("rl-prose rl-muted rl-small")
        if template.needs:
            with parts.notice("warn", f"It needs: {template.needs}"):
                pass
        choices = _choices(template, shelf)
        room = parts.div()

        async def use() -> None:
            room.clear()
            chosen = [str(choice.value) for choice in choices if choice.value]
            # What the template asks belongs to the demonstration's documents.
            sample = not chosen or KNOWLEDGE_BASE in chosen
            try:
                made = await services.workflows.create(
                    templates.copy_of(template, chosen, sample=sample), author=await person_name()
                )
            except RagloomError as error:
                with room:
                    parts.error_notice(error)
                return
            box.submit(True)
            ui.navigate.to(f"/workflows/{made.workflow_id}")

        with parts.div("rl-dialog-actions"):
            parts.bare("Close", lambda: box.submit(None))
            parts.primary("Use this", use, icon="add").props("autofocus").mark("use-template")
    await parts.ask(box)


def _choices(template: Template, shelf: Sequence[KnowledgeBaseView]) -> list[ui.select]:
    """A choice of a knowledge base for each that the template asks for."""
    made = []
    if template.slots and not shelf:
        with (
            parts.notice("accent", "There is no knowledge base yet.", "It can be chosen later."),
            parts.link("/begin", "rl-more"),
        ):
            parts.tag("span", "Make one from my own files")
        return []
    # Nodes hold names, as the inspector writes them.
    names = [kb.name for kb in shelf]
    for number, slot in enumerate(template.slots):
        default = names[min(number, len(names) - 1)]
        select = ui.select(names, value=default, label=slot.label)
        made.append(select.classes("rl-grow").mark("choose-kb"))
    return made


def _picture(template: Template, classes: str = "rl-preview") -> None:
    """A picture of a template, in the theme of the page."""
    with parts.div(classes).props("aria-hidden=true"):
        for theme in ("light", "dark"):
            image = ui.element("img").classes(f"rl-only-{theme}").props('loading="lazy" alt=""')
            image.props["src"] = f"/_ragloom/template/{template.id}/{theme}.svg"


@lru_cache(maxsize=128)
def picture(template_id: str, theme: Theme, registry: Registry) -> str:
    """SVG of a template, drawn once. Blocks (CPU)."""
    from app.services.exports.svg import svg_of

    data = dict(templates.get(template_id).graph)
    # The note is what the preview says in words.
    data["graph"] = {k: v for k, v in data["graph"].items() if k != "notes"}
    return svg_of(Graph.parse(data), registry, theme=theme)
