"""Jinja2 templates of strangers: the sandbox, a small part of the language, and limits.

Workflows are shared as files, so a template is as untrusted as a document. The sandbox keeps it
from Python's insides; leaving out macros, imports, arithmetic on text and free function calls keeps
it from growing text without bound; loop steps, output and time are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.engine.problems import NodeFailed
from app.retrieval.words import word_set

MAX_SOURCE = 50_000
MAX_OUTPUT = 400_000
MAX_STEPS = 100_000
MAX_SECONDS = 2.0

_EACH = "__each__"
_ALLOWED_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.For, nodes.If, nodes.CondExpr, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Filter, nodes.Test,
    nodes.Assign, nodes.Call, nodes.Keyword, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.Add, nodes.Sub,
)  # fmt: skip
_FILTERS = word_set(
    """abs capitalize count d default dictsort e escape first float forceescape groupby int
    items join last length list lower map max min rejectattr reject reverse round select
    selectattr sort string striptags title tojson trim truncate unique upper wordcount"""
)
_CALLS = frozenset({"range"})
_WORDS_FOR = {
    nodes.Macro: "macros", nodes.CallBlock: "call blocks", nodes.Include: "includes",
    nodes.Import: "imports", nodes.FromImport: "imports", nodes.Extends: "inheritance",
    nodes.Block: "blocks", nodes.Concat: "“~” (write the values side by side)",
    nodes.Mul: "“*”", nodes.Pow: "“**”", nodes.Mod: "“%”", nodes.AssignBlock: "set blocks",
    nodes.FilterBlock: "filter blocks", nodes.With: "with blocks", nodes.NSRef: "namespaces",
}  # fmt: skip


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(v, int | float) for v in (left, right)):
            raise SecurityError("“+” and “-” work on numbers only; write texts side by side")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Environment:
    return _Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )


def check_template(source: str) -> nodes.Template:
    """Parse a template. Raises NodeFailed naming the line and what is not allowed there."""
    if len(source) > MAX_SOURCE:
        raise _failed(f"The template has more than {MAX_SOURCE:,} characters.", "Shorten it.")
    try:
        tree = _environment().parse(source)
    except TemplateSyntaxError as error:
        raise _failed(
            f"The template cannot be read at line {error.lineno}: {error.message}",
            "Correct the template; variables are written {{ question }}.",
        ) from None
    for node in _walk(tree):
        _check_node(node)
    return tree


def render(source: str, variables: Mapping[str, Any]) -> str:
    """Render a template over `variables` (plain data). Blocks; raises NodeFailed."""
    tree = check_template(source)
    for loop in tree.find_all(nodes.For):
        # Every step of every loop is counted, so that nested ones end as well.
        loop.iter = nodes.Call(nodes.Name(_EACH, "load"), [loop.iter], [], None, None)
    environment = _environment()
    budget = _Budget()
    template = environment.from_string(tree)
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**variables, _EACH: budget.each}):
            length += len(piece)
            if length > MAX_OUTPUT:
                raise _failed(
                    f"The prompt grew past {MAX_OUTPUT:,} characters.",
                    "Use fewer or shorter passages, or cut them with the truncate filter.",
                )
            budget.check()
            pieces.append(piece)
    except UndefinedError as error:
        known = ", ".join(sorted(variables))
        raise _failed(
            f"The template uses something that is not there: {error.message}.",
            f"Wire an input for it, or use one of: {known}.",
        ) from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise _failed(f"The template cannot be filled in: {error}.", "Correct it.") from None
    return "".join(pieces)


class _Budget:
    """Steps and seconds left to one rendering."""

    def __init__(self) -> None:
        self._steps = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise _failed(
                    f"The template's loops took more than {MAX_STEPS:,} steps.",
                    "Loop over less, or do not nest loops.",
                )
            self.check()
            yield value

    def check(self) -> None:
        if time.monotonic() > self._deadline:
            raise _failed(f"The template took longer than {MAX_SECONDS:g} s.", "Make it simpler.")


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _check_node(node: nodes.Node) -> None:
    line = getattr(node, "lineno", 0)
    if not isinstance(node, _ALLOWED_NODES) or isinstance(node, nodes.NSRef):
        what = _WORDS_FOR.get(type(node), f"“{type(node).__name__}”")
        raise _failed(
            f"Templates cannot use {what} (line {line}).",
            "Variables, filters, if, for and set are allowed.",
        )
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise _failed(
            f"Templates cannot use the filter “{node.name}” (line {line}).",
            f"Allowed filters: {', '.join(sorted(_FILTERS))}.",
        )
    if isinstance(node, nodes.Name) and node.name.startswith("__"):
        raise _failed(f"Templates cannot use the name “{node.name}” (line {line}).", "Rename it.")
    if isinstance(node, nodes.Call) and not _may_call(node.node):
        raise _failed(
            f"Templates cannot call functions or methods (line {line}).",
            "Use a filter instead, such as {{ text | upper }}; range(…) is allowed.",
        )


def _may_call(target: nodes.Node) -> bool:
    if isinstance(target, nodes.Name):
        return target.name in _CALLS
    return (
        isinstance(target, nodes.Getattr)
        and isinstance(target.node, nodes.Name)
        and target.node.name == "loop"
        and target.attr in ("cycle", "changed")
    )


def _failed(message: str, fix: str) -> NodeFailed:
    return NodeFailed(message, code="bad_template", fix=fix)
