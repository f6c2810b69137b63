"""Whether the language models that the nodes of a graph ask can be had here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.engine import expressions
from app.engine.graph import Graph, NodeSpec
from app.engine.node import NodeConfig
from app.engine.problems import InvalidWorkflow, ModelUnavailable, Problem
from app.engine.registry import Registry
from app.engine.validation_inside import MAX_DEPTH, bodies_in

if TYPE_CHECKING:
    from app.services.models import ModelService


async def model_problems(graph: Graph, registry: Registry, models: ModelService) -> list[Problem]:
    """One problem for each setting whose model is unknown or has no key.

    It is a warning where the run completes without the node: it is skipped when it fails, or has
    outputs to fall back on, or what holds it does.
    """
    found: list[Problem] = []
    refused: dict[str, ModelUnavailable | None] = {}
    for spec in graph.nodes.values():
        for field, model, severity in _asked(spec, registry, 0):
            if model not in refused:
                refused[model] = await _refusal(model, models)
            error = refused[model]
            if error is None:
                continue
            title = spec.title or spec.type
            found.append(
                Problem(
                    code=error.code,
                    message=f"“{title}”: {error.message}",
                    fix=error.fix,
                    node=spec.id,
                    field=field,
                    found=model,
                    severity=severity,
                )
            )
    return found


async def _refusal(model: str, models: ModelService) -> ModelUnavailable | None:
    try:
        await models.check(model, "llm")
    except ModelUnavailable as error:
        return error
    return None


def _asked(
    spec: NodeSpec, registry: Registry, depth: int, severity: str = "error"
) -> Iterator[tuple[str, str, str]]:
    """Setting and name of each model that a node asks, those of the workflows inside it too.

    The third says how severe it is when the model cannot be had.
    """
    cls = registry.get(spec.type)
    if cls is None or spec.disabled or spec.pinned is not None:
        return
    if spec.on_error not in ("fail", "continue"):  # after “continue”, the run fails in the end
        severity = "warning"
    for name, model in _own(spec.config, cls.Config):
        yield name, model, severity
    if cls.has_body and depth < MAX_DEPTH:
        for name, data in bodies_in(spec.config).items():
            try:
                inside = Graph.parse(data)
            except InvalidWorkflow:
                continue  # said of the node already
            for inner in inside.nodes.values():
                for _, model, told in _asked(inner, registry, depth + 1, severity):
                    yield f"{name}.graph", model, told


def _own(config: Mapping[str, Any], settings: type[NodeConfig]) -> Iterator[tuple[str, str]]:
    for name, field in settings.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, Mapping) or extra.get("widget") != "llm_model":
            continue
        needed = extra.get("used_with")
        if isinstance(needed, Mapping) and any(config.get(k) != v for k, v in needed.items()):
            continue
        value = config.get(name, field.default)
        if not isinstance(value, str) or not value.strip() or expressions.is_expression(value):
            continue
        if value != field.default:  # which needs no provider
            yield name, value.strip()
