"""The graph being edited: operations in, patches out, with undo and a view for every browser.

One `GraphEditor` serves all viewers of a workflow in this process: each operation is checked
here, whatever the browser thinks, and what changed is handed to every subscriber.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine.graph import Graph
from app.engine.problems import Problem
from app.engine.registry import Registry
from app.ui.text import words

from . import (
    edits_copy,
    edits_structure,
    structure,
    variables,
    view,
)  # the edits_… register operations
from .clashes import Clash, Clashes
from .edits import Edit, apply_op, tidied
from .history import History
from .layout import place_missing
from .ops import LOOKS_ONLY, Delete, Op, Paste, Refused, ReplaceGraph, read_op
from .presence import Author, Presence
from .sockets import Sockets, fitting_ports

__all__ = ["Change", "GraphEditor", "Refused", "edits_copy", "edits_structure", "variables"]

Validate = Callable[[Graph, Registry], list[Problem]]


@dataclass(frozen=True, slots=True)
class Change:
    """What one edit, undo or redo changed; handed to every subscriber."""

    #: For `FlowCanvas.patch`.
    patch: dict[str, Any]
    problems: list[Problem]
    label: str
    #: Canvas that asked for it; empty for Python, undo and redo.
    origin: str
    #: Nodes whose results may differ from those before it.
    stale: frozenset[str]
    #: Ids of nodes that were added, changed (not only moved) or removed.
    nodes: frozenset[str]
    #: Whether anything changed at all.
    graph_changed: bool = True
    #: Who did it; None where a program did.
    by: Author | None = None
    #: Changes of other people that this one replaced.
    clashes: tuple[Clash, ...] = ()


class GraphEditor:
    """Holds a workflow's graph while it is edited."""

    def __init__(
        self,
        graph: Graph,
        registry: Registry,
        *,
        revision: int = 0,
        validate: Validate | None = None,
        on_change: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """`on_change` gets the workflow file after every edit, before any viewer sees it.

        `revision` is the saved revision `graph` was read from.
        """
        self.registry = registry
        self.revision = revision
        self._validate = validate or _engine_validate
        self._on_change = on_change
        self._graph = place_missing(graph)
        self._saved = self._graph
        #: What lies around the graph, as it was told last.
        self._around: list[Problem] = []
        self._problems = self._check(self._graph)
        self._cards: view.Memo = {}
        self._view = view.graph_view(self._graph, registry, self._problems, memo=self._cards)
        self._history = History()
        self._clashes = Clashes(self._words)
        #: Who looks at this graph at the moment.
        self.presence = Presence()
        self._subscribers: list[Callable[[Change], None]] = []
        self._deleted_all = False

    # ---- reading ----
    @property
    def graph(self) -> Graph:
        """The graph as it is now. Treat it as frozen: edits replace it."""
        return self._graph

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong with the graph."""
        return list(self._problems)

    @property
    def dirty(self) -> bool:
        """Whether the graph differs from the saved revision."""
        return self._graph is not self._saved and self._graph != self._saved

    @property
    def saved(self) -> Graph:
        """The graph as last saved or read."""
        return self._saved

    @property
    def may_save(self) -> bool:
        """False where an empty graph would overwrite nodes nobody deleted by hand."""
        return bool(self._graph.nodes) or not self._saved.nodes or self._deleted_all

    @property
    def undo_label(self) -> str | None:
        """What undo would take back, None when there is nothing."""
        return self._history.undo_label

    @property
    def redo_label(self) -> str | None:
        """What redo would do again, None when there is nothing."""
        return self._history.redo_label

    def dump(self) -> dict[str, Any]:
        """JSON data of the workflow file."""
        return self._graph.dump()

    def load_payload(self) -> dict[str, Any]:
        """Everything a canvas needs to show the graph, for `FlowCanvas.load_graph`."""
        return {
            "graph": self._view.dump(),
            "catalog": view.catalog(self.registry),
            "types": view.type_table(self.registry),
            "history": self._labels(),
        }

    def node_view(self, node: str) -> dict[str, Any] | None:
        """The card of a node: title, family, icon, summary, ports with types, problems."""
        return self._view.nodes.get(node)

    def compatible(self, node: str, port: str, side: str) -> list[tuple[str, str]]:
        """(node type, port) pairs that fit a wire from this port; `side` is "source" or "target"."""
        sockets = Sockets(self._graph, self.registry)
        if side == "source":
            value_type = sockets.output_type(node, port)
        else:
            inputs = sockets.inputs(node)
            if port not in inputs:
                return []
            value_type = inputs[port].value_type
        return [
            (cls.type, name)
            for cls in self.registry
            for name in fitting_ports(cls, side, value_type)[:1]
        ]

    # ---- editing ----
    def apply(
        self,
        ops: Sequence[Op | dict[str, Any]],
        *,
        origin: str = "",
        by: Author | None = None,
    ) -> Change:
        """Apply operations as one step of undo. Raises Refused, and then nothing has changed.

        Operations are models of `app.ui.canvas.ops` or their JSON data. `by` is who asks for it.
        """
        checked = [read_op(op) for op in ops]
        edits: list[Edit] = []
        graph = self._graph
        for op in checked:
            edit = apply_op(op, graph, self.registry)
            graph = edit.graph
            edits.append(edit)
        if not edits or graph == self._graph:
            return self._nothing(origin)
        explicit = any(isinstance(op, Delete | ReplaceGraph) for op in checked)
        merge_key = edits[0].merge_key if len(edits) == 1 else None
        label = edits[-1].label
        self._history.push(self._graph, label, merge_key, by=by, after=graph)
        if not graph.nodes:
            self._deleted_all = explicit
        return self._move_to(
            graph,
            label,
            origin,
            show=_to_show(edits),
            # Places have no part in what is right or wrong with a graph.
            validate=not all(isinstance(op, LOOKS_ONLY) for op in checked),
            by=by,
            clashes=self._clashes.seen(checked, self._graph, graph, by),
        )

    def undo(self, *, origin: str = "", by: Author | None = None) -> Change:
        """Take back the last step, whoever made it; nothing happens when there is none."""
        of = self._history.undo_by
        return self._travel(self._history.undo(self._graph), "Undo", origin, by, of)

    def redo(self, *, origin: str = "", by: Author | None = None) -> Change:
        """Do the last undone step again; nothing happens when there is none."""
        return self._travel(self._history.redo(self._graph), "Redo", origin, by)

    def copy(self, nodes: Iterable[str], notes: Iterable[str] = ()) -> str:
        """Nodes and the wires between them as workflow-file text, to paste anywhere."""
        chosen = {id_: id_ for id_ in nodes}
        part = Graph(
            nodes={id_: spec for id_, spec in self._graph.nodes.items() if id_ in chosen},
            edges=[e for e in self._graph.edges if e.source in chosen and e.target in chosen],
        )
        part, _ = structure.copies(self._graph, part, chosen, notes, (0.0, 0.0))
        return json.dumps(part.dump(), ensure_ascii=False, indent=1)

    def paste(
        self, text: str, x: float, y: float, *, origin: str = "", by: Author | None = None
    ) -> Change:
        """Add the nodes of a workflow-file text at (x, y)."""
        return self.apply([Paste(text=text, x=x, y=y)], origin=origin, by=by)

    def tidy(self) -> Change:
        """Lay the nodes out from left to right, without a browser."""
        graph = tidied(self._graph)
        if graph == self._graph:
            return self._nothing("")
        self._history.push(self._graph, "Tidy up", after=graph)
        return self._move_to(graph, "Tidy up", "")

    # ---- saving ----
    def mark_saved(self, graph: Graph, revision: int) -> None:
        """`graph` (the one that was sent) is now stored as `revision`."""
        self._saved = graph
        self.revision = revision
        self._deleted_all = False

    def adopt(self, graph: Graph, revision: int, *, label: str = "Load newer version") -> Change:
        """Show what somebody else saved; the own state can be had back with undo."""
        graph = place_missing(graph)
        self._saved, self.revision = graph, revision
        if graph == self._graph:
            return self._nothing("")
        self._history.push(self._graph, label, after=graph)
        return self._move_to(graph, label, "")

    def dump_history(self) -> dict[str, Any]:
        """Undo and redo as JSON data, to survive a restart of the server."""
        return self._history.dump(self._graph)

    def restore_history(self, data: dict[str, Any] | None) -> bool:
        """Take undo and redo back; what changed since is one step."""
        return data is not None and self._history.restore(data, self._graph)

    # ---- viewers ----
    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call `callback` after every change, until the returned function is called."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    @property
    def viewers(self) -> int:
        """How many subscribers there are."""
        return len(self._subscribers)

    def tell_around(self, problems: Sequence[Problem]) -> None:
        """Show problems that the graph itself does not tell, such as of models without a key.

        One stays until the next call, or until its node or the value it found is gone.
        """
        if list(problems) != self._around:
            self._around = list(problems)
            self._move_to(self._graph, "", "", graph_changed=False)

    # ---- inside ----
    def _travel(
        self,
        step: tuple[Graph, str] | None,
        verb: str,
        origin: str,
        by: Author | None,
        of: Author | None = None,
    ) -> Change:
        if step is None:
            return self._nothing(origin)
        graph, label = step
        if not graph.nodes:
            self._deleted_all = True
        show = {"took": {**of.dump(), "label": label}} if of and by and of.id != by.id else {}
        return self._move_to(graph, f"{verb}: {label}", origin, show=show, by=by)

    def _words(self, node: str, setting: str) -> str:
        """What a node, or a setting of it, is called on the screen."""
        if not setting:
            return str(self._view.nodes.get(node, {}).get("title") or "a node that is gone")
        cls = self.registry.get(self._graph.nodes[node].type) if node in self._graph.nodes else None
        field = cls.Config.model_fields.get(setting) if cls is not None else None
        return (field.title if field else None) or words(setting)

    def _labels(self) -> dict[str, Any]:
        by = self._history.undo_by, self._history.redo_by
        return {
            "undo": self._history.undo_label,
            "redo": self._history.redo_label,
            "undo_by": by[0].dump() if by[0] else None,
            "redo_by": by[1].dump() if by[1] else None,
        }

    def _check(self, graph: Graph) -> list[Problem]:
        return self._validate(graph, self.registry) + [p for p in self._around if _still(p, graph)]

    def _nothing(self, origin: str) -> Change:
        return Change({}, self.problems, "", origin, frozenset(), frozenset(), False)

    def _move_to(
        self,
        graph: Graph,
        label: str,
        origin: str,
        *,
        show: dict[str, Any] | None = None,
        graph_changed: bool = True,
        validate: bool = True,
        by: Author | None = None,
        clashes: Sequence[Clash] = (),
    ) -> Change:
        stale = (
            view.touched(self._graph, graph, self.registry) if graph_changed and validate else set()
        )
        before = self._view
        self._graph = graph
        if graph_changed and self._on_change is not None:
            self._on_change(graph.dump())
        if validate:
            self._problems = self._check(graph)
            self._view = view.graph_view(graph, self.registry, self._problems, memo=self._cards)
        else:
            self._view = view.moved_view(before, graph)
        parts = view.patch(before, self._view)
        changed = {v["id"] for v in parts.get("nodes", [])} | set(parts.get("remove_nodes", []))
        payload = {
            **parts,
            "history": self._labels(),
            "origin": origin,
            "label": label,
            "by": by.dump() if by else None,
            "clashes": [{"against": c.against.id, "text": c.text} for c in clashes],
            **(show or {}),
        }
        change = Change(
            payload,
            self.problems,
            label,
            origin,
            frozenset(stale),
            frozenset(changed),
            graph_changed,
            by,
            tuple(clashes),
        )
        for callback in tuple(self._subscribers):
            callback(change)
        return change


def _to_show(edits: Sequence[Edit]) -> dict[str, Any]:
    """What the browser that asked should select afterwards."""
    chosen = [edit for edit in edits if edit.select is not None]
    if not chosen:
        return {}
    last = chosen[-1]
    return {
        "select": list(last.select or ()),
        "select_notes": list(last.select_notes),
        "open": last.open,
    }


def _still(problem: Problem, graph: Graph) -> bool:
    spec = graph.nodes.get(problem.node or "")
    if spec is None or spec.disabled or spec.pinned is not None:
        return False
    if problem.field not in spec.config:
        return True
    value = spec.config[problem.field]
    if isinstance(value, Mapping):  # a workflow inside: one it names, or somewhere in what it holds
        return bool(value.get("graph")) or problem.found in value.values()
    return bool(value == problem.found)


def _engine_validate(graph: Graph, registry: Registry) -> list[Problem]:
    from app.engine.validation import validate

    return validate(graph, registry)
