"""Expressions in settings: `{"$expr": "chunks.items | length"}` instead of a value.

An expression sees the inputs of its own node, what the run was given (`input`) and the workflow's
`variables`; what it needs of other nodes comes in by a wire.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from app.engine.problems import NodeFailed, Problem
from app.engine.sandbox_words import said

if TYPE_CHECKING:
    from jinja2 import Template

#: The key that makes a setting an expression.
KEY = "$expr"
#: Names that every expression knows besides the inputs of its node.
ALWAYS = ("input", "variables")
#: Expressions in the settings of one node.
MAX_EXPRESSIONS = 200
#: Where in a node's settings something stands.
Path = tuple[str | int, ...]
_VALUE = "__value__"
#: Most characters of an expression on a card.
_SHOWN = 40


def is_expression(value: Any) -> bool:
    """Whether a setting is written as an expression."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(KEY), str)


def in_words(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings with each expression as a short text, to be read: “ƒ variables.k”."""
    if not any(is_expression(value) for value in config.values()):
        return config
    return {
        name: f"ƒ {' '.join(value[KEY].split())[:_SHOWN]}" if is_expression(value) else value
        for name, value in config.items()
    }


def find(config: Mapping[str, Any]) -> dict[Path, str]:
    """Every expression in a node's settings, but not in workflows that they hold."""
    if KEY not in repr(config):  # far cheaper than a walk where there is none
        return {}
    found: dict[Path, str] = {}
    todo: list[tuple[Path, Any]] = [((key,), value) for key, value in config.items()]
    while todo:
        path, value = todo.pop()
        if is_expression(value):
            found[path] = value[KEY]
        elif isinstance(value, Mapping):
            if not _is_workflow(value):
                todo += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            todo += [((*path, at), item) for at, item in enumerate(value)]
    return dict(sorted(found.items(), key=lambda entry: str(entry[0])))


def _is_workflow(value: Mapping[str, Any]) -> bool:
    head = value.get("graph")
    return "nodes" in value and isinstance(head, Mapping) and "format" in head


def put(config: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """Settings with values at some paths; what is not on the way is shared, not copied."""
    result: dict[str, Any] = dict(config)
    for path, value in values.items():
        at: Any = result
        for part in path[:-1]:
            inner = at[part]
            at[part] = dict(inner) if isinstance(inner, Mapping) else list(inner)
            at = at[part]
        at[path[-1]] = value
    return result


def dotted(path: Path) -> str:
    """A path as problems name it: “filters.year”."""
    return ".".join(map(str, path))


def evaluate(source: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression over `names` (JSON data), as JSON data.

    Blocks for as long as the expression takes, two seconds at most. Raises NodeFailed.
    """
    from jinja2 import TemplateError, UndefinedError

    from app.engine import sandbox

    template, _ = _compiled(source)
    environment = _environment()
    context = template.new_context({**names, **environment.helpers()})
    failed = sandbox.EXPRESSION.failed
    try:
        for _piece in template.root_render_func(context):
            pass
        return environment.budget.made(sandbox.plain_data(context.vars[_VALUE]))
    except UndefinedError as error:
        there = f"Use one of: {', '.join(sorted(names)) or 'nothing is there'}"
        raise failed(
            f"The expression “{_short(source)}” uses something that is not there: {error.message}.",
            f"{there if 'is undefined' in str(error.message) else 'Use what is there'}; "
            "or say what to take instead with | default(…).",
        ) from None
    except (*sandbox.FAULTS, TemplateError) as error:
        reason, fix = said(error)
        raise failed(f"The expression “{_short(source)}” has no value: {reason}.", fix) from None
    except (RecursionError, AttributeError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise failed(f"The expression “{_short(source)}” has no value: {reason}.") from None


def check(source: str, known_names: Collection[str]) -> list[Problem]:
    """What is wrong with an expression: its grammar, and names that are not known."""
    try:
        _, used = _compiled(source)
    except NodeFailed as error:
        return [Problem(code=error.code, message=error.message, fix=error.fix, found=source)]
    known = {*known_names, *ALWAYS}
    return [
        Problem(
            code="bad_expression",
            message=f"The expression uses “{name}”, which is not there.",
            fix=f"Use one of: {', '.join(sorted(known))}; what another node gives comes in by "
            "a wire.",
            found=name,
            expected=sorted(known),
        )
        for name in sorted(used - known)
    ]


def names_in(source: str) -> frozenset[str]:
    """Names that an expression uses. Raises NodeFailed where it cannot be read."""
    return _compiled(source)[1]


def complete(source: str, cursor: int, names: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What could stand at the cursor, each as {"text", "help", "value"}.

    `text` replaces the word before the cursor; `value` is the example value behind it, shortened,
    or None. `names` are example values, as JSON data.
    """
    from app.engine.completion import suggestions

    return suggestions(source, cursor, names)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from app.engine import sandbox

    return sandbox.Environment(sandbox.EXPRESSION)


@lru_cache(maxsize=512)
def _compiled(source: str) -> tuple[Template, frozenset[str]]:
    """An expression ready to be evaluated, and the names it uses. Raises NodeFailed."""
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.parser import Parser

    from app.engine import sandbox

    failed = sandbox.EXPRESSION.failed
    if not source.strip():
        raise failed("The expression is empty.", "Write one, or switch the setting to a value.")
    if len(source) > sandbox.MAX_SOURCE:
        raise failed(f"The expression has more than {sandbox.MAX_SOURCE:,} characters.")
    environment = _environment()
    too_deep = failed("The expression is nested too deeply.", "Make it simpler.")
    try:
        parser = Parser(environment, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError(
                f"unexpected “{parser.stream.current.value}”", parser.stream.current.lineno
            )
    except TemplateSyntaxError as error:
        raise failed(
            f"The expression “{_short(source)}” cannot be read: {error.message}.",
            "Write it without {{ and }}, such as value.text | upper."
            if source.strip().startswith("{{")
            else "Write it like: chunks.items | length, or question.text | upper.",
        ) from None
    except RecursionError:
        raise too_deep from None
    sandbox.EXPRESSION.check(tree)
    used = frozenset(
        node.name
        for node in ([tree] if isinstance(tree, nodes.Name) else tree.find_all(nodes.Name))
    ) - {"range"}
    target = nodes.Name(_VALUE, "store", lineno=1)
    whole = nodes.Template([nodes.Assign(target, tree, lineno=1)], lineno=1)
    try:
        whole.set_environment(environment)
        return environment.from_string(environment.prepared(whole)), used
    except (RecursionError, SyntaxError, MemoryError):
        raise too_deep from None


def _short(source: str) -> str:
    text = " ".join(source.split())
    return text if len(text) <= 80 else f"{text[:79]}…"
