"""Undo and redo as whole graphs; they share every node that did not change, so they cost little."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.engine.graph import EdgeSpec, Graph, NodeSpec

#: Edits of the same thing within this time are one step.
MERGE_S = 1.5
DEPTH = 300
#: Steps that are kept over a restart of the server.
KEPT = 50


@dataclass(slots=True)
class _Step:
    graph: Graph
    label: str
    merge_key: str | None
    at: float


class History:
    """The graphs before and after the present one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._past: list[_Step] = []
        self._future: list[_Step] = []

    @property
    def undo_label(self) -> str | None:
        """Label of the step undo takes back."""
        return self._past[-1].label if self._past else None

    @property
    def redo_label(self) -> str | None:
        """Label of the step redo does again."""
        return self._future[-1].label if self._future else None

    def push(self, before: Graph, label: str, merge_key: str | None = None) -> None:
        """Remember the graph before an edit; typing and dragging on is the same step."""
        now = self._clock()
        self._future.clear()
        last = self._past[-1] if self._past else None
        if (
            last is not None
            and merge_key is not None
            and last.merge_key == merge_key
            and now - last.at < MERGE_S
        ):
            last.at = now
            return
        self._past.append(_Step(before, label, merge_key, now))
        del self._past[:-DEPTH]

    def undo(self, present: Graph) -> tuple[Graph, str] | None:
        """The graph before the last step, and the label of that step."""
        if not self._past:
            return None
        step = self._past.pop()
        if self._past:
            self._past[-1].merge_key = None  # what comes next is a step of its own
        self._future.append(_Step(present, step.label, None, self._clock()))
        return step.graph, step.label

    def redo(self, present: Graph) -> tuple[Graph, str] | None:
        """The graph after the last undone step, and the label of that step."""
        if not self._future:
            return None
        step = self._future.pop()
        self._past.append(_Step(present, step.label, None, self._clock()))
        return step.graph, step.label

    def dump(self, present: Graph) -> dict[str, Any]:
        """JSON data of the newest steps and the graph they belong to, for a restart.

        What graphs share is written once: a step of a large graph costs what it changed.
        """
        pool = _Pool()
        return {
            "past": [[step.label, pool.add(step.graph)] for step in self._past[-KEPT:]],
            "future": [[step.label, pool.add(step.graph)] for step in self._future[-KEPT:]],
            "present": pool.add(present),
            "nodes": [spec.dump() for spec in pool.nodes.values()],
            "edges": [edge.dump() for edge in pool.edges.values()],
        }

    def restore(self, data: dict[str, Any], present: Graph) -> bool:
        """Take back what `dump` wrote, if it belongs to this graph. Damaged data is left alone."""
        try:
            nodes = [NodeSpec.load(entry) for entry in data["nodes"]]
            edges = [EdgeSpec.load(entry) for entry in data["edges"]]
            if _unpack(data["present"], nodes, edges) != present:
                return False
            past = [(label, _unpack(packed, nodes, edges)) for label, packed in data["past"]]
            future = [(label, _unpack(packed, nodes, edges)) for label, packed in data["future"]]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return False
        now = self._clock()
        self._past = [_Step(graph, label, None, now) for label, graph in past]
        self._future = [_Step(graph, label, None, now) for label, graph in future]
        return True


@dataclass(slots=True)
class _Pool:
    """Specs by identity; graphs refer to them by their place. Specs live as long as the pool."""

    nodes: dict[int, NodeSpec] = field(default_factory=dict)
    edges: dict[int, EdgeSpec] = field(default_factory=dict)

    def add(self, graph: Graph) -> dict[str, Any]:
        head = Graph(
            graph.name, graph.description, graph.outputs, extra=graph.extra,
            file_extra=graph.file_extra,
        ).dump()  # fmt: skip
        return {
            "head": head,
            "nodes": _places(self.nodes, graph.nodes.values()),
            "edges": _places(self.edges, graph.edges),
        }


def _places(pool: dict[int, Any], items: Iterable[Any]) -> list[int]:
    places = {key: place for place, key in enumerate(pool)}
    found = []
    for item in items:
        if id(item) not in pool:
            places[id(item)] = len(pool)
            pool[id(item)] = item
        found.append(places[id(item)])
    return found


def _unpack(packed: dict[str, Any], nodes: list[NodeSpec], edges: list[EdgeSpec]) -> Graph:
    graph = Graph.parse(packed["head"])
    chosen = [nodes[place] for place in packed["nodes"]]
    graph.nodes = {spec.id: spec for spec in chosen}
    graph.edges = [edges[place] for place in packed["edges"]]
    return graph
