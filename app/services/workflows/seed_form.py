"""Workflows written as a list of steps: checked, and drawn as the graph they mean.

`{"name", "description", "steps": [{"name", "type", "config"}], "output_format": {name: type}}`
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import InvalidWorkflow, Problem
from app.engine.registry import AnyNode, Registry
from app.engine.unfit import unfit
from app.engine.values import accepts

MAX_STEPS = 200
EXTRACTIVE = "extractive"

#: Step type -> node type. Any other type is taken for the type of a node.
_NODE_TYPES = {
    "query_preprocessor": "preprocess",
    "knowledge_base_search": "retrieve",
    "answer_generation": "generate",
    "answer_validation": "validate",
}
#: Keys of a step's config -> keys of the node's, where they differ.
_RENAMED = {
    "retrieve": {"knowledge_base_id": "knowledge_base", "kb_id": "knowledge_base", "top_k": "k"},
    "preprocess": {"knowledge_base_id": "knowledge_base", "kb_id": "knowledge_base"},
    "generate": {"llm_model": "model"},
}
#: Name of an output -> type name of the wire it is read from.
_OUTPUT_WIRES = {
    "answer": "Answer",
    "confidence": "Verdict",
    "verdict": "Verdict",
    "citations": "Answer",
    "retrieval_context": "Chunks",
    "context": "Chunks",
    "chunks": "Chunks",
    "query": "Query",
}
_COLUMN, _ROW = 300, 120


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=200)
    type: str = Field(min_length=1, max_length=200)
    config: dict[str, Any] = Field(default_factory=dict)


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=10_000)
    steps: list[_Step] = Field(min_length=1, max_length=MAX_STEPS)
    output_format: dict[str, str] = Field(default_factory=dict, max_length=100)


def is_seed_form(data: Any) -> bool:
    """Whether `data` is a workflow written as steps."""
    return isinstance(data, dict) and "steps" in data and "nodes" not in data


def convert(data: Mapping[str, Any], registry: Registry) -> tuple[Graph, list[str]]:
    """Return the graph of a list of steps, and notes on what was changed or left out.

    Raises InvalidWorkflow when it is not such a list.
    """
    try:
        form = _Form.model_validate(data)
    except ValidationError as error:
        problems = [_bad_form(item) for item in error.errors(include_url=False)]
        raise InvalidWorkflow(
            "This list of steps cannot be read: " + " ".join(p.message for p in problems),
            fix="Give it a name and steps, each with name, type and config.",
            problems=problems,
        ) from None
    drawing = _Drawing(registry, Graph(name=form.name, description=form.description))
    drawing.add("question", "question", "Question", {})
    for number, step in enumerate(form.steps, 1):
        _add_step(drawing, step, number, form)
    known = all(registry.get(_NODE_TYPES.get(s.type, s.type)) is not None for s in form.steps)
    if known and drawing.newest("Answer") is None:
        # Steps that only search, say: what the last one gives is the result.
        drawing.add("result", "output", "Result", {})
        drawing.graph.outputs["result"] = ("result", "value")
    else:
        drawing.add("answer", "answer_output", "Answer", {})
    _name_outputs(drawing, form)
    return drawing.graph, drawing.notes


@dataclass
class _Drawing:
    """A graph that grows from left to right, each node wired to the newest fitting outputs."""

    registry: Registry
    graph: Graph
    #: Newest first: (node, port, type of its values).
    wires: list[tuple[str, str, type[Any]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, node_type: str, title: str, config: dict[str, Any]) -> None:
        """Append a node; one of an unknown type is kept, unconnected."""
        node_id = self._free_id(name or node_type)
        cls = self.registry.get(node_type)
        place = (float(_COLUMN * len(self.graph.nodes)), float(_ROW))
        version = cls.version if cls else 1
        self.graph.nodes[node_id] = NodeSpec(node_id, node_type, version, title, config, place)
        if cls is not None:
            self._connect(node_id, cls)

    def newest(self, type_name: str) -> tuple[str, str] | None:
        """(node, port) of the newest output of that type."""
        for node, port, value_type in self.wires:
            if value_type.type_name == type_name:
                return node, port
        return None

    def _connect(self, node_id: str, cls: AnyNode) -> None:
        arrived: dict[str, type[Any]] = {}
        for port in cls.input_ports().values():
            for source, source_port, value_type in self.wires:
                if accepts(value_type, port.value_type):
                    self.graph.edges.append(EdgeSpec(source, source_port, node_id, port.name))
                    arrived[port.name] = value_type
                    break
        for port in reversed(cls.output_ports().values()):
            if not port.required and port.name not in arrived:
                # An optional result passes on what came in under its name, and nothing did.
                continue
            value_type = arrived.get(port.same_as or "", port.value_type)
            self.wires.insert(0, (node_id, port.name, value_type))

    def _free_id(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or "step"
        free, number = base, 2
        while free in self.graph.nodes:
            free, number = f"{base}_{number}", number + 1
        return free


def _add_step(drawing: _Drawing, step: _Step, number: int, form: _Form) -> None:
    name = step.name or f"{step.type}_{number}"
    title = name.replace("_", " ").strip().capitalize()
    node_type = _NODE_TYPES.get(step.type, step.type)
    config = {_RENAMED.get(node_type, {}).get(k, k): v for k, v in step.config.items()}
    if drawing.registry.get(node_type) is None:
        drawing.notes.append(
            f"Step “{name}” has the type “{step.type}”, which is not known here; it was kept "
            "unconnected and has to be replaced before the workflow can run."
        )
        drawing.add(name, node_type, title, config)
        return
    rerank = node_type == "retrieve" and config.pop("rerank", False)
    if node_type == "preprocess" and "knowledge_base" not in config:
        config.update(_knowledge_base(form))
    if node_type == "generate":
        config.setdefault("model", EXTRACTIVE)
    _leave_out_unknown(drawing, name, node_type, config)
    wanted = config.get("k")
    if rerank and isinstance(wanted, int) and 1 <= wanted <= 50:
        # Reranking chooses the wanted number out of more.
        config["k"] = min(4 * wanted, 100)
    drawing.add(name, node_type, title, config)
    if rerank:
        top = {"top_k": wanted} if isinstance(wanted, int) else {}
        drawing.add(f"{name}_rerank", "rerank", f"{title}: rerank", top)


def _knowledge_base(form: _Form) -> dict[str, Any]:
    """The knowledge base that the steps search: its words and acronyms guide preprocessing."""
    for step in form.steps:
        if _NODE_TYPES.get(step.type) == "retrieve":
            for key in ("knowledge_base_id", "kb_id", "knowledge_base"):
                if isinstance(step.config.get(key), str):
                    return {"knowledge_base": step.config[key]}
    return {}


def _leave_out_unknown(
    drawing: _Drawing, name: str, node_type: str, config: dict[str, Any]
) -> None:
    cls = drawing.registry.get(node_type)
    if cls is None:
        return
    for key in [key for key in config if key not in cls.Config.model_fields]:
        value = config.pop(key)
        drawing.notes.append(
            f"Step “{name}”: {cls.title} has no setting “{key}”; {value!r} was left out."
        )


def _name_outputs(drawing: _Drawing, form: _Form) -> None:
    answers = drawing.newest("Answer") is not None
    wanted = form.output_format or ({"answer": "string"} if answers else {})
    for name in wanted:
        source = drawing.newest(_OUTPUT_WIRES.get(name, ""))
        if source is None and name == "confidence":
            source = drawing.newest("Answer")
        if source is None:
            drawing.notes.append(f"Nothing in these steps gives the output “{name}”.")
        else:
            drawing.graph.outputs[name] = source
    drawing.graph.extra["output_format"] = dict(wanted)


def _bad_form(item: Any) -> Problem:
    place = ".".join(str(part) for part in item["loc"])
    return Problem(
        code="bad_file",
        message=f"{place}: {unfit(item)}.",
        fix="Correct it in the file.",
        field=place,
    )
