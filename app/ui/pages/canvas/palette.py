"""The palette: every node type by family, to drag onto the canvas or to add with a click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from app.ui import parts
from app.ui.canvas.flow import palette_item

FAMILIES = {
    "inputs": ("Inputs", "input"),
    "text": ("Text", "notes"),
    "retrieval": ("Retrieval", "search"),
    "generation": ("Generation", "auto_awesome"),
    "checks": ("Checks", "fact_check"),
    "logic": ("Logic", "call_split"),
    "documents": ("Documents", "description"),
    "outputs": ("Outputs", "output"),
    "notes": ("Notes", "sticky_note_2"),
}
#: Not a node, but added like one.
NOTE = {
    "type": ":note",
    "title": "Sticky note",
    "family": "notes",
    "icon": "sticky_note_2",
    "description": "Words beside the nodes: what a part is for, what is left to do.",
}


def build(types: Sequence[dict[str, Any]], add: Callable[[str], Any]) -> None:
    """Show node types (as `describe.node_type` gives them); `add(type)` puts one on the canvas."""
    types = [*types, NOTE]
    rows: list[tuple[str, ui.element]] = []
    groups: list[tuple[ui.element, list[tuple[str, ui.element]]]] = []
    search = ui.input(placeholder="Search nodes").props("clearable debounce=80")
    search.classes("rl-palette-search").mark("palette-search")
    with search.add_slot("prepend"):
        ui.icon("search")
    families = [*FAMILIES, *sorted({t["family"] for t in types} - FAMILIES.keys())]
    with parts.div("rl-palette-list"):
        for family in families:
            members = [t for t in types if t["family"] == family]
            if not members:
                continue
            name, icon = FAMILIES.get(family, (family.capitalize(), "extension"))
            colour = f"--rl-fam: var(--rl-family-{family}, var(--rl-muted))"
            with parts.div("rl-palette-group").style(colour) as group:
                with parts.div("rl-palette-head"):
                    ui.icon(icon)
                    parts.tag("span", name)
                items = [(_words(kind), _item(kind, add)) for kind in members]
            groups.append((group, items))
            rows += items
        none = parts.label("No node has that name.", "rl-muted rl-small rl-hidden")

    def narrow() -> None:
        needles = (search.value or "").lower().split()
        anything = False
        for group, items in groups:
            shown = False
            for hay, element in items:
                fits = all(n in hay for n in needles)
                shown = shown or fits
                element.classes(remove="rl-hidden") if fits else element.classes(add="rl-hidden")
            group.classes(remove="rl-hidden") if shown else group.classes(add="rl-hidden")
            anything = anything or shown
        none.classes(add="rl-hidden") if anything else none.classes(remove="rl-hidden")

    search.on_value_change(narrow)


def _words(kind: dict[str, Any]) -> str:
    return f"{kind['title']} {kind['type']} {kind['family']} {kind['description']}".lower()


def _item(kind: dict[str, Any], add: Callable[[str], Any]) -> ui.element:
    element = ui.element("button").classes("rl-palette-item")
    palette_item(element, kind["type"])
    element.props["data-node-type"] = kind["type"]
    element.mark(f"palette-{kind['type']}")
    element.on("click", lambda: add(kind["type"]))
    with element:
        ui.icon(kind["icon"])
        parts.tag("span", kind["title"], "rl-ellipsis")
        first_line = kind["description"].strip().split("\n")[0]
        if first_line:
            ui.tooltip(first_line).props("anchor='center right' self='center left'")
    return element
