"""The frame of every page: slim top bar, narrow rail, and the room between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nicegui import ui

from app.services.container import Services
from app.ui import finder, jobs, parts, run_jobs, shortcuts, theme

SECTIONS = (
    ("Workflows", "account_tree", "/"),
    ("Knowledge", "menu_book", "/knowledge"),
    ("Runs", "history", "/runs"),
    ("Settings", "tune", "/settings"),
)

Choices = Callable[[], Awaitable[Sequence[tuple[str, str]]]]


@dataclass
class Crumb:
    """One step of the breadcrumb; with `choices` it opens a list of (name, address) to go to."""

    name: str
    href: str = ""
    choices: Choices | None = None
    icon: str = ""


@dataclass
class Frame:
    """What a page may fill besides its main room."""

    #: Beside the breadcrumb: state of the thing on the page.
    beside: ui.element = field(default_factory=parts.div)
    #: On the right of the bar: what can be done with it.
    actions: ui.element = field(default_factory=parts.div)
    crumbs: list[ui.element] = field(default_factory=list)
    #: The search behind Ctrl+K.
    finder: finder.Finder | None = None


@contextmanager
def frame(
    services: Services, section: str, crumbs: Sequence[Crumb] = (), *, full: bool = False
) -> Iterator[Frame]:
    """Build the frame around a page; `full` gives the page the whole room without scrolling."""
    theme.head()
    here = crumbs[-1].name if crumbs else section
    ui.page_title(f"{here} · Ragloom")
    # Its own element around everything is a “main”, which would hold the bar and the rail, too.
    for page in ui.context.client.page_container.default_slot.children:
        page.props["role"] = "presentation"
    result = Frame.__new__(Frame)
    with parts.div("rl-frame"):
        with ui.element("header").classes("rl-top"):
            _top(services, section, crumbs, result)
        with ui.element("nav").classes("rl-rail").props('aria-label="Sections"'):
            for name, icon, href in SECTIONS:
                with parts.link(href, "rl-rail-item" + (" rl-here" if name == section else "")):
                    ui.icon(icon)
                    parts.tag("span", name)
        with ui.element("main").classes("rl-main" + (" rl-full" if full else "")):
            if full:
                yield result
            else:
                with parts.div("rl-page"):
                    yield result


def _top(services: Services, section: str, crumbs: Sequence[Crumb], result: Frame) -> None:
    with parts.link("/", "rl-brand").props('aria-label="Ragloom"'):
        ui.element("span").classes("rl-mark-logo")
    with parts.link("/", "rl-brand-name"):
        parts.tag("span", "Ragloom")
    parts.tag("span", "/", "rl-crumb-sep")
    result.crumbs = []
    with ui.element("nav").classes("rl-crumbs").props('aria-label="Where you are"'):
        home = next(href for name, _, href in SECTIONS if name == section)
        trail = [Crumb(section, home), *crumbs]
        for position, crumb in enumerate(trail):
            if position:
                parts.tag("span", "/", "rl-crumb-sep")
            result.crumbs.append(_crumb(crumb, here=position == len(trail) - 1))
    result.beside = parts.div("rl-row")
    parts.div("rl-grow")
    result.actions = parts.div("rl-row rl-gap-4")
    search = result.finder = finder.Finder(services)
    with (
        ui.element("button")
        .classes("rl-top-search")
        .props('data-rl-key=find aria-label="Search everything"')
        .on("click", search.open)
    ):
        ui.icon("search")
        parts.tag("span", "Search")
        parts.tag("kbd", "Ctrl K")
    jobs.build(services)
    run_jobs.build(services)
    with (
        parts.icon_button("contrast", "Theme: light, dark or as the system")
        .classes("rl-wide-only")
        .on("click", js_handler="() => ragloom.cycleTheme()")
    ):
        pass
    parts.icon_button("help_outline", "Keys and help", shortcuts.build()).props("data-rl-key=help")


def _crumb(crumb: Crumb, *, here: bool) -> ui.element:
    classes = "rl-crumb" + (" rl-here" if here else "")
    if crumb.choices is None:
        with parts.link(crumb.href or "#", classes) as element:
            parts.tag("span", crumb.name, "rl-ellipsis")
        return element
    with ui.element("button").classes(classes) as element:
        parts.tag("span", crumb.name, "rl-ellipsis").mark("crumb-name")
        ui.icon("unfold_more")
        with ui.menu().props("max-height=60vh") as menu:
            room = parts.div("rl-col").style("gap: 0; min-width: 220px")

    async def fill() -> None:
        room.clear()
        with room:
            for name, href in await crumb.choices():  # type: ignore[misc]
                ui.menu_item(name, on_click=lambda href=href: ui.navigate.to(href))

    menu.on("before-show", fill)
    return element
