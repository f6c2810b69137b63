"""Two people at the same field: the last change stands, and who made the other one is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.engine.graph import Graph

from . import ops
from .presence import Author

#: Changes closer together than this, in seconds, are told.
NEAR_S = 30.0
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Clash:
    """What one person changed is no longer so, because of another."""

    node: str
    field: str
    by: Author
    against: Author
    text: str


class Clashes:
    """Remembers who changed which field last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[tuple[str, str], tuple[Author, float]] = {}

    def seen(
        self, done: Sequence[ops.Op], before: Graph, after: Graph, by: Author | None
    ) -> list[Clash]:
        """Take in an edit; return whom it concerns besides its author."""
        if by is None:
            return []
        now = self._clock()
        found: list[Clash] = []
        for op in done:
            for node, field in _fields(op, before, after):
                found += self._clash(node, field, by, before, now)
                self._last[node, field] = (by, now)
            if isinstance(op, ops.Delete):
                found += self._deleted(set(op.nodes), by, before, now)
        for key in list(self._last)[: max(0, len(self._last) - _MOST)]:
            del self._last[key]
        return found

    def _clash(
        self, node: str, field: str, by: Author, before: Graph, now: float
    ) -> Iterable[Clash]:
        known = self._last.pop((node, field), None)
        if known is None or known[0].id == by.id or now - known[1] > NEAR_S:
            return ()
        name = _name(before, node)
        what = f"the {field}" if field in ("title", "text") else f"“{field}”"
        text = f"{by.name} changed {what} of “{name}” just after you. Undo brings yours back."
        return (Clash(node, field, by, known[0], text),)

    def _deleted(self, nodes: set[str], by: Author, before: Graph, now: float) -> list[Clash]:
        told: dict[tuple[str, str], Clash] = {}
        for (node, _), (author, at) in list(self._last.items()):
            if node in nodes and author.id != by.id and now - at <= NEAR_S:
                text = f"{by.name} deleted “{_name(before, node)}”, which you had just changed."
                told.setdefault((node, author.id), Clash(node, "", by, author, text))
            if node in nodes:
                del self._last[node, _]
        return list(told.values())


def _fields(op: ops.Op, before: Graph, after: Graph) -> list[tuple[str, str]]:
    if isinstance(op, ops.Rename):
        return [(op.node, "title")]
    if isinstance(op, ops.EditNote) and op.text is not None:
        return [(f"note {op.note}", "text")]
    if isinstance(op, ops.SetConfig) and op.node in before.nodes and op.node in after.nodes:
        old, new = before.nodes[op.node].config, after.nodes[op.node].config
        return [(op.node, f) for f in {*old, *new} if old.get(f) != new.get(f)]
    return []


def _name(graph: Graph, node: str) -> str:
    spec = graph.nodes.get(node)
    return (spec.title or spec.type) if spec else "a note"
