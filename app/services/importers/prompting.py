"""Texts with other nodes' values in them, as prompt nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from app.engine.values import Answer, Chunks, Json, PortValue, Query, Text
from app.services.importers.draft import Draft, Out
from app.services.importers.source import VARIABLE, Ref, Template

Resolve = Callable[[Ref], "Out | None"]
MAX_SOURCE = 49_000

_BRACE = re.compile(r"\{(?=[{%#]|\Z)")
_PASSAGES = "{% for chunk in chunks %}\n[{{ chunk.number }}] {{ chunk.content }}\n\n{% endfor %}\n"


def literal(text: str) -> str:
    """The text so that a template writes it as it is."""
    return _BRACE.sub('{{ "{" }}', text)


def refs_in(template: Template) -> list[Ref]:
    """The values a text needs, each once."""
    return list(dict.fromkeys(piece for piece in template if isinstance(piece, Ref)))


def plain(template: Template) -> str:
    """The text where it holds no values."""
    return "".join(piece for piece in template if isinstance(piece, str))


def joined(*parts: Template) -> Template:
    """Texts one below the other, empty ones left out."""
    pieces: list[str | Ref] = []
    for part in parts:
        if not any(isinstance(p, Ref) or p.strip() for p in part):
            continue
        if pieces:
            pieces.append("\n\n")
        pieces.extend(part)
    return tuple(pieces)


@dataclass
class Ports:
    """Which input of a prompt each value takes, and what stands for it in the template."""

    draft: Draft
    wires: list[tuple[Out, str]] = field(default_factory=list)
    texts: list[Out] = field(default_factory=list)

    def written(self, out: Out) -> str | None:
        """What writes the value into a template; None where it cannot be wired."""
        expression = self.expression(out)
        if expression == "chunks":
            return _PASSAGES
        return None if expression is None else f"{{{{ {expression} }}}}"

    def expression(self, out: Out, *, as_text: bool = False) -> str | None:
        """The value as an expression; passages are a list unless `as_text`."""
        whole = replace(out, path="")
        port = None if as_text and out.value_type is Chunks else _SINGLE.get(out.value_type)
        if port is not None:
            holder = next((o for o, p in self.wires if p == port), None)
            if holder is None:
                self.wires.append((whole, port))
            if holder is None or holder == whole:
                name = "question" if port == "query" else port
                return f"{name}.{out.path}" if out.path else name
        text = out if out.value_type is Text else self.draft.convert(out, Text)
        if text is None and out.value_type is PortValue:
            text = whole
        if text is None:
            return None
        if text not in self.texts:
            self.texts.append(text)
        return f"texts[{self.texts.index(text)}]"

    def connect(self, node: str) -> None:
        """Wire what the template uses."""
        for out, port in self.wires:
            self.draft.wire(out, node, port)
        for out in self.texts:
            self.draft.wire(out, node, "texts")


_SINGLE: dict[type[PortValue], str] = {
    Query: "query", Chunks: "chunks", Answer: "answer", Json: "data", PortValue: "data",
}  # fmt: skip


def compose(
    draft: Draft,
    template: Template,
    resolve: Resolve,
    *,
    title: str,
    owner: str,
    gate: Out | None = None,
) -> str | None:
    """Add a prompt node that writes `template`; its id, or None where it cannot be made.

    With a `gate` the text is empty unless the gate's branch was taken.
    """
    ports = Ports(draft)
    pieces = []
    for piece in template:
        if isinstance(piece, str):
            pieces.append(literal(piece))
        elif piece.step == VARIABLE and piece.field.isidentifier():
            pieces.append(f"{{{{ variables.{piece.field} }}}}")
        else:
            out = resolve(piece)
            pieces.append((ports.written(out) if out is not None else None) or "")
    body = "".join(pieces)
    if len(body) > MAX_SOURCE:
        draft.remarks.append(f"The text of “{title}” was too long and was cut.")
        body = literal(plain(template)[: MAX_SOURCE // 2])
    return _add(draft, body, ports, title, owner, gate)


def adopt(
    draft: Draft,
    source: str,
    variables: Mapping[str, Ref],
    resolve: Resolve,
    *,
    title: str,
    owner: str,
    gate: Out | None = None,
) -> str | None:
    """Add a prompt node of a template that is Jinja2 already; None where it asks for too much."""
    ports = Ports(draft)
    lines = []
    for name, ref in variables.items():
        out = resolve(ref)
        expression = ports.expression(out, as_text=True) if out is not None else None
        if ref.step == VARIABLE and ref.field.isidentifier():
            expression = f"variables.{ref.field}"
        if name != expression and name.isidentifier():
            # “question” and the like may be names of its own: the value is what counts.
            lines.append(f"{{% set {name} = {expression or repr('')} %}}")
    body = "\n".join([*lines, source])
    return _add(draft, body, ports, title, owner, gate) if len(body) <= MAX_SOURCE else None


def _add(
    draft: Draft, body: str, ports: Ports, title: str, owner: str, gate: Out | None
) -> str | None:
    if gate is not None:
        ports.expression(gate)
        body = f"{{% if question is defined %}}{body}{{% endif %}}"
    node = draft.add("prompt", title, {"template": body or " "}, owner)
    if node is not None:
        ports.connect(node)
    return node
