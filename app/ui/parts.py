"""Small pieces every page is made of. All text goes through text elements, so it is escaped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import context, ui
from nicegui.elements.mixins.text_element import TextElement

from app.engine.problems import Problem, RagloomError
from app.ui import text

Handler = Callable[..., Any]
#: Props of a toggle that looks like one control with segments: no colour of the kit.
SEGMENTS = "no-caps unelevated toggle-color=rl toggle-text-color=rl"


def tag(name: str, content: str = "", classes: str = "") -> TextElement:
    """An HTML element with plain text in it."""
    element = TextElement(tag=name, text=content)
    return element.classes(classes) if classes else element


def div(classes: str = "") -> ui.element:
    """A block to put things in."""
    return ui.element("div").classes(classes)


def label(content: str, classes: str = "") -> TextElement:
    """A piece of text."""
    return tag("div", content, classes)


def link(href: str, classes: str = "") -> ui.element:
    """A link to another page; fill it in a `with`."""
    element = ui.element("a").classes(classes)
    element.props["href"] = href
    return element


def primary(content: str, on_click: Handler | None = None, icon: str | None = None) -> ui.button:
    """The one loud button of a view."""
    return ui.button(content, on_click=on_click, icon=icon, color=None).classes("rl-primary")


def quiet(content: str, on_click: Handler | None = None, icon: str | None = None) -> ui.button:
    """A button beside the loud one."""
    return ui.button(content, on_click=on_click, icon=icon, color=None).classes("rl-quiet")


def bare(content: str, on_click: Handler | None = None, icon: str | None = None) -> ui.button:
    """A button that is only text."""
    return ui.button(content, on_click=on_click, icon=icon, color=None).classes("rl-bare")


def icon_button(icon: str, tip: str, on_click: Handler | None = None) -> ui.button:
    """A square button; `tip` is its name for screen readers and on hover."""
    button = ui.button(on_click=on_click, icon=icon, color=None).classes("rl-bare rl-icon")
    button.props["aria-label"] = tip
    with button:
        ui.tooltip(tip)
    return button


def at_work() -> ui.icon:
    """The sign of something under way. It stands still: a spinner has the page painted anew sixty
    times a second, on every screen that shows it, while the run needs the processor."""
    return ui.icon("sync").classes("rl-accent").style("font-size: 18px")


def badge(content: str, tone: str = "", icon: str | None = None) -> ui.element:
    """A word with a tone: ok, danger, warn, accent or none."""
    element = ui.element("span").classes("rl-badge" + (f" rl-is-{tone}" if tone else ""))
    with element:
        if icon:
            ui.icon(icon)
        tag("span", content)
    return element


def moment(iso: str | None, classes: str = "rl-muted rl-small") -> None:
    """A relative time with the exact one on hover."""
    if not iso:
        return
    with _time(iso, "ago", classes), ui.tooltip():
        exact(iso)


def exact(iso: str, *, clock: bool = False) -> None:
    """A full time, or only that of day, in the time zone of whoever looks."""
    _time(iso, "clock" if clock else "exact")


def _time(iso: str, kind: str, classes: str = "") -> TextElement:
    """Filled in by the browser, which knows its zone; a relative one has its words at once."""
    element = tag("rl-time", text.ago(iso) if kind == "ago" else "", classes)
    moment = text.parse_time(iso)
    element.props["datetime"] = moment.isoformat() if moment else iso
    element.props["kind"] = kind
    return element


def score(value: float | None, top: float | None = None) -> None:
    """A score to two digits with a small bar; `top` is what a full bar stands for."""
    if value is None:
        return
    full = top if top and top > 0 else 1.0
    with ui.element("span").classes("rl-score"):
        with ui.element("span").classes("rl-score-bar"):
            ui.element("i").style(f"width:{max(0.0, min(1.0, value / full)) * 100:.0f}%")
        tag("span", text.score(value))


@contextmanager
def empty(icon: str, title: str, hint: str = "") -> Iterator[None]:
    """What an empty place says; put the way on inside the `with`."""
    with div("rl-empty"):
        ui.icon(icon)
        label(title, "rl-large")
        if hint:
            label(hint, "rl-muted rl-prose")
        with div("rl-row rl-wrap").style("margin-top: 8px"):
            yield


@contextmanager
def notice(tone: str, title: str, hint: str = "", icon: str | None = None) -> Iterator[None]:
    """A message in place: what happened, then what to do."""
    icons = {"danger": "error", "warn": "warning", "accent": "info"}
    with div(f"rl-notice rl-is-{tone}"):
        ui.icon(icon or icons.get(tone, "info"))
        with div("rl-col rl-gap-4 rl-grow"):
            label(title, "rl-pre")
            if hint:
                label(hint, "rl-muted rl-pre")
            yield


def error_words(error: object) -> tuple[str, str]:
    """What happened and what to do, of anything raised or stored as an error."""
    if isinstance(error, dict):
        return str(error.get("message") or error.get("code") or "It failed."), str(
            error.get("fix") or ""
        )
    if isinstance(error, RagloomError | Problem):
        return error.message, error.fix
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(message), str(getattr(error, "fix", "") or "")


def error_notice(error: object) -> None:
    """Show an error in place."""
    title, hint = error_words(error)
    with notice("danger", title, hint):
        pass


def toast(
    message: str, *, tone: str = "", undo: Callable[[], Awaitable[None]] | None = None
) -> None:
    """A message that goes away by itself; with `undo` it offers the way back for ten seconds."""
    seconds = 10.0 if undo else 9.0 if tone == "danger" else 4.0
    layout = context.client.layout
    with layout:
        box = div("rl-note").props(f'role="{"alert" if tone == "danger" else "status"}"')
    with box:
        if tone == "danger":
            ui.icon("error")
        tag("span", message)

        async def back() -> None:
            box.delete()
            if undo is not None:
                with layout:  # what it says is said beside the message, which is gone
                    await undo()

        if undo is not None:
            ui.button("Undo", on_click=back, color=None)
        ui.button(icon="close", on_click=box.delete, color=None).props('aria-label="Dismiss"')
        ui.timer(seconds, box.delete, once=True)


def failed(error: Exception) -> None:
    """Say in a toast what went wrong and what to do."""
    title, hint = error_words(error)
    toast(f"{title} {hint}".strip(), tone="danger")


@contextmanager
def dialog(title: str, *, wide: bool = False) -> Iterator[ui.dialog]:
    """A dialog with a title; close it with `.submit(…)` and remove it when it is closed."""
    with ui.dialog() as box, div("rl-dialog" + (" rl-wide" if wide else "")):
        box.props["aria-label"] = title
        label(title, "rl-large")
        yield box


async def ask(box: ui.dialog) -> Any:
    """Open, wait for the answer, and take the dialog off the page."""
    answer = await box
    if not box.is_deleted:  # the page may have gone meanwhile
        box.delete()
    return answer


def drop_zone(title: str, hint: str, upload: ui.upload) -> ui.element:
    """A place to drop files or folders on, or to click; `upload` does the work unseen."""
    upload.classes("rl-hidden")
    zone = ui.element("button").classes("rl-zone").props('type="button"')
    with zone:
        ui.icon("upload_file")
        with div("rl-col").style("gap: 0; align-items: flex-start"):
            label(title, "rl-strong")
            label(hint, "rl-muted rl-small")
    zone.on("click", js_handler=f"() => getElement({upload.id}).$refs.qRef.pickFiles()")
    over = "(e) => { e.preventDefault(); e.currentTarget.classList.add('rl-over') }"
    zone.on("dragover", js_handler=over)
    zone.on("dragleave", js_handler="(e) => e.currentTarget.classList.remove('rl-over')")
    zone.on(
        "drop",
        js_handler="(e) => { e.preventDefault(); e.currentTarget.classList.remove('rl-over'); "
        f"ragloom.drop(e, {upload.id}) }}",
    )
    return zone


async def confirm(title: str, hint: str, action: str, *, undoable: bool = False) -> bool:
    """Ask before something that cannot be undone, or, being large, should not come as a surprise."""
    with dialog(title) as box:
        label(hint, "rl-muted")
        with div("rl-dialog-actions"):
            bare("Cancel", lambda: box.submit(False))
            yes = ui.button(action, on_click=lambda: box.submit(True), color=None)
            yes.classes("rl-primary" if undoable else "rl-bad").mark("confirm")
    return bool(await ask(box))


async def prompt(title: str, field: str, value: str = "", action: str = "Save") -> str | None:
    """Ask for one line of text; None when cancelled."""
    with dialog(title) as box:
        entry = ui.input(field, value=value).props("autofocus").classes("rl-grow")
        entry.on("keydown.enter", lambda: box.submit(entry.value))
        with div("rl-dialog-actions"):
            bare("Cancel", lambda: box.submit(None))
            primary(action, lambda: box.submit(entry.value))
    answer = await ask(box)
    return str(answer).strip() if answer and str(answer).strip() else None
