"""The shape of a workflow file, `ragloom/1`: JSON Schema, limits, and what breaks them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.engine.problems import InvalidWorkflow, Problem
from app.engine.unfit import unfit

FORMAT = "ragloom/1"
MAX_NODES = 5_000
MAX_EDGES = 20_000
#: Nesting of the JSON data; a setting inside a node's config sits at level 4.
MAX_DEPTH = 64
#: More problems than this help nobody.
_MAX_REPORTED = 100

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_PortName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^>]+$")]


def _a_boolean(value: object) -> object:
    # For Python, 1 equals True; for JSON Schema and other readers of the file, it does not.
    if not isinstance(value, bool):
        raise ValueError("it should be true")
    return value


_True = Annotated[Literal[True], BeforeValidator(_a_boolean)]


class _Entry(BaseModel):
    # Unknown keys belong to other tools or newer releases: they are kept, not refused.
    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class Fallback(_Entry):
    """Go on with these outputs when the node fails."""

    fallback: dict[str, Any] = Field(description="JSON data of the port values, by output port.")


class NodeEntry(_Entry):
    """A node."""

    id: _Name = Field(description="Unique in the workflow; edges refer to it.")
    type: _Name = Field(description="Node type, such as “retrieve”.")
    version: int = Field(1, ge=1, description="Version of the node type the settings are for.")
    title: str = Field("", description="Name shown on the canvas; empty for that of the type.")
    config: dict[str, Any] = Field({}, description="Settings of the node.")
    position: Annotated[list[int | float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="x and y on the canvas, in pixels."
    )
    disabled: bool = Field(False, description="Do not run it; pass inputs through that fit.")
    pinned: dict[str, Any] | None = Field(
        None, description="Outputs to use instead of running it: JSON data by output port."
    )
    timeout_s: float | None = Field(
        None, gt=0, le=86_400, description="Seconds an attempt may take; null for the type's own."
    )
    retries: int = Field(0, ge=0, le=10, description="Attempts after the first one failed.")
    on_error: Literal["fail", "continue", "skip"] | Fallback = Field(
        "fail",
        description="Fail the run at once; let the other branches finish first (“continue”); "
        "skip what depends on it; or go on with given outputs.",
    )


class EdgeEntry(_Entry):
    """A wire from an output port to an input port."""

    source: _Name = Field(description="Id of the node it comes from.")
    target: _Name = Field(description="Id of the node it goes to.")
    key: str = Field(pattern=r"^[^>]+>[^>]+$", description="Ports, as “source_port>target_port”.")


class GraphEntry(_Entry):
    """What concerns the workflow as a whole."""

    format: Literal["ragloom/1"]
    name: str = ""
    description: str = ""
    outputs: dict[_Name, Annotated[list[_PortName], Field(min_length=2, max_length=2)]] = Field(
        {}, description="Named results of the workflow, as [node id, output port]."
    )


class WorkflowFile(_Entry):
    """A Ragloom workflow: node-link data of a directed NetworkX multigraph."""

    directed: _True
    multigraph: _True
    graph: GraphEntry
    nodes: list[NodeEntry] = Field(max_length=MAX_NODES)
    edges: list[EdgeEntry] = Field(max_length=MAX_EDGES)


JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:ragloom:workflow:1",
    **WorkflowFile.model_json_schema(),
}


def check_file(data: Any) -> None:
    """Raise InvalidWorkflow with every reason why `data` is not a `ragloom/1` file."""
    problems = _check_format(data) or _check_limits(data)
    if not problems:
        try:
            WorkflowFile.model_validate(data)
        except ValidationError as error:
            problems = [
                _from_pydantic(e, data) for e in error.errors(include_url=False)[:_MAX_REPORTED]
            ]
    if not problems:
        problems = _check_ids(data["nodes"])
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InvalidWorkflow(first.message + more, fix=first.fix, problems=problems)


def _check_format(data: Any) -> list[Problem]:
    graph = data.get("graph") if isinstance(data, dict) else None
    found = graph.get("format") if isinstance(graph, dict) else None
    if found == FORMAT:
        return []
    match = re.fullmatch(r"ragloom/(\d{1,9})", found) if isinstance(found, str) else None
    if match and int(match[1]) > 1:
        return [
            Problem(
                code="newer_format",
                message=f"The file has the format “{found}”; this Ragloom reads up to “{FORMAT}”.",
                fix="Update Ragloom, or export the workflow again from the older version.",
                field="graph.format",
                found=found,
                expected=FORMAT,
            )
        ]
    return [
        Problem(
            code="unknown_format",
            message="This is not a Ragloom workflow: graph.format is "
            + (f"“{str(found)[:60]}”." if found is not None else "missing."),
            fix=f"A workflow file is a JSON object with graph.format “{FORMAT}”; "
            "export one from the canvas to see its shape.",
            field="graph.format",
            found=None if found is None else str(found)[:200],
            expected=FORMAT,
        )
    ]


def _check_limits(data: dict[str, Any]) -> list[Problem]:
    problems = []
    for name, limit in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
        found = data.get(name)
        if isinstance(found, list) and len(found) > limit:
            problems.append(
                Problem(
                    code="too_large",
                    message=f"The workflow has {len(found):,} {name}; the limit is {limit:,}.",
                    fix="Split it into several workflows.",
                    field=name,
                    found=len(found),
                    expected=limit,
                )
            )
    return problems or _check_values(data)


def _check_values(data: dict[str, Any]) -> list[Problem]:
    """Nesting, and values that JSON text cannot carry. Walks without recursion."""
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                return [_not_json("a key that is not a string")]
            stack.extend((key, depth) for key in value if not key.isascii())
            children: Any = value.values()
        elif isinstance(value, (list, tuple)):
            children = value
        elif isinstance(value, str):
            # Half of a surrogate pair, as "\ud800" in JSON text, cannot be stored as UTF-8.
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                return [_not_json("text with half of a surrogate pair")]
            continue
        elif isinstance(value, float) and not math.isfinite(value):
            return [_not_json(f"the number {value}")]
        elif value is None or isinstance(value, (bool, int, float)):
            continue
        else:
            return [_not_json(f"a value of type {type(value).__name__}")]
        if depth > MAX_DEPTH:
            return [
                Problem(
                    code="too_deep",
                    message=f"The file is nested more than {MAX_DEPTH} levels deep.",
                    fix="Flatten the settings of its nodes.",
                    expected=MAX_DEPTH,
                )
            ]
        stack.extend((child, depth + 1) for child in children)
    return []


def _not_json(what: str) -> Problem:
    return Problem(
        code="not_json",
        message=f"The file holds {what}, which JSON cannot carry.",
        fix="Remove it, or write it as text.",
    )


def _check_ids(nodes: list[dict[str, Any]]) -> list[Problem]:
    seen: set[str] = set()
    problems = []
    for node in nodes:
        if node["id"] in seen:
            problems.append(
                Problem(
                    code="duplicate_node",
                    message=f"Two nodes have the id “{node['id']}”.",
                    fix="Give each node an id of its own.",
                    node=node["id"],
                )
            )
        seen.add(node["id"])
    return problems[:_MAX_REPORTED]


def _from_pydantic(error: Any, data: dict[str, Any]) -> Problem:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    node = None
    match error["loc"]:
        case ("nodes", int(index), *_) if isinstance(data["nodes"][index], dict):
            node = data["nodes"][index].get("id")
    found = error["input"]
    missing = error["type"] == "missing"
    return Problem(
        code="bad_file",
        message=f"{path} is missing." if missing else f"{path}: {unfit(error)}.",
        fix="Correct it in the file; the schema of workflow files names what fits.",
        node=node if isinstance(node, str) else None,
        field=path,
        found=found if isinstance(found, (str, int, float, bool)) and not missing else None,
    )
