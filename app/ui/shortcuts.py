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
        "Edit the canvas",
        (
            ("Add a node", "Tab or double-click"),
            ("Undo · redo", "Ctrl Z · Ctrl Shift Z"),
            ("Copy · cut · paste", "Ctrl C · X · V"),
            ("Duplicate", "Ctrl D"),
            ("Select all", "Ctrl A"),
            ("Delete", "Delete"),
            ("Rename · disable · pin", "F2 · D · P"),
        ),
    ),
    (
        "Look around",
        (
            ("Fit everything", "1"),
            ("Zoom", "+ · −"),
            ("Pan", "Space and drag"),
            ("Select an area", "Shift and drag"),
            ("Walk to neighbours", "Arrow keys"),
        ),
    ),
)


def build() -> Callable[[], None]:
    """Return what opens the sheet; it is made when first asked for."""
    made: list[ui.dialog] = []
    root = ui.element("div").classes("rl-hidden")

    def show() -> None:
        if not made:
            with root, parts.dialog("Keys") as box:
                with parts.div("rl-keys"):
                    for group, rows in KEYS:
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
