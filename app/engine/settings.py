"""Settings of a node when it runs: expressions evaluated, and what of the run it may read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from app.engine import expressions
from app.engine.codec import encode
from app.engine.node import NodeConfig
from app.engine.plan import PlannedNode
from app.engine.problems import NodeFailed
from app.engine.run_context import RunContext
from app.engine.signature import EXPRESSIONS, VARIABLES
from app.engine.values import PortValue
from app.engine.wording import bad_setting

_NOTHING: Mapping[str, Any] = {}


class Settings(NamedTuple):
    """What one attempt of a node goes by."""

    config: NodeConfig
    #: Settings as JSON text, with the expressions they came from.
    text: str
    #: The part of the run's input data that the node reads, and of the variables.
    data: Mapping[str, Any]
    variables: Mapping[str, Any]
    #: Both as JSON text.
    data_text: str


def read_settings(node: PlannedNode, config: NodeConfig, context: RunContext) -> Settings:
    """Settings of a node that has no expressions."""
    return _settings(config, node.config_json, node.reads, node.reads_variables, context)


async def evaluate_settings(
    node: PlannedNode, values: Mapping[str, Any], context: RunContext
) -> Settings:
    """Settings of a node with expressions, whose inputs are there. Raises NodeFailed."""
    config = await _evaluated(node, values, context)
    written = {expressions.dotted(path): source for path, source in node.expressions.items()}
    text = json.dumps({**config.model_dump(mode="json"), EXPRESSIONS: written})
    reads, reads_variables = node.cls.reads(config), node.cls.reads_variables(config)
    return _settings(config, text, reads, reads_variables, context)


def _settings(
    config: NodeConfig,
    text: str,
    reads: tuple[str, ...] | None,
    reads_variables: tuple[str, ...] | None,
    context: RunContext,
) -> Settings:
    data = part_of(context.input_data, reads) if reads is None or reads else _NOTHING
    variables = part_of(context.variables, reads_variables) if context.variables else _NOTHING
    if not data and not variables:
        return Settings(config, text, data, variables, "{}")
    read = {**data, VARIABLES: variables} if variables else data
    return Settings(
        config, text, data, variables, json.dumps(read, sort_keys=True, default=to_json)
    )


def part_of(whole: Mapping[str, Any], names: tuple[str, ...] | None) -> Mapping[str, Any]:
    """The part of a mapping that a node reads; it is handed no more."""
    if names is None:
        return whole
    return {name: whole[name] for name in names if name in whole}


async def _evaluated(
    node: PlannedNode, values: Mapping[str, Any], context: RunContext
) -> NodeConfig:
    # Large inputs and slow expressions must not hold up other runs.
    try:
        config = await asyncio.to_thread(_evaluate, node, values, context)
        return node.cls.Config.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        problem = bad_setting(node.spec.id, node.title, node.cls, first)
        raise NodeFailed(
            problem.message,
            code="bad_config",
            fix="Correct the expression, or what comes in. " + problem.fix,
            field=problem.field,
            found=problem.found,
            expected=problem.expected,
        ) from None


def _evaluate(node: PlannedNode, values: Mapping[str, Any], context: RunContext) -> dict[str, Any]:
    """Settings with the values of the expressions; blocks."""
    used = set().union(*map(expressions.names_in, node.expressions.values()))
    names = {name: _data(value) for name, value in values.items() if name in used}
    if "input" in used:
        names["input"] = json.loads(json.dumps(dict(context.input_data), default=to_json))
    if "variables" in used:
        names["variables"] = dict(context.variables)
    found = {}
    for path, source in node.expressions.items():
        try:
            found[path] = expressions.evaluate(source, names)
        except NodeFailed as error:
            raise NodeFailed(
                f"“{node.title}”, setting “{expressions.dotted(path)}”: {error.message}",
                code=error.code,
                fix=error.fix,
                field=expressions.dotted(path),
            ) from None
    return expressions.put(node.spec.config, found)


def _data(value: Any) -> Any:
    if isinstance(value, PortValue):
        return encode(value)
    return [_data(item) for item in value] if isinstance(value, list) else value


def to_json(value: object) -> Any:
    """What is not JSON data, as JSON data: for `json.dumps`."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
