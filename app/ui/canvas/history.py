"""Undo and redo as whole graphs; they share every node that did not change, so they cost little."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.engine.graph import Graph

#: Edits of the same thing within this time are one step.
MERGE_S = 1.5
DEPTH = 300


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
