"""Steps that have no equal here: nodes that keep what was there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.engine.graph import EdgeSpec
from app.engine.values import PortValue
from app.services.importers.draft import Out, Part
from app.services.importers.prompting import refs_in
from app.services.importers.source import VARIABLE, Ref, Step

if TYPE_CHECKING:
    from app.services.importers.builder import Builder

#: Placeholders that a remark names.
_NAMED = 8


def refs_of(step: Step) -> Iterator[Ref]:
    """Every value of another step that a step reads."""
    for template in step.texts.values():
        yield from refs_in(template)
    for way in step.ways:
        for test in way.tests:
            yield test.left
            if isinstance(test.right, Ref):
                yield test.right
    yield from step.refs


def said(titles: list[str]) -> str:
    """That these steps have no equal, and which they are."""
    one = len(titles) == 1
    shown = ", ".join(f"“{title[:60]}”" for title in titles[:_NAMED])
    more = f" and {len(titles) - _NAMED} more" if len(titles) > _NAMED else ""
    return (
        f"{len(titles)} {'node has' if one else 'nodes have'} no equal here and became "
        f"{'a placeholder that keeps its' if one else 'placeholders that keep their'} data: "
        f"{shown}{more}. The workflow runs when {'it' if one else 'each'} is replaced."
    )


def placeholder(b: Builder, step: Step) -> Part:
    """A node that keeps what was there, with a port for everything it was wired to."""
    title = step.title or step.kind or "Step"
    b.placeholders.append(title)
    config = {
        "origin": b.source.format,
        "kind": step.kind[:200] or "unknown",
        "title": title[:200],
        "data": b.redactor.data(dict(step.data)),
        "inputs": [],
        "outputs": [],
        "advice": step.advice or ADVICE.get(step.role, ""),
    }
    node = b.draft.keep("placeholder", title, config, step.id)
    part = Part(placeholder=node)
    for ref in refs_of(step):
        out = b.resolve(ref) if ref.step != VARIABLE else None
        if out is not None:
            placeholder_input(b, node, out, ref.field or b.title(ref.step))
    gate = b.gate(step)
    for link in b.incoming(step.id):
        came = b.parts.get(link.source)
        if came is None or came.ways:
            continue
        if not any(b.draft.owner.get(e.source) == link.source for e in b.draft.into(node)):
            out = b.out(came, "")
            if out is not None:
                placeholder_input(b, node, out, link.into or b.title(link.source))
    came_in = [b.draft.out(e.source, e.source_port) for e in b.draft.into(node)]
    if gate is not None and not b.waits(came_in, gate) and gate not in came_in:
        placeholder_input(b, node, gate, "question")
    for way in step.ways:
        port = placeholder_output(b, node, way.label or way.handle)
        part.ways[way.handle] = port
    if not step.ways:
        part.main = placeholder_output(b, node, step.settings.get("output") or "output")
    return part


def placeholder_input(b: Builder, node: str, out: Out, name: str) -> bool:
    """Give a placeholder one more input, and wire it."""
    config = b.graph.nodes[node].config
    if len(config["inputs"]) >= 40 or out.node == node:
        return False
    port = _port(name, config["inputs"])
    config["inputs"].append(port)
    b.draft.connect(EdgeSpec(out.node, out.port, node, port))
    return True


def placeholder_output(b: Builder, node: str, name: str) -> Out:
    """An output of a placeholder, made when first asked for."""
    config = b.graph.nodes[node].config
    base = _slug(name) or "output"
    if base not in config["outputs"]:
        if len(config["outputs"]) >= 40:
            base = config["outputs"][0]
        else:
            config["outputs"].append(base)
    return Out(node, base, PortValue)


def prune(b: Builder) -> None:
    """Leave out outputs that nothing reads, but for the first."""
    for node in b.graph.nodes.values():
        if node.type != "placeholder":
            continue
        used = {e.source_port for e in b.graph.edges if e.source == node.id}
        kept = [name for name in node.config["outputs"] if name in used]
        node.config["outputs"] = kept or node.config["outputs"][:1]


def _port(name: str, taken: list[str]) -> str:
    base = _slug(name) or "input"
    free, number = base, 2
    while free in taken:
        free, number = f"{base}_{number}", number + 1
    return free


def _slug(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return found if found[:1].isalpha() else f"port_{found}" if found else ""


ADVICE = {
    "code": "Code of other systems is not run here. Replace it with a prompt, an expression, "
    "or an HTTP request to a service of yours.",
    "tool": "Replace it with an HTTP request to the same service, or remove it.",
    "agent": "Agents choose their steps themselves. Draw the steps, or use a generate node.",
    "assign": "Values are not changed while a workflow runs. Wire the value to where it is used.",
}
