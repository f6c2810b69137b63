"""A graph in the making: nodes with settings that fit, wires that fit, conversions where needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Port
from app.engine.registry import AnyNode, Registry
from app.engine.values import (
    Answer,
    Chunks,
    Json,
    PortValue,
    Query,
    Text,
    accepts,
)

#: A prompt that only writes what came in as text, by the type that came in: (port, template).
AS_TEXT: dict[type[PortValue], tuple[str, str]] = {
    Query: ("query", "{{ question }}"),
    Answer: ("answer", "{{ answer }}"),
    Chunks: (
        "chunks",
        "{% for chunk in chunks %}[{{ chunk.number }}] {{ chunk.content }}\n\n{% endfor %}",
    ),
    Json: ("data", "{{ data if data is string else data | tojson }}"),
}


@dataclass(frozen=True, slots=True)
class Out:
    """An output of a node that is there already; `path` leads into its data."""

    node: str
    port: str
    value_type: type[PortValue]
    path: str = ""


@dataclass
class Part:
    """What a step became."""

    main: Out | None = None
    #: Outputs by the name that the other system gives them.
    fields: dict[str, Out] = field(default_factory=dict)
    #: Ways out of a branch, by handle.
    ways: dict[str, Out] = field(default_factory=dict)
    placeholder: str = ""


class Draft:
    """Adds nodes and wires to a graph; what it had to change is in `remarks`."""

    def __init__(self, registry: Registry, graph: Graph) -> None:
        self.registry = registry
        self.graph = graph
        self.remarks: list[str] = []
        #: Step that each node was made for.
        self.owner: dict[str, str] = {}
        #: Nodes by the step they were made for, and edges by the node they lead to.
        self._made: dict[str, list[str]] = {}
        self._into: dict[str, list[EdgeSpec]] = {}
        self._converted: dict[tuple[str, str, str, str], Out] = {}

    def has(self, node_type: str) -> bool:
        """Whether nodes of that type can be made."""
        return self.registry.get(node_type) is not None

    def add(
        self, node_type: str, title: str, config: Mapping[str, Any], owner: str, name: str = ""
    ) -> str | None:
        """Add a node; None where its settings cannot be made to fit."""
        cls = self.registry.get(node_type)
        if cls is None:
            return None
        fitted = self._fit(cls, title, dict(config))
        if fitted is None:
            return None
        node_id = self._free_id(name or title or node_type, node_type)
        self.graph.nodes[node_id] = NodeSpec(
            node_id, node_type, cls.version, title[:120] or cls.title, fitted
        )
        self.owner[node_id] = owner
        self._made.setdefault(owner, []).append(node_id)
        return node_id

    def keep(self, node_type: str, title: str, config: dict[str, Any], owner: str) -> str:
        """Add a node with these very settings."""
        node_id = self._free_id(title or node_type, node_type)
        self.graph.nodes[node_id] = NodeSpec(node_id, node_type, 1, title[:120], config)
        self.owner[node_id] = owner
        self._made.setdefault(owner, []).append(node_id)
        return node_id

    def remove(self, node_id: str) -> None:
        """Take a node and its wires out again."""
        self.graph.nodes.pop(node_id, None)
        kept = [e for e in self.graph.edges if node_id not in (e.source, e.target)]
        self.graph.edges.clear()
        self._into.clear()
        for edge in kept:
            self.connect(edge)

    def nodes_of(self, step_id: str) -> list[str]:
        """Nodes that were made for a step."""
        return [n for n in self._made.get(step_id, ()) if n in self.graph.nodes]

    def connect(self, edge: EdgeSpec) -> None:
        """Add an edge as it is."""
        self.graph.edges.append(edge)
        self._into.setdefault(edge.target, []).append(edge)

    def into(self, node_id: str) -> Sequence[EdgeSpec]:
        """Edges that lead to a node."""
        return self._into.get(node_id, ())

    def inputs(self, node_id: str) -> dict[str, Port]:
        """Input ports of a node, with the settings it has now."""
        spec = self.graph.nodes[node_id]
        cls = self.registry.get(spec.type)
        return dict(cls.inputs_for(spec.config)) if cls else {}

    def outputs(self, node_id: str) -> dict[str, Port]:
        """Output ports of a node, with the settings it has now."""
        spec = self.graph.nodes[node_id]
        cls = self.registry.get(spec.type)
        return dict(cls.outputs_for(spec.config)) if cls else {}

    def out(self, node_id: str, port: str, value_type: type[PortValue] | None = None) -> Out:
        """An output of a node; `value_type` where it passes on what came in."""
        known = self.outputs(node_id).get(port)
        declared = known.value_type if known else PortValue
        return Out(node_id, port, value_type or declared)

    def taken(self, node_id: str, port: str) -> bool:
        """Whether something is wired to an input."""
        return any(edge.target_port == port for edge in self.into(node_id))

    def wire(self, out: Out | None, node_id: str, port: str) -> bool:
        """Wire an output to an input, through a conversion where types ask for one."""
        if out is None or node_id not in self.graph.nodes:
            return False
        wanted = self.inputs(node_id).get(port)
        if wanted is None or (not wanted.many and self.taken(node_id, port)):
            return False
        if not accepts(out.value_type, wanted.value_type):
            converted = self.convert(out, wanted.value_type)
            if converted is None:
                return False
            out = converted
        edge = EdgeSpec(out.node, out.port, node_id, port)
        if not any(e.ends == edge.ends for e in self.into(node_id)):
            self.connect(edge)
        return True

    def fits(self, out: Out, node_id: str, port: str) -> bool:
        """Whether an output can be wired to an input as it is."""
        wanted = self.inputs(node_id).get(port)
        return (
            wanted is not None
            and accepts(out.value_type, wanted.value_type)
            and (wanted.many or not self.taken(node_id, port))
        )

    def convert(self, out: Out, wanted: type[PortValue]) -> Out | None:
        """The value of `out` as another type, through a node that is made once."""
        key = (out.node, out.port, out.path, wanted.type_name)
        if key in self._converted:
            return self._converted[key]
        made = self._as_text(out) if wanted is Text else None
        if made is None and wanted is Query:
            made = self._as_query(out)
        if made is not None:
            self._converted[key] = made
        return made

    def _as_text(self, out: Out) -> Out | None:
        if accepts(out.value_type, Text) and not out.path:
            return out
        port, template = AS_TEXT.get(out.value_type, AS_TEXT[Json])
        if out.path:
            port, template = "data", f"{{{{ data.{out.path} }}}}"
        title = f"{self._title(out.node)} as text"
        node = self.add("prompt", title, {"template": template}, self.owner.get(out.node, ""))
        if node is None or not self.wire(replace(out, path=""), node, port):
            if node is not None:
                self.remove(node)
            return None
        return Out(node, "prompt", Text)

    def _as_query(self, out: Out) -> Out | None:
        text = self._as_text(out) if out.path else out
        if text is None:
            return None
        title = f"{self._title(out.node)} as question"
        node = self.add("as_question", title, {}, self.owner.get(out.node, ""))
        if node is None or not self.wire(text, node, "text"):
            return None
        return Out(node, "query", Query)

    def _title(self, node_id: str) -> str:
        return self.graph.nodes[node_id].title or node_id

    def _fit(self, cls: AnyNode, title: str, config: dict[str, Any]) -> dict[str, Any] | None:
        """The settings without what the node type does not take; bounds are kept to."""
        for _ in range(6):
            try:
                cls.Config.model_validate(config)
            except ValidationError as error:
                if not self._mend(title, config, error):
                    return None
            else:
                return config
        return None

    def _mend(self, title: str, config: dict[str, Any], error: ValidationError) -> bool:
        changed = False
        for item in error.errors(include_url=False):
            name = item["loc"][0] if item["loc"] else None
            if not isinstance(name, str) or name not in config or name == "template":
                return False
            bounds = item.get("ctx") or {}
            bound = bounds.get("le", bounds.get("ge"))
            if len(item["loc"]) == 1 and isinstance(bound, int | float):
                said, config[name] = f"set to {bound:g}, the nearest that is possible", bound
            elif (
                len(item["loc"]) == 1
                and isinstance(bounds.get("max_length"), int)
                and isinstance(config[name], str)
            ):
                config[name] = config[name][: bounds["max_length"]]
                said = "cut to what fits"
            else:
                del config[name]
                said = "left out"
            self.remarks.append(
                f"The setting “{name}” of “{title}” does not fit here and was {said}."
            )
            changed = True
        return changed

    def _free_id(self, name: str, fallback: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or fallback
        free, number = base, 2
        while free in self.graph.nodes:
            free, number = f"{base}_{number}", number + 1
        return free
