"""Undo and redo as whole graphs; they share every node that did not change, so they cost little."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from app.engine.graph import EdgeSpec, Graph, NodeSpec

from .presence import Author

#: Edits of the same thing within this time are one step.
MERGE_S = 1.5
DEPTH = 300
#: What all steps together may hold beside what the present graph holds, in bytes (an estimate).
BUDGET = 32 * 1024 * 1024
#: Steps that are kept over a restart of the server.
KEPT = 50
#: Label of what changed while nobody edited here.
ELSEWHERE = "Changes made elsewhere"


@dataclass(slots=True)
class _Step:
    graph: Graph
    label: str
    merge_key: str | None
    at: float
    #: Who made the step; None where a program did.
    by: Author | None = None
    #: Bytes that would be free without this step.
    size: int = 0


class History:
    """The graphs before and after the present one."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, budget: int = BUDGET
    ) -> None:
        self._clock = clock
        self._budget = budget
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

    @property
    def undo_by(self) -> Author | None:
        """Who made the step undo takes back."""
        return self._past[-1].by if self._past else None

    @property
    def redo_by(self) -> Author | None:
        """Who made the step redo does again."""
        return self._future[-1].by if self._future else None

    @property
    def size(self) -> int:
        """About how many bytes the steps hold, beside what the present graph holds."""
        return sum(step.size for step in (*self._past, *self._future))

    def push(
        self,
        before: Graph,
        label: str,
        merge_key: str | None = None,
        *,
        by: Author | None = None,
        after: Graph | None = None,
    ) -> None:
        """Remember the graph before an edit; typing and dragging on is the same step.

        `after` is the graph the edit made: what both share costs nothing.
        """
        now = self._clock()
        self._future.clear()
        last = self._past[-1] if self._past else None
        if (
            last is not None
            and merge_key is not None
            and last.merge_key == merge_key
            and last.by == by
            and now - last.at < MERGE_S
        ):
            last.at = now
            return
        size = own_bytes(before, after) if after is not None else 0
        self._past.append(_Step(before, label, merge_key, now, by, size))
        del self._past[:-DEPTH]
        held = self.size
        while held > self._budget and len(self._past) > 1:
            held -= self._past.pop(0).size

    def undo(self, present: Graph) -> tuple[Graph, str] | None:
        """The graph before the last step, and the label of that step."""
        if not self._past:
            return None
        step = self._past.pop()
        if self._past:
            self._past[-1].merge_key = None  # what comes next is a step of its own
        self._future.append(_Step(present, step.label, None, self._clock(), step.by, step.size))
        return step.graph, step.label

    def redo(self, present: Graph) -> tuple[Graph, str] | None:
        """The graph after the last undone step, and the label of that step."""
        if not self._future:
            return None
        step = self._future.pop()
        self._past.append(_Step(present, step.label, None, self._clock(), step.by, step.size))
        return step.graph, step.label

    def dump(self, present: Graph) -> dict[str, Any]:
        """JSON data of the newest steps and the graph they belong to, for a restart.

        What graphs share is written once: a step of a large graph costs what it changed.
        """
        pool = _Pool()
        return {
            "past": [pool.step(step) for step in self._past[-KEPT:]],
            "future": [pool.step(step) for step in self._future[-KEPT:]],
            "present": pool.add(present),
            "nodes": [spec.dump() for spec in pool.nodes.values()],
            "edges": [edge.dump() for edge in pool.edges.values()],
        }

    def restore(self, data: dict[str, Any], present: Graph) -> bool:
        """Take back what `dump` wrote. Damaged data is left alone.

        Where it belongs to another graph, what lies between the two is one step: the workflow was
        changed elsewhere, or the server was killed between a save and writing this down.
        """
        try:
            nodes = [NodeSpec.load(entry) for entry in data["nodes"]]
            edges = [EdgeSpec.load(entry) for entry in data["edges"]]
            before = _unpack(data["present"], nodes, edges)
            now = self._clock()
            past = [_unpack_step(step, nodes, edges, now) for step in data["past"]]
            future = [_unpack_step(step, nodes, edges, now) for step in data["future"]]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return False
        self._past, self._future = past, future
        if before != present:
            self.push(before, ELSEWHERE, after=present)
        return True


@dataclass(slots=True)
class _Pool:
    """Specs by identity; graphs refer to them by their place. Specs live as long as the pool."""

    nodes: dict[int, NodeSpec] = field(default_factory=dict)
    edges: dict[int, EdgeSpec] = field(default_factory=dict)

    def step(self, step: _Step) -> list[Any]:
        by = [step.by.id, step.by.name] if step.by else None
        return [step.label, self.add(step.graph), by]

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


def _unpack_step(
    step: list[Any], nodes: list[NodeSpec], edges: list[EdgeSpec], now: float
) -> _Step:
    label, packed = step[0], step[1]
    by = Author(str(step[2][0]), str(step[2][1])) if len(step) > 2 and step[2] else None
    return _Step(_unpack(packed, nodes, edges), str(label), None, now, by)


def own_bytes(graph: Graph, other: Graph) -> int:
    """About how many bytes a graph holds that another one does not share."""
    total = sys.getsizeof(graph.nodes) + sys.getsizeof(graph.edges)
    for id_, spec in graph.nodes.items():
        if other.nodes.get(id_) is not spec:
            total += 400 + _weight(spec.config) + _weight(spec.pinned) + _weight(spec.extra)
    shared = {id(edge) for edge in other.edges}
    total += sum(400 + _weight(edge.extra) for edge in graph.edges if id(edge) not in shared)
    if graph.extra is not other.extra:
        total += _weight(graph.extra)
    return total


def _weight(value: Any) -> int:
    """About how many bytes JSON data takes in memory."""
    if isinstance(value, dict):
        return 64 + sum(100 + len(str(k)) + _weight(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return 56 + sum(8 + _weight(v) for v in value)
    return 49 + len(value) if isinstance(value, str) else 32


def _unpack(packed: dict[str, Any], nodes: list[NodeSpec], edges: list[EdgeSpec]) -> Graph:
    graph = Graph.parse(packed["head"])
    chosen = [nodes[place] for place in packed["nodes"]]
    graph.nodes = {spec.id: spec for spec in chosen}
    graph.edges = [edges[place] for place in packed["edges"]]
    return graph
