"""Branches, classifiers, requests, repetition: steps that decide what runs, and what goes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.engine.values import PortValue
from app.services.importers.draft import Out
from app.services.importers.source import VARIABLE, Ref, Step, Test, Way

if TYPE_CHECKING:
    from app.services.importers.build import Builder, Part


def holds_steps(b: Builder, step: Step) -> bool:
    """Whether the steps inside of a step become a workflow of their own."""
    return step.role in ("map", "loop") and b.registry.get(step.role) is not None


def branch(b: Builder, step: Step) -> Part | None:
    """A chain of conditions: each way's tests, and what is left goes on to the next way."""
    from app.services.importers.build import Part

    part = Part()
    rest: Out | None = b.query(step)
    ways = [way for way in step.ways if way.tests]
    if not ways or sum(len(way.tests) for way in ways) > 40:
        return None
    for way in ways:
        assert rest is not None
        yes, no = _way(b, step, way, rest)
        if yes is None:
            return None
        part.ways[way.handle] = yes
        rest = no
    for way in step.ways:
        if not way.tests and rest is not None:
            part.ways[way.handle] = rest
    return part


def _way(b: Builder, step: Step, way: Way, value: Out) -> tuple[Out | None, Out | None]:
    """What leaves when the way is taken, and when it is not."""
    held: list[Out] = []
    missed: list[Out] = []
    for number, test in enumerate(way.tests, 1):
        yes, no = _condition(b, step, way, test, value, number)
        if yes is None or no is None:
            return None, None
        if way.every:
            missed.append(no)
            value = yes
        else:
            held.append(yes)
            value = no
    if way.every:
        return value, _either(b, step, missed)
    return _either(b, step, held), value


def _condition(
    b: Builder, step: Step, way: Way, test: Test, value: Out, number: int
) -> tuple[Out | None, Out | None]:
    subject = b.resolve(test.left) if test.left.step != VARIABLE else None
    if subject is None:
        return None, None
    right = test.right
    if isinstance(right, Ref):
        b.remark(f"“{step.title}” compares two values; only a fixed one can be compared with here.")
        return None, None
    config: dict[str, Any] = {"operator": test.operator}
    if subject.path:
        config["field"] = f"data.{subject.path}"
    elif subject.value_type.type_name in ("Answer", "Query"):
        config["field"] = "text"
    if test.operator not in ("is_true", "is_false", "is_empty", "is_not_empty"):
        config["value"] = right
    title = step.title or "Condition"
    if way.label and (len(step.ways) > 2 or len(way.tests) > 1):
        title = f"{title}: {way.label}"[:100] + (f" {number}" if len(way.tests) > 1 else "")
    node = b.draft.add("condition", title, config, step.id)
    if node is None:
        return None, None
    b.draft.wire(value, node, "value")
    b.draft.wire(Out(subject.node, subject.port, subject.value_type), node, "subject")
    return Out(node, "yes", value.value_type), Out(node, "no", value.value_type)


def _either(b: Builder, step: Step, outs: list[Out]) -> Out | None:
    if len(outs) == 1:
        return outs[0]
    node = b.draft.add("merge", f"{step.title}: either"[:100], {}, step.id)
    if node is None:
        return None
    for out in outs:
        b.draft.wire(out, node, "values")
    return Out(node, "value", outs[0].value_type)


def merge(b: Builder, step: Step) -> Part | None:
    """The first of several values that is there."""
    from app.services.importers.build import Part

    outs = [out for ref in step.refs if (out := b.resolve(ref)) is not None]
    if not outs:
        outs = [part.main for part in b.before(step) if part.main is not None]
    if not outs:
        return None
    node = b.draft.add("merge", step.title or "Merge", {}, step.id)
    if node is None:
        return None
    for out in outs:
        b.draft.wire(Out(out.node, out.port, out.value_type), node, "values")
    types = {out.value_type for out in outs}
    return Part(Out(node, "value", types.pop() if len(types) == 1 else PortValue))


CONTROL: dict[str, Callable[[Builder, Step], Part | None]] = {
    "branch": branch,
    "merge": merge,
}
