"""Values that the whole workflow shares: `graph.extra["variables"]`, {name: JSON data}."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from app.engine.graph import Graph, NodeSpec, copy_json
from app.engine.registry import Registry

from . import ops
from .edits import Edit, apply_op
from .ops import Refused

#: Most variables of a workflow, and the longest one as JSON text.
MOST, LONGEST = 200, 100_000
_KEY = "variables"


def variables_of(graph: Graph) -> dict[str, Any]:
    """The variables by name, in their order in the file."""
    found = graph.extra.get(_KEY)
    return {str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {}


def changed_variables(old: Graph, new: Graph) -> frozenset[str]:
    """Names of variables that were added, changed or taken away."""
    if old.extra is new.extra:
        return frozenset()
    before, now = variables_of(old), variables_of(new)
    gone = object()
    return frozenset(n for n in {**before, **now} if before.get(n, gone) != now.get(n, gone))


def reads_any(spec: NodeSpec, names: frozenset[str], registry: Registry) -> bool:
    """Whether what a node gives may depend on one of these variables."""
    cls = registry.get(spec.type)
    if cls is None:
        return False
    if _KEY in repr(spec.config):
        return True  # An expression, or a template.
    try:
        read = cls.reads_variables(cls.Config.model_validate(spec.config))
    except (ValidationError, RecursionError):
        return False  # It cannot run as it is.
    return read is None or not names.isdisjoint(read)


@apply_op.register
def _(op: ops.SetVariable, graph: Graph, registry: Registry) -> Edit:
    known = variables_of(graph)
    if op.name != op.was and op.name in known:
        raise Refused(
            f"There is a variable “{op.name}” already.", fix="Give this one another name."
        )
    if op.was not in known and len(known) >= MOST:
        raise Refused(
            f"A workflow holds at most {MOST} variables.", fix="Delete some you no longer need."
        )
    try:
        size = len(json.dumps(op.value, allow_nan=False))
    except ValueError:
        raise Refused(
            f"The value of “{op.name}” cannot be written as JSON.", fix="Use a number that ends."
        ) from None
    if size > LONGEST:
        raise Refused(
            f"A variable holds at most {LONGEST:,} characters.", fix="Keep longer data in a file."
        )
    value = copy_json(op.value)
    if op.was in known:
        # A renamed one keeps its place.
        place = list(known).index(op.was)
        made = {
            op.name if n == op.was else n: value if n == op.was else v for n, v in known.items()
        }
    else:
        place, made = len(known), {**known, op.name: value}
    return Edit(_with(graph, made), f"Set {op.name}", merge_key=f"variable {place}")


@apply_op.register
def _(op: ops.RemoveVariable, graph: Graph, registry: Registry) -> Edit:
    left = {name: value for name, value in variables_of(graph).items() if name != op.name}
    return Edit(_with(graph, left), f"Remove {op.name}")


def _with(graph: Graph, variables: dict[str, Any]) -> Graph:
    extra = {key: value for key, value in graph.extra.items() if key != _KEY}
    if variables:
        extra[_KEY] = variables
    return replace(graph, extra=extra)
