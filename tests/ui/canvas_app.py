"""A page with nothing but a palette and a canvas, for the browser tests: `canvas_app.py FD`.

Each `?id=` has an editor of its own; `/state/ID` says what Python knows, `/do/ID` calls the canvas.
"""

from __future__ import annotations

import sys
from typing import Any

import canvas_toys as toys
from fastapi import Request
from nicegui import app, ui

from app.engine.graph import Graph
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas, palette_item

REGISTRY = toys.registry()
EDITORS: dict[str, GraphEditor] = {}
CANVASES: dict[str, list[FlowCanvas]] = {}
EVENTS: dict[str, list[Any]] = {}


@ui.page("/")
def page(id: str, empty: bool = False, read_only: bool = False) -> None:
    """A palette on the left, the canvas on the right."""
    graph = Graph() if empty else toys.answering()
    editor = EDITORS.setdefault(id, GraphEditor(graph, REGISTRY))
    events = EVENTS.setdefault(id, [])
    ui.add_css("body{margin:0} .nicegui-content{padding:0}")
    with ui.row(wrap=False).style("width:100%;height:100vh;gap:0"):
        with ui.column().style("width:160px;padding:8px"):
            for cls in REGISTRY:
                item = ui.label(cls.title).props(f"data-palette={cls.type}")
                palette_item(item, cls.type)
                item.on("click", lambda _, t=cls.type: canvas.add_at_centre(t))
            ui.input("Field").props("data-field")
        canvas = FlowCanvas(
            editor,
            read_only=read_only,
            on_selection=lambda s: events.append(["selection", list(s.nodes), len(s.edges)]),
            on_node_action=lambda action, node: events.append(["node", action, node]),
            on_command=lambda name: events.append(["command", name]),
            on_refused=lambda reason: events.append(["refused", reason]),
            on_pane_action=lambda a: events.append(["pane", a.start, list(a.types)]),
        ).style("height:100%;flex:1")
    CANVASES.setdefault(id, []).append(canvas)


@app.get("/state/{id}")
def state(id: str) -> dict[str, Any]:
    """What Python holds."""
    return {"graph": EDITORS[id].dump(), "events": EVENTS[id]}


@app.post("/do/{id}")
async def do(id: str, request: Request) -> None:
    """Call a method of the canvas, or apply operations."""
    body = await request.json()
    if "ops" in body:
        EDITORS[id].apply(body["ops"])
        return
    canvas = CANVASES[id][-1]
    with canvas:
        getattr(canvas, body["method"])(*body.get("args", []), **body.get("kwargs", {}))


if __name__ in {"__main__", "__mp_main__"}:
    ui.run(
        host="127.0.0.1",
        fd=int(sys.argv[1]),
        show=False,
        reload=False,
        reconnect_timeout=30,
        show_welcome_message=False,
        tailwind=False,  # as in the app
    )
