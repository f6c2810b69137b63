"""A workflow as a Mermaid flowchart, for documents that draw those."""

from __future__ import annotations

from app.engine.graph import Graph
from app.engine.registry import Registry

_FAMILIES = {
    "inputs": "#496ba8", "text": "#8966a7", "retrieval": "#067797", "generation": "#b85e31",
    "checks": "#387c4a", "logic": "#9b436a", "documents": "#9a7827", "outputs": "#20857b",
}  # fmt: skip
_LONGEST = 120


def mermaid_of(graph: Graph, registry: Registry) -> str:
    """A flowchart from left to right; ids are numbers, and labels hold nothing but text."""
    names = {id_: f"n{number}" for number, id_ in enumerate(graph.nodes)}
    groups = _groups(graph)
    grouped = {id_ for _, ids in groups for id_ in ids}
    lines = ["---", f"title: {_title(graph.name)}", "---", "flowchart LR"]
    for number, (title, ids) in enumerate(groups):
        lines.append(f'    subgraph g{number}["{_label(title or "Group")}"]')
        lines += [f"        {_node(graph, registry, id_, names[id_])}" for id_ in ids]
        lines.append("    end")
    lines += [
        f"    {_node(graph, registry, id_, names[id_])}"
        for id_ in graph.nodes
        if id_ not in grouped
    ]
    for edge in graph.edges:
        if edge.source in names and edge.target in names:
            ports = [edge.source_port]
            if edge.target_port != edge.source_port:
                ports.append(edge.target_port)
            label = _label(" → ".join(ports))
            lines.append(f'    {names[edge.source]} -->|"{label}"| {names[edge.target]}')
    notes = graph.extra.get("notes")
    for number, note in enumerate(notes if isinstance(notes, list) else ()):
        text = str(note.get("text") or "") if isinstance(note, dict) else ""
        if text.strip():
            lines.append(f'    note{number}>"{_label(text)}"]')
    return "\n".join([*lines, *_classes(graph, registry, names)]) + "\n"


def _node(graph: Graph, registry: Registry, id_: str, name: str) -> str:
    spec = graph.nodes[id_]
    cls = registry.get(spec.type)
    title = spec.title or (cls.title if cls else spec.type)
    kind = cls.title if cls else spec.type
    label = _label(title) if title == kind else f"{_label(title)}<br/>{_label(kind)}"
    return f'{name}["{label}"]'


def _groups(graph: Graph) -> list[tuple[str, list[str]]]:
    entries = graph.extra.get("groups")
    found = []
    taken: set[str] = set()
    for entry in entries if isinstance(entries, list) else ():
        ids = entry.get("nodes") if isinstance(entry, dict) else None
        inside = [
            i
            for i in (ids if isinstance(ids, list) else ())
            if isinstance(i, str) and i in graph.nodes and i not in taken
        ]
        if inside:
            taken.update(inside)
            found.append((str(entry.get("title") or ""), list(dict.fromkeys(inside))))
    return found


def _classes(graph: Graph, registry: Registry, names: dict[str, str]) -> list[str]:
    members: dict[str, list[str]] = {}
    off = []
    for id_, spec in graph.nodes.items():
        cls = registry.get(spec.type)
        if cls is not None and cls.family in _FAMILIES:
            members.setdefault(cls.family, []).append(names[id_])
        if spec.disabled:
            off.append(names[id_])
    lines = []
    for family, ids in members.items():
        lines.append(f"    classDef {family} stroke:{_FAMILIES[family]},stroke-width:2px")
        lines.append(f"    class {','.join(ids)} {family}")
    if off:
        lines += ["    classDef off stroke-dasharray:4 3", f"    class {','.join(off)} off"]
    return lines


def _label(text: str) -> str:
    """Text as a label: letters, digits and spaces as they are, everything else as its code.

    Dots and dashes that begin a line would make a list of it.
    """
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        line = line[: _LONGEST - 1] + "…"
    coded = "".join(
        char if char.isalnum() or char in (" ,_" if place < 5 else " ,_.-") else f"#{ord(char)};"
        for place, char in enumerate(line)
    )
    return coded or "#160;"


def _title(text: str) -> str:
    """Text as a value in the head of the file, which is YAML."""
    line = "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST] or "Workflow"
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
