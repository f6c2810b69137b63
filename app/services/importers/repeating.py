"""Iterations and loops: their steps become the workflow inside one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.engine.values import Text, Values
from app.services.importers.draft import Out, Part
from app.services.importers.prompting import plain, refs_in
from app.services.importers.source import Step

if TYPE_CHECKING:
    from app.services.importers.builder import Builder


def holds_steps(b: Builder, step: Step) -> bool:
    """Whether the steps inside of a step become a workflow of their own."""
    inside = any(other.parent == step.id for other in b.source.steps.values())
    return step.role in ("map", "loop") and inside and b.registry.get(step.role) is not None


def repeat(b: Builder, step: Step) -> Part | None:
    """An iteration or loop: its steps become the workflow inside a map or loop node."""
    if not holds_steps(b, step):
        return None
    inner = b.inner(step.id)
    inner.build()
    result = inner.result(step.settings.get("result"))
    if result is None:
        return None
    inner.graph.outputs = {"result": (result.node, result.port)}
    outputs = [{"name": "result", "type": result.value_type.type_name}]
    taken = list(inner.inlets.items())
    inputs = [
        {"name": name, "type": inner.inlet_types[name], "required": True} for name, _ in taken
    ]
    inner.graph.name = ""
    config: dict[str, Any] = {
        "body": {
            "graph": inner.graph.dump(),
            "workflow": "",
            "revision": None,
            "interface": {"inputs": inputs, "outputs": outputs},
        }
    }
    if step.role == "map":
        config["item"] = "item"
        config["concurrency"] = step.settings.get("concurrency") or 1
        config["on_failure"] = step.settings.get("on_failure") or "fail"
    else:
        config["max_rounds"] = step.settings.get("rounds") or 5
        b.remark(f"Write in “{step.title}” what ends the loop; it runs its rounds in full now.")
    node = b.draft.add(step.role, step.title or step.role.title(), config, step.id)
    if node is None:
        return None
    _wire_list(b, step, node)
    for name, ref in taken:
        if name != "item":
            b.draft.wire(b.resolve_for(ref, step.id), node, name)
    b.absorb(inner)
    kind = Values if step.role == "map" else result.value_type
    return Part(Out(node, "result", kind))


def _wire_list(b: Builder, step: Step, node: str) -> None:
    if step.role != "map":
        return
    refs = refs_in(step.texts.get("items", ()))
    out = b.resolve_for(refs[0], step.id) if refs else None
    if out is None:
        out = _fixed_list(b, step)
    if out is None:
        out = next((p.main for p in b.before(step) if p.main is not None), None) or b.query(step)
    if out.path or out.value_type.type_name in ("Text", "Answer"):
        # A model writes its list as text.
        text = b.draft.convert(out, Text) if out.path else out
        reader = b.draft.add("parse_json", f"List for {step.title}"[:100], {}, step.id)
        if reader is not None and text is not None and b.draft.wire(text, reader, "text"):
            out = b.draft.out(reader, "data")
    b.draft.wire(Out(out.node, out.port, out.value_type), node, "items")


def _fixed_list(b: Builder, step: Step) -> Out | None:
    """A list that is written into the step."""
    written = plain(step.texts.get("items", ())).strip()
    if not written:
        return None
    config = {"name": "items", "default": b.redactor.text(written)}
    node = b.draft.add("text_input", f"List of {step.title}"[:100], config, step.id)
    return b.draft.out(node, "text") if node else None
