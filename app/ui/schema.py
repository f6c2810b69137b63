"""Reads the JSON Schema of a node's settings: which kind of field each one wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "text", "long", "template", "number", "integer", "flag", "choice", "strings",
    "filters", "mapping", "json", "knowledge_base", "model", "ref", "chunker", "files",
]  # fmt: skip

_WIDGETS: dict[str, Kind] = {
    "textarea": "long",
    "template": "template",
    "knowledge_base": "knowledge_base",
    "llm_model": "model",
    "embedding_model": "model",
    "reranker": "model",
    "ref": "ref",
    "chunker": "chunker",
    "filters": "filters",
    "files": "files",
}
#: Widget -> which models it offers.
MODEL_KINDS = {"llm_model": "llm", "embedding_model": "embed", "reranker": "rerank"}
_TYPES: dict[str, Kind] = {
    "boolean": "flag",
    "integer": "integer",
    "number": "number",
    "string": "text",
}


@dataclass(frozen=True)
class FieldSpec:
    """One setting, as a form needs it."""

    name: str
    kind: Kind
    title: str
    description: str = ""
    default: Any = None
    required: bool = False
    optional: bool = False
    low: float | None = None
    high: float | None = None
    #: Bounds that are themselves not allowed.
    open_low: bool = False
    choices: tuple[Any, ...] = ()
    #: The field's own schema, references resolved.
    extra: dict[str, Any] = field(default_factory=dict)


def fields(schema: dict[str, Any]) -> list[FieldSpec]:
    """The settings of a schema, in their order."""
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    return [
        _field(name, part, definitions, name in required)
        for name, part in schema.get("properties", {}).items()
    ]


def _field(
    name: str, part: dict[str, Any], definitions: dict[str, Any], required: bool
) -> FieldSpec:
    merged, optional = _flatten(part, definitions)
    low = merged.get("minimum", merged.get("exclusiveMinimum"))
    high = merged.get("maximum", merged.get("exclusiveMaximum"))
    return FieldSpec(
        name=name,
        kind=_kind(merged),
        title=_title(name, merged),
        description=str(merged.get("description", "")),
        default=merged.get("default"),
        required=required,
        optional=optional,
        low=low,
        high=high,
        open_low="exclusiveMinimum" in merged,
        choices=tuple(merged.get("enum", ())) or _constants(merged),
        extra=merged,
    )


def _title(name: str, part: dict[str, Any]) -> str:
    given = str(part.get("title", ""))
    # Pydantic gives every field a title made from its name; only one that was chosen counts.
    if given and given != name.replace("_", " ").title():
        return given
    words = name.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    # A unit at the end of the name reads better in brackets.
    for end, unit in ((" s", "seconds"), (" mb", "MB"), (" ms", "ms")):
        if words.endswith(end):
            return f"{words[: -len(end)]} ({unit})"
    return words


def _flatten(part: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Resolve references and `X | None`; outer keys win over those of the definition."""
    optional = False
    merged = dict(part)
    for key in ("anyOf", "oneOf"):
        arms = merged.get(key)
        if not arms:
            continue
        kept = [a for a in arms if a.get("type") != "null"]
        optional = optional or len(kept) < len(arms)
        if len(kept) == 1:
            merged.pop(key)
            merged = {**kept[0], **merged}
    if len(merged.get("allOf", ())) == 1:
        (only,) = merged.pop("allOf")
        merged = {**only, **merged}
    reference = str(merged.pop("$ref", ""))
    if reference.startswith("#/$defs/"):
        inner, inner_optional = _flatten(definitions.get(reference[8:], {}), definitions)
        merged = {**inner, **merged}
        optional = optional or inner_optional
    return merged, optional


def _constants(part: dict[str, Any]) -> tuple[Any, ...]:
    arms = part.get("anyOf") or part.get("oneOf") or ()
    if arms and all("const" in a for a in arms):
        return tuple(a["const"] for a in arms)
    return (part["const"],) if "const" in part else ()


def _kind(part: dict[str, Any]) -> Kind:
    widget = _WIDGETS.get(str(part.get("widget", "")))
    if widget is not None:
        return widget
    if part.get("enum") or _constants(part):
        return "choice"
    kind = str(part.get("type"))
    if kind == "array" and part.get("items", {}).get("type") == "string":
        return "strings"
    if kind == "object" and _plain_values(part):
        return "mapping"
    return _TYPES.get(kind, "json")


def _plain_values(part: dict[str, Any]) -> bool:
    inner = part.get("additionalProperties")
    return isinstance(inner, dict) and inner.get("type") == "string"
