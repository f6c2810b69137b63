"""Jinja2 templates of strangers: the engine's restricted grammar, with a limit on the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes

from app.engine.problems import NodeFailed
from app.engine.sandbox import FAULTS, MAX_SOURCE, TEMPLATE, Environment
from app.engine.sandbox_words import said

__all__ = ["MAX_OUTPUT", "MAX_SOURCE", "checked_template", "render"]

MAX_OUTPUT = 400_000


def checked_template(source: str) -> str:
    """The template. Raises ValueError, which pydantic shows at the field, if it is none."""
    try:
        _parse(Environment(TEMPLATE), source)
    except NodeFailed as error:
        raise ValueError(str(error)) from None
    return source


def _parse(environment: Environment, source: str) -> nodes.Template:
    if len(source) > MAX_SOURCE:
        raise TEMPLATE.failed(
            f"The template has more than {MAX_SOURCE:,} characters.", "Shorten it."
        )
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        raise TEMPLATE.failed(
            f"The template cannot be read at line {error.lineno}: {error.message}",
            "Correct the template; variables are written {{ question }}.",
        ) from None
    except RecursionError:
        raise _too_deep() from None
    TEMPLATE.check(tree)
    return tree


def render(source: str, variables: Mapping[str, Any]) -> str:
    """Render a template over `variables` (plain data). Blocks; raises NodeFailed."""
    environment = Environment(TEMPLATE)
    tree = environment.prepared(_parse(environment, source))
    pieces: list[str] = []
    length = 0
    try:
        template = environment.from_string(tree)
        helpers = environment.helpers()
        for piece in template.generate({**variables, **helpers}):
            length += len(piece)
            if length > MAX_OUTPUT:
                raise TEMPLATE.failed(
                    f"The prompt grew past {MAX_OUTPUT:,} characters.",
                    "Use fewer or shorter passages, or cut them with the truncate filter.",
                )
            environment.budget.check()
            pieces.append(piece)
    except UndefinedError as error:
        known = ", ".join(sorted(variables))
        raise TEMPLATE.failed(
            f"The template uses something that is not there: {error.message}.",
            f"Wire an input for it, or use one of: {known}."
            if "is undefined" in str(error.message)
            else "Use what is there; or say what to take instead with | default(…).",
        ) from None
    except (*FAULTS, TemplateError) as error:
        reason, fix = said(error)
        raise TEMPLATE.failed(f"The template cannot be filled in: {reason}.", fix) from None
    except (RecursionError, SyntaxError, MemoryError):
        raise _too_deep() from None
    return "".join(pieces)


def _too_deep() -> NodeFailed:
    return TEMPLATE.failed("The template is nested too deeply.", "Make it simpler.")
