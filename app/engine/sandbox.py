"""The part of Jinja2 that templates and expressions of strangers may use, and its limits.

Workflows are shared as files, so what stands in them is as untrusted as a document. The sandbox
keeps it from Python's insides; leaving out macros, imports, arithmetic on text and free function
calls keeps it from growing text without bound; what is made is weighed, and steps and time are
counted.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from jinja2 import StrictUndefined, Undefined, nodes, pass_environment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import MAX_RANGE, ImmutableSandboxedEnvironment, safe_range
from jinja2.tests import TESTS as DEFAULT_TESTS

from app.engine.problems import NodeFailed
from app.engine.sandbox_words import no_field, no_sum
from app.engine.weight import weigh

#: What filters raise over values that do not fit; Jinja's own check some with assertions.
FAULTS = (TypeError, ValueError, ArithmeticError, LookupError, AssertionError)
MAX_SOURCE = 50_000
MAX_STEPS = 100_000
MAX_SECONDS = 2.0
#: Bytes that a list, an object or a text made on the way may take.
MAX_WEIGHT = 16_000_000
#: Levels of brackets and operators; Python reads source code recursively.
MAX_NESTING = 60
#: Decimals that `round` takes.
_MAX_PRECISION = 20

#: Names the grammar uses itself.
EACH = "__each__"
_MADE = "__made__"

EXPRESSION_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.List, nodes.Tuple, nodes.Dict,
    nodes.Pair, nodes.Add, nodes.Sub,
)  # fmt: skip
TEMPLATE_NODES: tuple[type[nodes.Node], ...] = (
    *EXPRESSION_NODES, nodes.Template, nodes.TemplateData, nodes.Output, nodes.For, nodes.If,
    nodes.Assign,
)  # fmt: skip
#: Filters that may be used, and what each does.
FILTERS: dict[str, str] = {
    "abs": "size of a number without its sign",
    "capitalize": "first letter large, the others small",
    "count": "how many there are", "d": "another value where there is none",
    "default": "another value where there is none",
    "dictsort": "pairs of an object, sorted by name",
    "e": "text with HTML signs written out", "escape": "text with HTML signs written out",
    "first": "the first item", "float": "as a number",
    "forceescape": "text with HTML signs written out", "groupby": "items grouped by a field",
    "int": "as a whole number", "items": "pairs of name and value of an object",
    "join": "items as one text, with a separator", "last": "the last item",
    "length": "how many there are", "list": "as a list", "lower": "small letters",
    "map": "a field of every item, or a filter over every item", "max": "the largest",
    "min": "the smallest", "rejectattr": "items whose field does not pass a test",
    "reject": "items that do not pass a test", "reverse": "the other way round",
    "round": "a number, rounded", "select": "items that pass a test",
    "selectattr": "items whose field passes a test", "sort": "sorted items",
    "string": "as text", "striptags": "text without HTML tags", "title": "Words With Capitals",
    "tojson": "as JSON text", "trim": "text without spaces around it",
    "truncate": "text cut to a length", "unique": "items without repetitions",
    "upper": "large letters", "wordcount": "how many words there are",
}  # fmt: skip
#: Tests that may stand behind “is”.
TESTS = frozenset({
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge",
    "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping",
    "ne", "none", "number", "odd", "sequence", "string", "true", "undefined", "upper",
})  # fmt: skip
_CALLS = frozenset({"range"})
_WORDS_FOR: dict[type[nodes.Node], str] = {
    nodes.Macro: "macros", nodes.CallBlock: "call blocks", nodes.Include: "includes",
    nodes.Import: "imports", nodes.FromImport: "imports", nodes.Extends: "inheritance",
    nodes.Block: "blocks", nodes.Concat: "“~”; join texts with [a, b] | join",
    nodes.Mul: "“*”", nodes.Pow: "“**”", nodes.Mod: "“%”", nodes.Div: "“/”",
    nodes.FloorDiv: "“//”", nodes.AssignBlock: "set blocks",
    nodes.FilterBlock: "filter blocks", nodes.With: "with blocks", nodes.NSRef: "namespaces",
}  # fmt: skip


class Grammar:
    """Which nodes are allowed, and how the whole is called in messages."""

    def __init__(self, name: str, allowed: tuple[type[nodes.Node], ...], hint: str) -> None:
        self.name = name
        self.allowed = allowed
        self.hint = hint

    def failed(self, message: str, fix: str = "Correct it.") -> NodeFailed:
        """What is wrong with a text of this grammar."""
        return NodeFailed(message, code=f"bad_{self.name}", fix=fix)

    def check(self, node: nodes.Node) -> None:
        """Raise NodeFailed at the first thing in the tree that is not allowed."""
        todo = [(node, 1)]
        while todo:
            at, depth = todo.pop()
            if depth > MAX_NESTING:
                raise self.failed(
                    f"The {self.name} is nested more than {MAX_NESTING} levels deep.",
                    "Make it simpler.",
                )
            self._check_node(at)
            todo.extend((child, depth + 1) for child in at.iter_child_nodes())

    def _check_node(self, node: nodes.Node) -> None:
        plural, line = f"{self.name.capitalize()}s", getattr(node, "lineno", 0)
        if not isinstance(node, self.allowed) or isinstance(node, nodes.NSRef):
            what = _WORDS_FOR.get(type(node), f"“{type(node).__name__}”")
            raise self.failed(f"{plural} cannot use {what} (line {line}).", self.hint)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            instead = "The node “Split text” cuts texts. " if node.name == "split" else ""
            raise self.failed(
                f"{plural} cannot use the filter “{node.name}” (line {line}).",
                f"{instead}Allowed filters: {', '.join(sorted(FILTERS))}.",
            )
        if isinstance(node, nodes.Test) and node.name not in TESTS:
            raise self.failed(
                f"{plural} cannot use the test “{node.name}” (line {line}).",
                f"Allowed tests: {', '.join(sorted(TESTS))}.",
            )
        if isinstance(node, nodes.Name) and node.name.startswith("__"):
            raise self.failed(f"{plural} cannot use the name “{node.name}” (line {line}).")
        if isinstance(node, nodes.Call) and not _may_call(node.node):
            raise self.failed(
                f"{plural} cannot call functions or methods (line {line}).",
                "Use a filter instead, such as {{ text | upper }}; range(…) is allowed."
                if self.name == "template"
                else "Use a filter instead, such as text | upper; range(…) is allowed.",
            )


TEMPLATE = Grammar("template", TEMPLATE_NODES, "Variables, filters, if, for and set are allowed.")
EXPRESSION = Grammar(
    "expression",
    EXPRESSION_NODES,
    "Names, fields, filters, comparisons, “a if b else c”, + and - of numbers are allowed.",
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


class Budget:
    """Steps and seconds left to one rendering or evaluation."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._steps = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def each(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values, each counted."""
        for value in values:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise self._grammar.failed(
                    f"The {self._grammar.name} takes more than {MAX_STEPS:,} steps.",
                    "Loop over less, or do not nest loops.",
                )
            self.check()
            yield value

    def check(self) -> None:
        """Raise NodeFailed when the time is over."""
        if time.monotonic() > self._deadline:
            raise self._grammar.failed(
                f"The {self._grammar.name} takes longer than {MAX_SECONDS:g} s.",
                "Make it simpler.",
            )

    def made(self, value: Any) -> Any:
        """What was made on the way: counted as it comes, or weighed."""
        self.check()
        if isinstance(value, Iterator):
            return self.each(value)
        if weigh(value, MAX_WEIGHT) > MAX_WEIGHT:
            raise self._grammar.failed(
                f"The {self._grammar.name} makes more than {MAX_WEIGHT // 1_000_000} MB.",
                "Use fewer or shorter values, or cut them with the truncate filter.",
            )
        return value


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox over plain data: fields of objects, no attributes of anything else."""

    intercepted_binops = frozenset({"+", "-"})

    def __init__(self, grammar: Grammar) -> None:
        super().__init__(
            undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
        )
        self.grammar = grammar
        self._local = threading.local()
        # Filters can be named in texts as well (`map("center", …)`), so that no other may exist.
        self.filters = {
            name: self._bounded(_OWN.get(name, DEFAULT_FILTERS[name])) for name in FILTERS
        }
        self.tests = {name: DEFAULT_TESTS[name] for name in TESTS}
        self.tests.update(
            {sign: DEFAULT_TESTS[sign] for sign in ("==", "!=", ">", ">=", "<", "<=")}
        )
        self.globals = {"range": _range}

    @property
    def budget(self) -> Budget:
        """What is left to the evaluation under way in this thread."""
        budget = getattr(self._local, "budget", None)
        return budget if budget is not None else self.start()

    def start(self) -> Budget:
        """Begin an evaluation: steps and time anew."""
        budget = self._local.budget = Budget(self.grammar)
        return budget

    def prepared(self, tree: nodes.Template) -> nodes.Template:
        """The tree with its loops counted and its lists and objects weighed."""
        for loop in tree.find_all(nodes.For):
            # Every step of every loop is counted, so that nested ones end as well.
            loop.iter = _call(EACH, loop.iter)
        _weigh_literals(tree)
        return tree

    def helpers(self) -> dict[str, Any]:
        """What a prepared tree calls; goes with the variables."""
        budget = self.start()
        return {EACH: budget.each, _MADE: budget.made}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A field of an object; `chunks.items` is the field, not a method of Python's."""
        # A pair of `groupby` is a tuple with names.
        named = isinstance(obj, tuple) and attribute in getattr(obj, "_fields", ())
        if named or isinstance(obj, (LoopContext, Undefined)):
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A field of an object, or an item of a list."""
        if isinstance(obj, Undefined):
            return super().getitem(obj, argument)
        if isinstance(obj, (Mapping, str, list, tuple, range)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(no_field(obj, argument), obj=obj, name=str(argument))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Add and subtract numbers only."""
        for value in (left, right):
            if isinstance(value, Undefined):
                str(value)  # raises, and says what is not there
        if not all(isinstance(v, int | float) for v in (left, right)):
            raise SecurityError(no_sum(left, right))
        return super().call_binop(context, operator, left, right)

    def _bounded(self, filter_: Callable[..., Any]) -> Callable[..., Any]:
        def bounded(*args: Any, **kwargs: Any) -> Any:
            return self.budget.made(filter_(*args, **kwargs))

        # Jinja looks there for whether a filter takes the context or the environment.
        passes = getattr(filter_, "jinja_pass_arg", None)
        if passes is not None:
            bounded.jinja_pass_arg = passes  # type: ignore[attr-defined]
        return bounded


def _call(name: str, argument: nodes.Node) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), [cast(nodes.Expr, argument)], [], None, None)


def _weigh_literals(node: nodes.Node) -> None:
    """Wrap lists and objects: in templates, each may hold the one before it many times."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, nodes.Node):
            setattr(node, name, _weighed(value))
        elif isinstance(value, list):
            value[:] = [_weighed(v) if isinstance(v, nodes.Node) else v for v in value]


def _weighed(node: nodes.Node) -> nodes.Node:
    _weigh_literals(node)
    is_target = isinstance(node, nodes.Tuple) and node.ctx != "load"
    if isinstance(node, (nodes.List, nodes.Dict, nodes.Tuple)) and not is_target:
        return _call(_MADE, node)
    return node


def _join(values: Iterable[Any], d: Any = "", attribute: Any = None) -> str:
    """Jinja's `join`, which stops when the text grows too long."""
    separator, parts, length = str(d), [], 0
    for value in values:
        item = value
        if attribute is not None:
            for name in str(attribute).split("."):
                if not isinstance(item, Mapping) or name not in item:
                    raise ValueError(f"an item has no “{name}”")
                item = item[name]
        text = _text(item)
        length += len(text) + len(separator)
        if length > MAX_WEIGHT:
            raise ValueError(f"the text of “join” would take more than {MAX_WEIGHT:,} characters")
        parts.append(text)
    return separator.join(parts)


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)  # says what is not there
    if isinstance(value, str):
        return str(value)
    if weigh(value, MAX_WEIGHT) > MAX_WEIGHT:
        raise ValueError("a value is too large to be written as text")
    return str(value)


def _range(*args: int) -> range:
    """Jinja's `range`, of as many numbers as there may be steps."""
    try:
        return safe_range(*args)
    except OverflowError:
        raise ValueError(f"“range” gives up to {MAX_RANGE:,} numbers") from None


def _round(value: Any, precision: Any = 0, method: Any = "common") -> float:
    """Jinja's `round`, for a sensible number of decimals."""
    digits = int(precision)
    if abs(digits) > _MAX_PRECISION:
        raise ValueError(f"“round” takes up to {_MAX_PRECISION} decimals")
    if method == "common":
        return float(round(value, digits))
    if method not in ("ceil", "floor"):
        raise ValueError("“round” knows common, ceil and floor")
    scaled = value * 10.0**digits
    return float((math.ceil if method == "ceil" else math.floor)(scaled) / 10.0**digits)


def _striptags(value: Any) -> str:
    """Text without what stands between < and >; one pass, however many there are."""
    first, *rest = _text(value).split("<")
    kept = [first, *(part.partition(">")[2] if ">" in part else f"<{part}" for part in rest)]
    return " ".join("".join(kept).split())


def _string(value: Any) -> str:
    return _text(value)


@pass_environment
def _tojson(environment: Environment, value: Any, indent: Any = None) -> str:
    """JSON text of plain data, with characters as they are."""
    environment.budget.made(value)
    spaces = None if indent is None else min(max(int(indent), 0), 8)
    return json.dumps(plain_data(value), ensure_ascii=False, indent=spaces)


def plain_data(value: Any) -> Any:
    """A value as JSON data; what is not there raises."""
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is not there
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Iterable):
        return [plain_data(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise TypeError(f"a {type(value).__name__} is not data")


_OWN: dict[str, Callable[..., Any]] = {
    "join": _join, "round": _round, "striptags": _striptags, "string": _string, "tojson": _tojson,
}  # fmt: skip
