"""The sheet of keys behind `?`."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from app.ui import parts

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Anywhere", (("Search everything", "Ctrl K"), ("This sheet", "?"))),
    (
        "Run",
        (("Run the workflow", "Ctrl Enter"), ("Save now", "Ctrl S")),
    ),
    (
        "Build",
        (
            ("Add a node", "Tab or double-click"),
            ("Add a node that fits a port", "Click the port, or drop its wire on nothing"),
            ("Insert a node into a wire", "The + beside it, or drop a node on it"),
            ("Connect the selected node", "C"),
            ("Add a note", "N"),
            ("Group · ungroup", "Ctrl G · Ctrl Shift G"),
            ("Collapse to a sub-workflow · expand", "Ctrl E · Ctrl Shift E"),
            ("Rename · disable · pin", "F2 · D · P"),
            ("Duplicate", "Ctrl D"),
            ("Delete", "Delete"),
            ("Copy · cut · paste", "Ctrl C · X · V"),
            ("Undo · redo", "Ctrl Z · Ctrl Shift Z or Ctrl Y"),
            ("What can be done with it", "Right click, Shift F10, or a long press"),
        ),
    ),
    (
        "Select and move",
        (
            ("Walk to neighbours", "Arrow keys"),
            ("Open the settings", "Enter"),
            ("Go to the question", "Q"),
            ("Back to the canvas · leave it", "Escape · Shift Tab"),
            ("Select one more", "Ctrl and click"),
            ("Select an area", "Shift and drag, or its menu"),
            ("Select all · nothing", "Ctrl A · Escape"),
            ("Move what is selected", "Alt and arrow keys"),
        ),
    ),
    (
        "Correct a document",
        (
            ("Next · previous chunk", "J · K or arrow keys"),
            ("Edit · save · leave", "E · Ctrl Enter · Escape"),
            ("Merge with the next · disable", "M · D"),
        ),
    ),
    (
        "Look around",
        (
            ("Find on the canvas", "Ctrl F"),
            ("Fit everything", "1"),
            ("Zoom", "+ · −"),
            ("Pan", "Space and drag"),
        ),
    ),
)


def build() -> Callable[[], None]:
    """Return what opens the sheet; it is made when first asked for."""
    made: list[ui.dialog] = []
    root = ui.element("div").classes("rl-hidden")

    def show() -> None:
        if not made:
            with root, parts.dialog("Keys", wide=True) as box:
                with parts.div("rl-keys-sheet"):
                    for group, rows in KEYS:
                        with parts.div("rl-keys"):
                            parts.tag("h3", group)
                            for what, keys in rows:
                                parts.tag("span", what)
                                parts.tag("span", keys, "rl-muted rl-mono")
                with parts.div("rl-row rl-wrap"):
                    for name, href in (
                        ("REST reference", "/docs"),
                        ("Node types", "/api/v1/node_types"),
                    ):
                        with parts.link(href, "rl-small").props("target=_blank"):
                            parts.tag("span", name)
            made.append(box)
        made[0].open()

    return show
