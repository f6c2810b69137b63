"""A workflow as data: nodes, edges, and the file format they are kept in."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from app.engine.node import output_ports
from app.engine.problems import Problem
from app.engine.registry import AnyNode, Registry
from app.engine.schema import FORMAT, JSON_SCHEMA, check_file

logger = logging.getLogger(__name__)

__all__ = ["FORMAT", "JSON_SCHEMA", "EdgeSpec", "Graph", "NodeSpec", "migrate", "migrated_config"]

#: What to do when a node fails: "fail" at once, "continue" with other branches and fail then,
#: "skip" what depends on it, or {"fallback": {port: JSON data}}.
OnError = str | dict[str, Any]


@dataclass(slots=True)
class NodeSpec:
    """A node of a workflow: its type, settings, place, and policy when run."""

    id: str
    type: str
    version: int = 1
    title: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    position: tuple[float, float] | None = None
    disabled: bool = False
    #: Outputs to use instead of running it, JSON data by port.
    pinned: dict[str, Any] | None = None
    timeout_s: float | None = None
    retries: int = 0
    on_error: OnError = "fail"
    #: Keys of the file that this release does not know, kept for whoever does.
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, data: dict[str, Any]) -> NodeSpec:
        """From an entry of a checked file."""
        data = copy_json(data)
        known = {name: data.pop(name) for name in _NODE_KEYS if name in data}
        if known.get("position") is not None:
            known["position"] = tuple(known["position"])
        return cls(**known, extra=data)

    def dump(self) -> dict[str, Any]:
        """To an entry of a file; policy is written only where it differs from the default."""
        data: dict[str, Any] = {
            "id": self.id,
            "type": self.type,
            "version": self.version,
            "title": self.title,
            "config": copy_json(self.config),
        }
        if self.position is not None:
            data["position"] = list(self.position)
        for name, default in _POLICY_DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                data[name] = copy_json(value)
        return {**data, **copy_json(self.extra)}


_POLICY_DEFAULTS: dict[str, Any] = {
    "disabled": False,
    "pinned": None,
    "timeout_s": None,
    "retries": 0,
    "on_error": "fail",
}
_NODE_KEYS = ("id", "type", "version", "title", "config", "position", *_POLICY_DEFAULTS)


@dataclass(slots=True)
class EdgeSpec:
    """A wire from an output port to an input port."""

    source: str
    source_port: str
    target: str
    target_port: str
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of the edge in the file: `source_port>target_port`."""
        return f"{self.source_port}>{self.target_port}"

    @property
    def ends(self) -> tuple[str, str, str, str]:
        """(source node, source port, target node, target port)."""
        return (self.source, self.source_port, self.target, self.target_port)

    @classmethod
    def load(cls, data: dict[str, Any]) -> EdgeSpec:
        """From an entry of a checked file."""
        data = copy_json(data)
        source, target = data.pop("source"), data.pop("target")
        source_port, target_port = data.pop("key").split(">")
        return cls(source, source_port, target, target_port, data)

    def dump(self) -> dict[str, Any]:
        """To an entry of a file."""
        ends = {"source": self.source, "target": self.target, "key": self.key}
        return {**ends, **copy_json(self.extra)}


@dataclass(slots=True)
class Graph:
    """A workflow. Unknown node types, ports and keys are kept: validation reports them."""

    name: str = ""
    description: str = ""
    #: Named results: name -> (node id, output port).
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)
    nodes: dict[str, NodeSpec] = field(default_factory=dict)
    #: In the order of the file, which is the order in which a port with many edges takes them.
    edges: list[EdgeSpec] = field(default_factory=list)
    #: Unknown keys of the file's "graph" object, and of the file itself.
    extra: dict[str, Any] = field(default_factory=dict)
    file_extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: Any) -> Graph:
        """Read the JSON data of a workflow file. Raises InvalidWorkflow, with every reason."""
        check_file(data)
        head = copy_json(data["graph"])
        head.pop("format")
        rest = {k: copy_json(v) for k, v in data.items() if k not in _FILE_KEYS}
        return cls(
            name=head.pop("name", ""),
            description=head.pop("description", ""),
            outputs={name: (end[0], end[1]) for name, end in head.pop("outputs", {}).items()},
            nodes={entry["id"]: NodeSpec.load(entry) for entry in data["nodes"]},
            edges=[EdgeSpec.load(entry) for entry in data["edges"]],
            extra=head,
            file_extra=rest,
        )

    def dump(self) -> dict[str, Any]:
        """JSON data of the workflow file: `Graph.parse(graph.dump()) == graph`."""
        head = {
            "format": FORMAT,
            "name": self.name,
            "description": self.description,
            "outputs": {name: list(end) for name, end in self.outputs.items()},
        }
        return {
            "directed": True,
            "multigraph": True,
            "graph": {**head, **copy_json(self.extra)},
            "nodes": [node.dump() for node in self.nodes.values()],
            "edges": [edge.dump() for edge in self.edges],
            **copy_json(self.file_extra),
        }

    def copy(self) -> Graph:
        """An independent copy."""
        return Graph(
            name=self.name,
            description=self.description,
            outputs=dict(self.outputs),
            nodes={node.id: NodeSpec.load(node.dump()) for node in self.nodes.values()},
            edges=[EdgeSpec.load(edge.dump()) for edge in self.edges],
            extra=copy_json(self.extra),
            file_extra=copy_json(self.file_extra),
        )

    def to_networkx(self) -> nx.MultiDiGraph:
        """The graph with all attributes, as NetworkX reads the file."""
        return nx.node_link_graph(self.dump(), edges="edges")

    def skeleton(self) -> nx.DiGraph:
        """Ids and connections only, without edges whose ends do not exist."""
        skeleton = nx.DiGraph()
        skeleton.add_nodes_from(self.nodes)
        skeleton.add_edges_from(
            (e.source, e.target)
            for e in self.edges
            if e.source in self.nodes and e.target in self.nodes
        )
        return skeleton

    def needed_for(self, targets: Iterable[str], *, stop_at: Collection[str] = ()) -> set[str]:
        """`targets` and all that they depend on, not looking behind the nodes in `stop_at`."""
        sources: dict[str, set[str]] = {}
        for edge in self.edges:
            sources.setdefault(edge.target, set()).add(edge.source)
        needed: set[str] = set()
        todo = [target for target in targets if target in self.nodes]
        while todo:
            node = todo.pop()
            if node not in needed:
                needed.add(node)
                if node not in stop_at:
                    todo.extend(s for s in sources.get(node, ()) if s in self.nodes)
        return needed

    def named_outputs(self, registry: Registry) -> dict[str, tuple[str, str]]:
        """Named results; where none are named, every output port of the nodes at the end."""
        if self.outputs:
            return self.outputs
        inner = {edge.source for edge in self.edges}
        ends = [
            (cls.result_name(port, node.config), node.id, port)
            for node in self.nodes.values()
            if node.id not in inner and (cls := registry.get(node.type)) is not None
            for port in output_ports(cls, node.config)
        ]
        names = [name for name, _, _ in ends]
        return {
            name if names.count(name) == 1 else f"{node}.{port}": (node, port)
            for name, node, port in ends
        }


_FILE_KEYS = frozenset({"directed", "multigraph", "graph", "nodes", "edges"})


def copy_json(value: Any) -> Any:
    """A deep copy of JSON data."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_json(item) for item in value]
    return value


def migrated_config(spec: NodeSpec, cls: AnyNode) -> dict[str, Any]:
    """Settings of a node, brought up to the version of its class."""
    if spec.version >= cls.version:
        return spec.config
    config: dict[str, Any] = cls.migrate(copy_json(spec.config), spec.version)
    return config


def migrate(graph: Graph, registry: Registry) -> list[Problem]:
    """Bring nodes of older versions up to date, in place; say which, as warnings.

    A node whose settings cannot be brought up to date is left as it is: validation reports it.
    """
    notes = []
    for spec in graph.nodes.values():
        cls = registry.get(spec.type)
        if cls is None or spec.version >= cls.version:
            continue
        try:
            config = migrated_config(spec, cls)
        except Exception as error:  # a node's own code, over settings of any shape
            logger.debug("Settings of %s were not brought up to date: %r", spec.id, error)
            continue
        notes.append(
            Problem(
                code="migrated",
                message=f"“{spec.title or spec.id}” was brought from version {spec.version} "
                f"of its type to version {cls.version}.",
                fix="Save the workflow to keep the change.",
                node=spec.id,
                found=spec.version,
                expected=cls.version,
                severity="warning",
            )
        )
        spec.config, spec.version = config, cls.version
    return notes
