"""A run as rows on one time scale: who waited, who worked, and which chain decided how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from app.services.views import StepView
from app.ui import text

#: Inner rows of one node that are shown; the others are counted.
INNER_ROWS = 60
#: Statuses of steps that have not ended.
WORKING = ("running", "waiting")
_WORDS = {"skipped": "skipped", "failed": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True, slots=True)
class Row:
    """One bar. Times are milliseconds after the start of the run; `end` is None while it works."""

    id: str
    title: str
    parent: str = ""
    depth: int = 0
    #: When the last of what it needs was there: from here to `start` it waited for a place.
    ready: float = 0.0
    start: float = 0.0
    end: float | None = 0.0
    status: str = "completed"
    cached: bool = False
    #: When each further attempt began.
    attempts: tuple[float, ...] = ()
    critical: bool = False
    #: What stands behind the bar, and why it ran or did not.
    words: str = ""
    reason: str = ""
    #: Whether rows belong under this one.
    folds: bool = False

    def data(self) -> dict[str, Any]:
        """JSON data for the browser."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows of a run in the order to show them, and what they come to."""

    rows: tuple[Row, ...] = ()
    #: Nodes of the chain that decided how long the run took, and how long they took together.
    critical: tuple[str, ...] = ()
    critical_ms: float = 0.0
    #: What the nodes worked together, side by side or not.
    work_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(slots=True)
class Times:
    """When a step began, and when again; milliseconds after the start of the run."""

    start: float = 0.0
    attempts: list[float] = field(default_factory=list)
    #: When it ended, where that was seen; else its duration tells.
    end: float | None = None


def outer_of(node: str) -> str:
    """The node of the canvas that a step belongs to: “map[3]/clean” → “map”."""
    head = node.partition("/")[0]
    return head.partition("[")[0] if "/" in node and head.endswith("]") else head


def is_inner(node: str) -> bool:
    """Whether a step ran inside a node of the canvas."""
    return "/" in node


def critical_path(
    durations: Mapping[str, float], edges: Iterable[tuple[str, str]]
) -> tuple[tuple[str, ...], float]:
    """The chain of dependent nodes whose durations add up to most, and that sum.

    `durations` names every node; edges to others are ignored, and so are nodes on a cycle.
    Nodes that took no time are left out of the chain.
    """
    sources: dict[str, list[str]] = {node: [] for node in durations}
    targets: dict[str, list[str]] = {node: [] for node in durations}
    for source, target in set(edges):
        if source in durations and target in durations:
            sources[target].append(source)
            targets[source].append(target)
    waits = {node: len(found) for node, found in sources.items()}
    ready = [node for node, count in waits.items() if not count]
    best: dict[str, float] = {}
    before: dict[str, str] = {}
    while ready:
        node = ready.pop()
        longest = max(sources[node], key=lambda s: best[s], default=None)
        best[node] = durations[node] + (best[longest] if longest is not None else 0.0)
        if longest is not None:
            before[node] = longest
        for target in targets[node]:
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    last = max(best, key=lambda node: best[node], default=None)
    if last is None or best[last] <= 0:
        return (), 0.0
    chain: list[str] = []
    step: str | None = last
    while step is not None:
        if durations[step] > 0:
            chain.append(step)
        step = before.get(step)
    return tuple(reversed(chain)), best[last]


def build(
    steps: Mapping[str, StepView],
    times: Mapping[str, Times],
    edges: Sequence[tuple[str, str]],
    *,
    order: Sequence[str],
    now_ms: float,
    total_ms: float | None,
    titles: Mapping[str, tuple[str, str]],
) -> Timeline:
    """Rows of a run. `order` is the order the steps began in; `now_ms` ends what still works."""
    outer = [node for node in order if not is_inner(node)]
    ends = {node: _end(steps[node], times.get(node), now_ms) for node in order}
    worked = {node: _worked(steps[node], times.get(node), ends[node]) for node in outer}
    chain, chain_ms = critical_path(worked, edges)
    wired: dict[str, list[str]] = {}
    for source, target in edges:
        wired.setdefault(target, []).append(source)
    inner = _inner(order)
    rows: list[Row] = []
    for node in outer:
        began = times.get(node, Times()).start
        ready = max((ends[s] for s in wired.get(node, ()) if s in ends), default=0.0)
        title = titles.get(node, (steps[node].name, ""))[0]
        row = _row(steps[node], times.get(node), title, ends[node])
        rows.append(
            _with(row, ready=min(ready, began), critical=node in chain, folds=node in inner)
        )
        rows += _nested(node, 1, inner, steps, times, ends)
    last = max([total_ms or 0.0, *ends.values()], default=0.0)
    return Timeline(tuple(rows), chain, chain_ms, sum(worked.values()), last)


def _end(step: StepView, times: Times | None, now_ms: float) -> float:
    start = times.start if times else 0.0
    if step.status in WORKING:
        return max(start, now_ms)
    if times is not None and times.end is not None:
        return max(start, times.end)
    return start + (step.duration_ms or 0.0)


def _worked(step: StepView, times: Times | None, end: float) -> float:
    if step.status == "skipped":
        return 0.0
    return max(0.0, end - (times.start if times else 0.0))


def _row(step: StepView, times: Times | None, title: str, end: float) -> Row:
    start = times.start if times else 0.0
    words = _WORDS.get(step.status, "")
    if not words and step.status == "completed":
        words = "reused" if step.cached else text.duration(end - start)
    return Row(
        id=step.node_id,
        title=title,
        ready=start,
        start=start,
        end=None if step.status in WORKING else end,
        status=step.status,
        cached=step.cached,
        attempts=tuple(times.attempts) if times else (),
        words=words,
        reason=step.reason,
    )


def _with(row: Row, **changes: Any) -> Row:
    return Row(**{**row.data(), **changes})


def _inner(order: Iterable[str]) -> dict[str, list[str]]:
    """Row -> rows right under it; items of a list (“map[3]”) are rows of their own."""
    found: dict[str, dict[str, None]] = {}
    for node in order:
        for parent, child in pairwise(_path(node)):
            found.setdefault(parent, {})[child] = None
    return {parent: list(children) for parent, children in found.items()}


def _path(node: str) -> list[str]:
    """Rows from the canvas down to a step: “map[3]/clean” → map, map[3], map[3]/clean."""
    if not is_inner(node):
        return [node]
    rows: list[str] = []
    path = ""
    for part in node.split("/"):
        path = f"{path}/{part}" if path else part
        if part.endswith("]") and "[" in part:
            rows.append(path[: path.rindex("[")])
        rows.append(path)
    return rows


def _nested(
    parent: str,
    depth: int,
    inner: Mapping[str, Sequence[str]],
    steps: Mapping[str, StepView],
    times: Mapping[str, Times],
    ends: Mapping[str, float],
) -> list[Row]:
    rows: list[Row] = []
    children = inner.get(parent, ())
    for child in children[:INNER_ROWS]:
        below = _nested(child, depth + 1, inner, steps, times, ends)
        last = child.rpartition("/")[2]
        if child in steps:
            row = _row(steps[child], times.get(child), steps[child].name or last, ends[child])
        else:
            row = _around(child, f"Item {last[:-1].rpartition('[')[2]}", below)
        rows += [_with(row, parent=parent, depth=depth, folds=bool(below)), *below]
    if len(children) > INNER_ROWS:
        more = len(children) - INNER_ROWS
        start = min(row.start for row in rows)
        rows.append(
            Row(f"{parent}/…", f"and {more:,} more", parent, depth, start, start, start, "skipped")
        )
    return rows


def _around(node: str, title: str, below: Sequence[Row]) -> Row:
    """The row of an item, which spans what ran for it."""
    if not below:
        return Row(node, title)
    start = min(row.start for row in below)
    ends = [row.end for row in below]
    running = any(end is None for end in ends)
    end = None if running else max(e for e in ends if e is not None)
    statuses = [row.status for row in below]
    status = next(
        (s for s in ("waiting", "running", "failed", "cancelled") if s in statuses), "completed"
    )
    words = _WORDS.get(status) or ("" if end is None else text.duration(end - start))
    cached = all(row.cached or row.status == "skipped" for row in below)
    return Row(node, title, "", 0, start, start, end, status, cached, (), False, words)
