"""The workflow canvas: Vue Flow behind one NiceGUI element.

With an editor the canvas is complete: it shows the editor's graph, sends what the person does as
operations, shows every change (its own, of other tabs, of Python), and answers undo, redo, copy,
paste, duplicate, disable, delete, rename and tidy itself::

    canvas = FlowCanvas(
        editor,                                   # app.ui.canvas.editor.GraphEditor
        on_selection=lambda s: ...,               # Selection(nodes, edges)
        on_node_action=lambda action, node: ...,  # see below
        on_command=lambda name: ...,              # "save", "run", "find", "help"
        on_refused=lambda reason: ...,            # an edit was refused (the canvas says it too)
        on_pane_action=lambda action: ...,        # PaneAction; the canvas opens its own quick search
    ).classes("grow")

Node actions that reach the page: "run_to", "open" (double click, Enter), "problems" (badge),
"toggle_pinned" (P), "run_selection" (with the first selected node), and those of `menu`,
entries the page adds to a node's menu.

Calls: `apply` (edits by the person at this canvas), `set_statuses`, `mark_stale`,
`clear_statuses`, `set_marks`, `clear_marks`, `set_port_values`, `select`,
`centre_on`, `fit`, `perform`, `align`, `rename`, `add_at_centre` (click in the palette), `add_note`,
`refuse`, `say`, `undo`, `redo`, `set_read_only`; and without an editor `load_graph` and `patch`.

Palette items are made draggable with `palette_item(element, node_type)`.

Events of the browser, by name and payload (registered here; pages use the callbacks above):

- ``ready`` {origin, person, name}: mounted, or mounted again: everything is sent again
- ``presence`` {pointer: [x, y] | null, editing: node}, either left out; only while others look
- ``person`` {name}: what the others shall call this person
- ``graphOps`` {ops, origin}: JSON data of `app.ui.canvas.ops`
- ``selectionChange`` {nodes: [id], edges: [[source, source port, target, target port]],
  notes: [id], group: id}
- ``nodeAction`` {action, node}
- ``paneAction`` {action: "quick_add", x, y, from: {node, port, side, type} | null, types: [type]}
- ``command`` {name}
- ``refused`` {reason}

A status is ``{state, elapsed_ms, duration_ms, reason, error, done, total, message, items, stale}``
with only `state` required: idle, waiting, running, asking (a person has to decide), done, cached,
skipped, failed, cancelled. `done` of `total` is shown while it runs, and `inner`, the node that
runs inside it. `word` says more than “Cached” of outputs that were pinned or kept.
`items` is {output port: count}, shown on the wires. `app.ui.canvas.board.RunBoard` makes statuses
from the events of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from .editor import Change, GraphEditor, Refused
from .ops import Op, Rename, SetConfig, SetPolicy
from .presence import Author
from .view import edge_id

DIST = Path(__file__).parent / "dist"
#: Type of what a palette item carries while it is dragged.
DRAG_TYPE = "application/x-ragloom-node"

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected on the canvas."""

    nodes: tuple[str, ...]
    #: (source node, source port, target node, target port)
    edges: tuple[tuple[str, str, str, str], ...]
    notes: tuple[str, ...] = ()
    #: The group whose title was clicked.
    group: str = ""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """What the page adds to the menu of a node; `action` reaches `on_node_action`."""

    action: str
    label: str
    icon: str
    keys: str = ""
    #: Whether it changes the graph or starts something: left out where one may only look.
    edits: bool = True


@dataclass(frozen=True, slots=True)
class PaneAction:
    """Somebody asks for a node at a place: double click, Tab, or a wire dropped on nothing."""

    action: str
    x: float
    y: float
    #: The dragged wire's start: {node, port, side, type}.
    start: dict[str, str] | None
    #: Node types that fit the wire; all of them without one.
    types: tuple[str, ...]


class FlowCanvas(
    ui.element,
    component="flow_canvas.js",
    esm={"ragloom-canvas": "dist"},
):
    """Shows a graph and lets a person edit it; see the module's text for the whole interface."""

    def __init__(
        self,
        editor: GraphEditor | None = None,
        *,
        dark: bool | None = None,
        read_only: bool = False,
        menu: Sequence[MenuEntry] = (),
        on_selection: Callable[[Selection], Any] | None = None,
        on_node_action: Callable[[str, str], Any] | None = None,
        on_pane_action: Callable[[PaneAction], Any] | None = None,
        on_command: Callable[[str], Any] | None = None,
        on_refused: Callable[[str], Any] | None = None,
        on_change: Callable[[Change], Any] | None = None,
        on_ops: Callable[[list[dict[str, Any]]], Any] | None = None,
        stale: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """`dark=None` follows the page; `on_ops` gets the operations when there is no editor.

        `stale` says after every change which results no longer follow from the graph.
        """
        if not (DIST / "index.js").exists():
            raise RuntimeError(
                f"The canvas is not built: {DIST / 'index.js'} is missing. "
                "Run “pip install -e .”, which builds it."
            )
        super().__init__()
        self.editor = editor
        self._statuses: dict[str, tuple[Status, float]] = {}
        self._marks: dict[str, dict[str, str]] = {}
        self._port_values: dict[str, dict[str, str]] = {}
        self._viewer = ""
        self._person = ("", "")
        self._payload: dict[str, Any] = {"graph": {"nodes": [], "edges": []}}
        self._on_selection = on_selection
        self._on_node_action = on_node_action
        self._on_pane_action = on_pane_action
        self._on_command = on_command
        self._on_refused = on_refused
        self._on_change = on_change
        self._on_ops = on_ops
        self._stale = stale
        self.selection = Selection((), ())
        self._props["dark"] = dark
        self._props["readOnly"] = read_only
        self._props["menu"] = [asdict(entry) for entry in menu]
        # All listeners are registered here: one added later would mount the canvas anew.
        self.on("ready", self._handle_ready)
        self.on("graphOps", self._handle_ops)
        self.on("selectionChange", self._handle_selection)
        self.on("nodeAction", self._handle_node_action)
        self.on("paneAction", self._handle_pane_action)
        self.on("command", self._handle_command)
        self.on("refused", self._handle_refused)
        self.on("presence", self._handle_presence)
        self.on("person", self._handle_person)
        self.client.on_disconnect(self._leave)
        self.client.on_connect(self._join)
        self._unsubscribe = editor.subscribe(self._show_change) if editor else None

    # ---- what Python calls ----
    def load_graph(self, payload: Mapping[str, Any], *, fit: bool = False) -> None:
        """Show a graph: {graph: {nodes, edges}, catalog, types}, as `GraphEditor.load_payload`."""
        self._payload = {**payload}
        self.run_method("load_graph", {**self._payload, "fit": fit})

    def patch(self, patch: Mapping[str, Any]) -> None:
        """Change what is shown: {nodes, moved, edges, remove_nodes, remove_edges, …}."""
        self.run_method("patch", dict(patch))

    def set_editor(self, editor: GraphEditor) -> None:
        """Show and edit another graph from now on."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        self._leave()
        self.editor = editor
        self._unsubscribe = editor.subscribe(self._show_change)
        self._join()
        self._statuses.clear()
        self._send_everything(fit=True)

    def set_statuses(self, statuses: Mapping[str, Status | None], *, replace: bool = False) -> None:
        """Set the state of nodes by id; None takes it away. `replace` drops those not named."""
        now = time.monotonic()
        if replace:
            self._statuses.clear()
        for node, status in statuses.items():
            if status is None:
                self._statuses.pop(node, None)
            else:
                self._statuses[node] = (dict(status), now)
        self.run_method("set_statuses", dict(statuses), replace)

    def clear_statuses(self) -> None:
        """Forget the last run."""
        self.set_statuses({}, replace=True)

    def mark_stale(self, nodes: Iterable[str]) -> None:
        """Dim the results of these nodes, and of no others: they no longer follow from the graph."""
        wanted, shown = set(nodes) & self._statuses.keys(), self._stale_shown()
        for node in wanted ^ shown:
            self._statuses[node][0]["stale"] = node in wanted
        if again := {node: self._statuses[node][0] for node in shown - wanted}:
            self.run_method("set_statuses", again, False)
        if new := wanted - shown:
            self.run_method("mark_stale", sorted(new))

    def _stale_shown(self) -> set[str]:
        return {node for node, (s, _) in self._statuses.items() if s.get("stale")}

    def set_marks(self, marks: Mapping[str, Mapping[Any, str]]) -> None:
        """Show differences: {"nodes": {node id: kind}, "edges": {wire: kind}}.

        Kinds: added, removed, changed, moved, config, input, output, missing, same. A wire is
        named by its four ends or by `view.edge_id` of them.
        """
        wires = {
            key if isinstance(key, str) else edge_id(key): kind
            for key, kind in marks.get("edges", {}).items()
        }
        self._marks = {"nodes": dict(marks.get("nodes", {})), "edges": wires}
        self.run_method("set_marks", self._marks)

    def set_port_values(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """Say what outputs last held: {node: {port: short text}}; shown when a port is hovered."""
        self._port_values = {
            node: {port: str(text)[:600] for port, text in ports.items()}
            for node, ports in values.items()
        }
        self.run_method("set_port_values", self._port_values)

    def clear_marks(self) -> None:
        """Show no differences any more."""
        self.set_marks({})

    def select(self, nodes: Iterable[str], *, shown: bool = False) -> None:
        """Select nodes; `shown` also moves the view where the first of them is out of sight."""
        self.run_method("select", list(nodes), shown)

    def centre_on(self, node: str) -> None:
        """Bring a node to the middle of the canvas."""
        self.run_method("centre_on", node)

    def fit(self, nodes: Iterable[str] = ()) -> None:
        """Show all nodes, or these."""
        self.run_method("fit", list(nodes))

    def perform(self, command: str) -> None:
        """Do to the selection what a key or a menu of the canvas does, by the command's name."""
        self.run_method("perform", command)

    def align(self, how: str) -> None:
        """Line up the selection: left, centre, right, top, middle, bottom, across or down."""
        self.run_method("align", how)

    def rename(self, node: str) -> None:
        """Let the person type a title on the card."""
        self.run_method("rename", node)

    def add_at_centre(self, node_type: str) -> None:
        """Add a node in the middle of what is in view: a click in the palette."""
        self.run_method("add_at_centre", node_type)

    def refuse(self, reason: str) -> None:
        """Say on the canvas why something cannot be done."""
        self.run_method("refuse", reason)

    def set_read_only(self, read_only: bool) -> None:
        """Let the person look but not edit."""
        self._props["readOnly"] = read_only

    def add_note(self) -> None:
        """Stick a note into the middle of what is in view, to be typed into."""
        self.run_method("add_note")

    def say(self, text: str) -> None:
        """Say something on the canvas for a few seconds."""
        self.run_method("say", text)

    @property
    def author(self) -> Author | None:
        """The person at this canvas, once the browser has said who that is."""
        return self.editor.presence.author(self._viewer) if self.editor is not None else None

    def apply(self, ops: Sequence[Op | dict[str, Any]], *, origin: str = "") -> Change | None:
        """Edit the graph as the person at this canvas; a refusal is said here, and gives None."""
        if self.editor is None or self._props["readOnly"]:
            return None
        try:
            change = self.editor.apply(ops, origin=origin, by=self.author)
        except Refused as error:
            self.refuse(str(error))
            if self._on_refused is not None:
                self._on_refused(str(error))
            return None
        for op in ops:
            if isinstance(op, SetConfig | SetPolicy | Rename):
                self._presence(editing=op.node)
        return change

    def undo(self) -> None:
        """Take back the last step."""
        if self.editor is not None and not self._props["readOnly"]:
            self.editor.undo(by=self.author)

    def redo(self) -> None:
        """Do the last undone step again."""
        if self.editor is not None and not self._props["readOnly"]:
            self.editor.redo(by=self.author)

    # ---- what the browser sends ----
    def _handle_ready(self, event: GenericEventArguments) -> None:
        self._leave()
        self._viewer = str(event.args.get("origin", ""))
        self._person = (str(event.args.get("person", ""))[:64], str(event.args.get("name", "")))
        self._join()
        self._send_everything()

    # ---- who else is here ----
    def _join(self) -> None:
        """Be seen: after mounting, and again when a lost connection is back."""
        if self.editor is not None and self._viewer:
            person, name = self._person
            self.editor.presence.join(self._viewer, person or self._viewer, name, self._show_people)

    def _leave(self) -> None:
        if self.editor is not None and self._viewer:
            self.editor.presence.leave(self._viewer)

    def _presence(self, **changes: Any) -> None:
        if self.editor is not None:
            self.editor.presence.update(self._viewer, **changes)

    def _show_people(self, people: dict[str, Any]) -> None:
        self.run_method("set_people", people)

    def _handle_presence(self, event: GenericEventArguments) -> None:
        if "pointer" in event.args:
            at = event.args["pointer"]
            self._presence(pointer=(float(at[0]), float(at[1])) if at else None)
        if "editing" in event.args:
            self._presence(editing=str(event.args["editing"] or ""))

    def _handle_person(self, event: GenericEventArguments) -> None:
        self._person = (self._person[0], str(event.args.get("name", "")))
        self._join()

    def _send_everything(self, *, fit: bool = False) -> None:
        if self.editor is not None:
            self._payload = self.editor.load_payload()
        now = time.monotonic()
        statuses = {
            node: {**status, "elapsed_ms": status.get("elapsed_ms", 0) + (now - at) * 1000}
            for node, (status, at) in self._statuses.items()
        }
        self.run_method(
            "load_graph",
            {
                **self._payload,
                "statuses": statuses,
                "marks": self._marks,
                "port_values": self._port_values,
                "fit": fit,
            },
        )

    def _handle_ops(self, event: GenericEventArguments) -> Any:
        ops = event.args.get("ops", [])
        if self.editor is None:
            return self._on_ops(ops) if self._on_ops else None
        done = self.apply(ops, origin=str(event.args.get("origin", "")))
        # A refused move leaves the card where it was dragged to: show what is true.
        moves = any(isinstance(op, dict) and op.get("op") == "move_nodes" for op in ops)
        if done is None and moves:
            self._send_everything()
        return None

    def _handle_selection(self, event: GenericEventArguments) -> Any:
        self.selection = Selection(
            tuple(event.args["nodes"]),
            tuple((e[0], e[1], e[2], e[3]) for e in event.args["edges"]),
            tuple(event.args.get("notes", ())),
            str(event.args.get("group") or ""),
        )
        self._presence(selection=self.selection.nodes, editing="")
        return self._on_selection(self.selection) if self._on_selection else None

    def _handle_node_action(self, event: GenericEventArguments) -> Any:
        asked = event.args["action"], event.args["node"]
        return self._on_node_action(*asked) if self._on_node_action else None

    def _handle_pane_action(self, event: GenericEventArguments) -> Any:
        if self._on_pane_action is None:
            return None
        args, types = event.args, tuple(event.args["types"])
        asked = PaneAction(args["action"], args["x"], args["y"], args.get("from"), types)
        return self._on_pane_action(asked)

    def _handle_command(self, event: GenericEventArguments) -> Any:
        name = event.args["name"]
        if name == "undo":
            self.undo()
        elif name == "redo":
            self.redo()
        elif self._on_command is not None:
            return self._on_command(name)
        return None

    def _handle_refused(self, event: GenericEventArguments) -> Any:
        return self._on_refused(event.args["reason"]) if self._on_refused else None

    # ---- what the editor says ----
    def _show_change(self, change: Change) -> None:
        if change.patch:
            self.patch(change.patch)
        if self._stale is not None:
            self.mark_stale(self._stale())
        elif change.stale:
            self.mark_stale(self._stale_shown() | change.stale)
        if self._on_change is not None:
            self._on_change(change)

    def _handle_delete(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._leave()
        super()._handle_delete()


def palette_item(element: Element, node_type: str) -> None:
    """Let a palette entry be dragged onto the canvas."""
    element.props("draggable=true")
    element.on(
        "dragstart",
        js_handler=f"(event) => {{ event.dataTransfer.setData({DRAG_TYPE!r}, {node_type!r}); "
        "event.dataTransfer.effectAllowed = 'copy'; "
        # Its tooltip would stay: no pointer leaves while something is dragged.
        "event.currentTarget.dispatchEvent(new Event('mouseleave')); }",
    )
