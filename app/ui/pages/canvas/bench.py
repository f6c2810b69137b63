"""What the parts of the canvas page share: the workflow, its editor, and the run that is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.engine.events import Event
from app.engine.graph import Graph
from app.services.container import Services
from app.services.views import StepView, WorkflowView
from app.ui.canvas.board import RunBoard
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas
from app.ui.canvas.saving import Autosave
from app.ui.finder import Hit
from app.ui.pages.canvas.drawer import Drawer
from app.ui.pages.canvas.freshness import Freshness
from app.ui.pages.canvas.inspector import Inspector
from app.ui.pages.canvas.runbar import RunBar
from app.ui.run_state import RunState

#: More nodes than this are not listed in the search.
_MOST_FOUND = 8


class Bench:
    """State of one open canvas page; the page sets `root`, `canvas`, `bar`, `drawer`, `inspector`."""

    root: ui.element
    canvas: FlowCanvas
    bar: RunBar
    drawer: Drawer
    inspector: Inspector
    #: Draws the selected node again.
    refresh: Callable[[], None]

    def __init__(
        self,
        services: Services,
        workflow: WorkflowView,
        editor: GraphEditor,
        autosave: Autosave | None,
    ) -> None:
        self.services, self.workflow = services, workflow
        self.editor, self.autosave = editor, autosave
        #: The node in the inspector, and all that are selected.
        self.node: str | None = None
        self.chosen: tuple[str, ...] = ()
        self.run = RunState()
        self.board = RunBoard()
        self.freshness = Freshness(services.registry, self.step)
        #: Nodes whose results no longer follow from the graph, and those of which the last edit
        #: changed that.
        self.stale: set[str] = set()
        self.turned: set[str] = set()
        self._titled: tuple[Graph | None, dict[str, tuple[str, str]]] = (None, {})

    @property
    def read_only(self) -> bool:
        """True where a past run is shown."""
        return self.autosave is None

    def titles(self) -> dict[str, tuple[str, str]]:
        """Node id -> title, type."""
        graph = self.editor.graph
        if self._titled[0] is not graph:
            views = {id_: self.editor.node_view(id_) or {} for id_ in graph.nodes}
            found = {id_: (v.get("title", id_), v.get("type", "")) for id_, v in views.items()}
            self._titled = (graph, found)
        return self._titled[1]

    def wires(self) -> list[tuple[str, str]]:
        """Wires of the graph, as (source, target)."""
        return [(edge.source, edge.target) for edge in self.editor.graph.edges]

    def show_statuses(self, event: Event) -> None:
        """Show on the canvas what an event changes there."""
        changed = self.board.feed(event)
        for node in changed.keys() & self.stale:  # edited while the run was under way
            status = changed[node]
            changed[node] = {**status, "stale": True} if status else None
        if changed:
            self.canvas.set_statuses(changed)

    def step(self, node: str) -> StepView | None:
        """The last known step of a node: of this run, or of the one it builds on."""
        return self.run.steps.get(node) or self.run.kept.get(node)

    def find_stale(self) -> set[str]:
        """See anew which results no longer follow from the graph."""
        now = self.freshness.stale(self.editor.graph)
        self.stale, self.turned = now, now ^ self.stale
        return now

    def title(self, node: str) -> str:
        """What a node is called."""
        return self.titles().get(node, (node, ""))[0]

    def apply(self, *ops: Any) -> bool:
        """Edit the graph as the person here; the canvas says why where that cannot be done."""
        return self.canvas.apply(ops) is not None

    def found(self, words: str) -> list[Hit]:
        """Nodes whose title, type, id or summary holds the words; none without words."""
        if not words:
            return []
        hits = []
        for id_, (title, kind) in self.titles().items():
            view = self.editor.node_view(id_) or {}
            said = f"{title} {kind} {id_} {view.get('summary', '')}".lower()
            if all(word in said for word in words.split()):
                icon, detail = str(view.get("icon", "")), str(view.get("summary", ""))
                hits.append(
                    Hit("On this canvas", icon, title, detail, "", partial(self.show_node, id_))
                )
        return hits[:_MOST_FOUND]

    def show_node(self, node: str) -> None:
        """Select a node and bring it to the middle."""
        if node in self.editor.graph.nodes:
            self.canvas.select([node])
            self.canvas.centre_on(node)
