"""Texts with other nodes' values in them: templates, and the named inputs they read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.engine.values import Answer, Chunks, Json, Number, PortValue, Query, Text
from app.services.importers.draft import Out
from app.services.importers.source import VARIABLE, Ref, Template

if TYPE_CHECKING:
    from app.services.importers.builder import Builder

MAX_SOURCE = 49_000
_BRACE = re.compile(r"\{(?=[{%#]|\Z)")
#: Names that mean something else in templates.
_TAKEN = {
    "self", "ctx", "input", "variables", "secret", "items", "round", "index", "query", "question",
    "chunks", "text", "texts", "answer", "data", "loop", "range", "true", "false", "none", "not",
    "and", "or", "if", "else", "in", "is", "for", "set",
}  # fmt: skip


def literal(text: str) -> str:
    """The text so that a template writes it as it is."""
    return _BRACE.sub('{{ "{" }}', text)


def refs_in(template: Template) -> list[Ref]:
    """The values a text needs, each once."""
    return list(dict.fromkeys(piece for piece in template if isinstance(piece, Ref)))


def plain(template: Template) -> str:
    """The text where it holds no values."""
    return "".join(piece for piece in template if isinstance(piece, str))


def says_something(template: Template) -> bool:
    """Whether there is any word or value in it."""
    return any(isinstance(piece, Ref) or piece.strip() for piece in template)


def joined(*parts: Template) -> Template:
    """Texts one below the other, empty ones left out."""
    pieces: list[str | Ref] = []
    for part in parts:
        if says_something(part):
            pieces.extend(("\n\n", *part) if pieces else part)
    return tuple(pieces)


@dataclass
class Inputs:
    """Named inputs of a node in the making: which output each takes.

    On a branch an input that does not come skips the node; where branches meet, what did not come
    is empty.
    """

    builder: Builder
    step: str
    #: Templates see the text of a text; expressions see the whole value as data.
    whole: bool = False
    named: dict[str, Out] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)

    def name(self, out: Out, hint: str = "") -> str:
        """The name of an output, which gets one when first asked for."""
        bare = replace(out, path="")
        for name, known in self.named.items():
            if known == bare:
                return name
        base = self._base(out, hint)
        free, number = base, 2
        while free in self.named or free in _TAKEN:
            free, number = f"{base}_{number}", number + 1
        self.named[free] = bare
        if not self.builder.comes_with(out, self.step):
            self.optional.add(free)
        return free

    def _base(self, out: Out, hint: str) -> str:
        if out.value_type is Query:
            return "asked"
        spec = self.builder.graph.nodes[out.node]
        for said in (spec.title or spec.id, hint):
            base = re.sub(r"[^a-z0-9]+", "_", said.lower()).strip("_")[:30].strip("_")
            if base[:1].isalpha() and len(base) > 1:
                return f"{base}_value" if base in _TAKEN else base
        return "value"

    def expression(self, ref: Ref) -> str | None:
        """What stands for a value in an expression or template; None where there is none."""
        if ref.step == VARIABLE:
            return f"variables.{ref.field}" if ref.field.isidentifier() else None
        out = self.builder.resolve_for(ref, self.step)
        if out is None or len(self.named) >= 40:
            return None
        name = said = self.name(out, ref.field)
        if self.whole:
            said += _INSIDE.get(out.value_type, ".text" if not out.path else ".data")
        said += f".{out.path}" if out.path else ""
        if name in self.optional:
            said = f'{said} if {name} else ""' if self.whole else f'{said} | default("")'
        return said

    def written(self, template: Template) -> str:
        """The text as a template."""
        pieces = []
        for piece in template:
            if isinstance(piece, str):
                pieces.append(literal(piece))
                continue
            said = self.expression(piece)
            if said is not None:
                pieces.append(f"{{{{ {said} }}}}")
        body = "".join(pieces)
        if len(body) <= MAX_SOURCE:
            return body
        self.builder.remark(
            f"A text of “{self.builder.title(self.step)}” was too long and was cut."
        )
        return literal(plain(template)[: MAX_SOURCE // 2])

    def hold(self, gate: Out | None) -> None:
        """Wait for the branch that leads here, where no input comes from it anyway."""
        needed = [out for name, out in self.named.items() if name not in self.optional]
        if gate is not None and not self.builder.waits(needed, gate):
            self.name(gate)

    def specs(self) -> list[dict[str, Any]]:
        """The setting “inputs”."""
        return [{"name": n, "required": n not in self.optional} for n in self.named]

    def connect(self, node: str) -> None:
        """Wire them."""
        for name, out in self.named.items():
            self.builder.draft.wire(out, node, name)


_INSIDE: dict[type[PortValue], str] = {
    Text: ".text", Query: ".text", Answer: ".text", Json: ".data", Number: ".value",
    Chunks: ".items",
}  # fmt: skip


def compose(builder: Builder, step: str, template: Template, title: str) -> Out | None:
    """Add a prompt node that writes `template`; None where it cannot be made."""
    inputs = Inputs(builder, step)
    body = inputs.written(template)
    return _add(builder, step, body, inputs, title)


def adopt(
    builder: Builder, step: str, source: str, variables: Mapping[str, Ref], title: str
) -> Out | None:
    """Add a prompt node of a template that is Jinja2 already; None where it asks for too much."""
    inputs = Inputs(builder, step)
    lines = []
    for name, ref in variables.items():
        said = inputs.expression(ref)
        if name.isidentifier() and name != said:
            lines.append(f"{{% set {name} = {said or json.dumps('')} %}}")
    body = "\n".join([*lines, source])
    return _add(builder, step, body, inputs, title) if len(body) <= MAX_SOURCE else None


def _add(builder: Builder, step: str, body: str, inputs: Inputs, title: str) -> Out | None:
    inputs.hold(builder.gate_of(step))
    config = {"template": body or " ", "inputs": inputs.specs()}
    node = builder.draft.add("prompt", title, config, step)
    if node is None:
        return None
    inputs.connect(node)
    return Out(node, "prompt", Text)
