"""Fields that offer what exists: knowledge bases, branches, models, chunkers, workflows, files."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.engine.values import PORT_TYPES
from app.ui import parts, text
from app.ui.forms.base import Slot
from app.ui.schema import MODEL_KINDS

#: How a knowledge base, a branch or a workflow is told that is not there.
NOT_HERE = "(not here)"


def pick(slot: Slot, options: dict[str, str], *, free: bool, hint: str) -> ui.select:
    """A list to choose from; with `free`, anything may be typed as well."""
    spec, value = slot.spec, slot.value
    shown = dict(options)
    if value and value not in shown:
        shown[value] = str(value) if free else f"{value} {NOT_HERE}"
    empty = None if spec.optional else ""
    element = ui.select(
        shown, value=value or None, with_input=True, clearable=spec.optional,
        new_value_mode="add-unique" if free else None,
        on_change=lambda e: slot.put(e.value if e.value is not None else empty),
    )  # fmt: skip
    if not value:
        element.props(f"placeholder={json.dumps(hint)}")
    slot.named(element)
    return element


def refreshed(select: ui.select, read: Callable[[], Awaitable[dict[str, str]]]) -> None:
    """Read the options anew whenever the list is opened; what is chosen stays among them."""

    async def offer() -> None:
        found = await read()
        if select.is_deleted:
            return
        chosen = {} if select.value in (None, "") else {select.value: str(select.value)}
        select.set_options(chosen | found)

    select.on("popup-show", offer)


def knowledge_base(slot: Slot) -> ui.element:
    """A knowledge base."""
    choices = slot.form.choices
    select = pick(slot, choices.knowledge_bases, free=False, hint="Choose a knowledge base")
    if choices.bases is not None:
        refreshed(select, choices.bases)
    return select


def model(slot: Slot) -> ui.element:
    """A model: ready ones, and those that need setting up, said so."""
    kind = MODEL_KINDS.get(str(slot.spec.extra.get("widget", "")), "")
    options = {str(c): text.words(str(c)) for c in slot.spec.choices}
    options |= slot.form.choices.models.get(kind, {})
    if slot.spec.default and str(slot.spec.default) not in options:
        options = {str(slot.spec.default): text.words(str(slot.spec.default)), **options}
    return pick(slot, options, free=True, hint="Choose or type a model")


def ref(slot: Slot) -> ui.element:
    """A branch or a commit of the knowledge base chosen beside it."""
    select = pick(slot, {"main": "main"}, free=True, hint="main")
    choices = slot.form.choices

    async def read() -> dict[str, str]:
        kb = str(slot.form.values().get("knowledge_base") or "")
        if not kb:
            return {"main": "main"}
        if choices.refs is not None:
            return await choices.refs(kb)
        names = await choices.branches(kb) if choices.branches is not None else ["main"]
        return {name: name for name in names}

    refreshed(select, read)
    return select


def chunker(slot: Slot) -> ui.element:
    """A way to cut documents."""
    options = {name: text.words(name) for name in slot.form.choices.chunkers}
    return pick(slot, options, free=False, hint="Choose where to cut")


def port_type(slot: Slot) -> ui.element:
    """A type of values that wires carry."""
    options = {name: f"{name} · {cls.type_help}" for name, cls in PORT_TYPES.items()}
    return pick(slot, options, free=True, hint="Any")


def workflow(slot: Slot) -> ui.element:
    """A stored workflow."""
    select = pick(slot, {}, free=False, hint="Choose a workflow")
    fill_workflows(select, slot)
    return select


def fill_workflows(select: ui.select, slot: Slot) -> None:
    """Offer the stored workflows by name, now and whenever the list is opened."""
    read = slot.form.choices.workflows
    if read is None:
        return

    async def named() -> dict[str, str]:
        found = await read()
        chosen = select.value
        return found if not chosen or chosen in found else {chosen: f"{chosen} {NOT_HERE}", **found}

    async def first() -> None:
        options = await named()
        if not select.is_deleted:
            select.set_options(options)

    refreshed(select, named)
    ui.timer(0.01, first, once=True)


def files(slot: Slot) -> ui.element:
    """Files, kept as they are dropped."""
    many = slot.spec.extra.get("type") == "array"
    value, choices = slot.value, slot.form.choices
    chosen: list[dict[str, Any]] = list(value or ()) if many else ([value] if value else [])
    with parts.div("rl-col rl-gap-4") as element:
        room = parts.div("rl-col rl-gap-4")

    def store() -> None:
        slot.put(list(chosen) if many else (chosen[0] if chosen else None))

    def remove(position: int) -> None:
        del chosen[position]
        draw()
        store()

    def draw() -> None:
        room.clear()
        with room:
            for position, one in enumerate(chosen):
                with parts.div("rl-row rl-gap-4"):
                    ui.icon("description").classes("rl-muted").style("font-size: 17px")
                    parts.label(str(one.get("filename", "")), "rl-ellipsis rl-grow rl-small")
                    parts.label(text.size(int(one.get("size") or 0)), "rl-muted rl-small")
                    parts.icon_button("close", "Remove", lambda p=position: remove(p))

    async def take(event: events.UploadEventArguments) -> None:
        if choices.keep_file is None:
            return
        try:
            kept = await choices.keep_file(event.file.name, await event.file.read())
        except RagloomError as error:
            parts.failed(error)
            return
        chosen[:] = [*chosen, kept] if many else [kept]
        draw()
        store()

    draw()
    if choices.keep_file is not None:
        with element:
            upload = ui.upload(multiple=many, auto_upload=True, on_upload=take)
            parts.drop_zone("Add files", "Drop them here, or click.", upload).classes("rl-slim")
    return element
