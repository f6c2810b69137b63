"""Reads the JSON Schema of a node's settings: which kind of field each one wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "text", "long", "template", "code", "number", "integer", "flag", "choice", "several",
    "strings", "filters", "mapping", "objects", "object", "value", "json", "json_schema", "body",
    "workflow", "port_type", "knowledge_base", "model", "ref", "chunker", "files",
    "validators",
]  # fmt: skip

_WIDGETS: dict[str, Kind] = {
    "textarea": "long",
    "long": "long",
    "template": "template",
    "expression": "code",
    "code": "code",
    "knowledge_base": "knowledge_base",
    "llm_model": "model",
    "embedding_model": "model",
    "reranker": "model",
    "ref": "ref",
    "chunker": "chunker",
    "validators": "validators",
    "filters": "filters",
    "files": "files",
    "json": "json",
    "json_schema": "json_schema",
    "schema": "json_schema",
    "body": "body",
    "workflow": "workflow",
    "port_type": "port_type",
    "mapping": "mapping",
    "headers": "mapping",
    "key_value": "mapping",
    "variables": "mapping",
    "value": "value",
    "rows": "objects",
    "cases": "objects",
}
#: Widgets that only fit some shapes; of another shape, the schema decides.
_SHAPES: dict[Kind, str] = {"objects": "array", "mapping": "object", "validators": "object"}
#: Widget -> which models it offers.
MODEL_KINDS = {"llm_model": "llm", "embedding_model": "embed", "reranker": "rerank"}
_TYPES: dict[str, Kind] = {
    "boolean": "flag",
    "integer": "integer",
    "number": "number",
    "string": "text",
}
#: Longest text that has room in one line.
_LINE = 1_000
#: Objects inside objects are shown as fields this deep, and as JSON below.
_DEEPEST = 3


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
    #: Fields of an object, or of each object of a list.
    parts: tuple[FieldSpec, ...] = ()
    #: The field's own schema, references resolved.
    extra: dict[str, Any] = field(default_factory=dict)

    def counts(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
        """Whether it means something beside these settings: `shown_for` names what others must be.

        A setting that another's expression decides on is shown.
        """
        return all(
            isinstance(value := values.get(name, defaults.get(name)), Mapping) or value in wanted
            for name, wanted in dict(self.extra.get("shown_for") or {}).items()
        )

    @property
    def unit(self) -> str:
        """The unit of a number, from the end of its name: “s”, “ms”, “MB”, or nothing."""
        return next((u for end, u in _UNITS.items() if self.name.endswith(end)), "")

    @property
    def has_default(self) -> bool:
        """Whether leaving it out means something."""
        return not self.required


_UNITS = {"_ms": "ms", "_s": "s", "_seconds": "s", "_mb": "MB", "_kb": "kB", "_chars": "characters"}


def fields(schema: Mapping[str, Any]) -> list[FieldSpec]:
    """The settings of a schema, in their order."""
    return _fields(schema, schema.get("$defs", {}), 0)


def _fields(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int
) -> list[FieldSpec]:
    required = set(schema.get("required", ()))
    return [
        _field(name, part, definitions, name in required, depth)
        for name, part in schema.get("properties", {}).items()
        if isinstance(part, Mapping)
    ]


def _field(
    name: str,
    part: Mapping[str, Any],
    definitions: Mapping[str, Any],
    required: bool,
    depth: int,
) -> FieldSpec:
    merged, optional = _flatten(part, definitions)
    kind = _kind(merged, definitions, depth)
    if kind == "text" and name == "value_type":
        kind = "port_type"
    inner: Mapping[str, Any] = merged
    choices = tuple(merged.get("enum", ())) or _constants(merged)
    if kind in ("objects", "several"):
        inner, _ = _flatten(merged.get("items", {}), definitions)
        choices = tuple(inner.get("enum", ()))
    nested = kind in ("objects", "object")
    return FieldSpec(
        name=name,
        kind=kind,
        title=_title(name, merged),
        # Help is plain text: no marks of code.
        description=str(merged.get("description", "")).replace("`", ""),
        default=merged.get("default"),
        required=required,
        optional=optional,
        low=merged.get("minimum", merged.get("exclusiveMinimum")),
        high=merged.get("maximum", merged.get("exclusiveMaximum")),
        open_low="exclusiveMinimum" in merged,
        choices=choices,
        parts=tuple(_fields(inner, definitions, depth + 1)) if nested else (),
        extra=merged,
    )


def _title(name: str, part: Mapping[str, Any]) -> str:
    given = str(part.get("title", ""))
    # Pydantic gives every field a title made from its name, and every model that of its class;
    # only one that was chosen counts.
    if given and given != name.replace("_", " ").title() and not part.get("properties"):
        return given
    words = name.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    # A unit at the end of the name reads better in brackets.
    for end, unit in ((" s", "seconds"), (" mb", "MB"), (" ms", "ms")):
        if words.endswith(end):
            return f"{words[: -len(end)]} ({unit})"
    return words


def _flatten(
    part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int = 0
) -> tuple[dict[str, Any], bool]:
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
    if reference.startswith("#/$defs/") and depth < 8:
        inner, inner_optional = _flatten(definitions.get(reference[8:], {}), definitions, depth + 1)
        merged = {**inner, **merged}
        optional = optional or inner_optional
    return merged, optional


def _constants(part: Mapping[str, Any]) -> tuple[Any, ...]:
    arms = part.get("anyOf") or part.get("oneOf") or ()
    if arms and all("const" in a for a in arms):
        return tuple(a["const"] for a in arms)
    return (part["const"],) if "const" in part else ()


def _kind(part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Kind:
    kind = str(part.get("type"))
    widget = _WIDGETS.get(str(part.get("widget", "")))
    found: Kind
    if widget is not None and _SHAPES.get(widget, kind) == kind:
        found = widget
    elif part.get("enum") or _constants(part):
        found = "choice"
    elif kind == "array":
        found = _list_kind(part, definitions, depth)
    elif kind == "object":
        found = _object_kind(part, depth)
    elif kind == "string" and "{{" in str(part.get("description", "")):
        found = "template"  # its help tells of names in it
    elif kind == "string" and int(part.get("maxLength") or 0) > _LINE:
        found = "long"
    else:
        found = "value" if _scalars(part) else _TYPES.get(kind, "json")
    return found


def _object_kind(part: Mapping[str, Any], depth: int) -> Kind:
    properties = part.get("properties") or {}
    if {"graph", "workflow", "revision", "interface"} <= properties.keys():
        return "body"
    if properties and depth < _DEEPEST:
        return "object"
    return "mapping" if _plain_values(part) else "json"


def _list_kind(part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Kind:
    items, _ = _flatten(part.get("items") or {}, definitions)
    if items.get("enum"):
        return "several"
    if items.get("type") == "string":
        return "strings"
    if items.get("properties") and depth < _DEEPEST:
        return "objects"
    return "json"


def _plain_values(part: Mapping[str, Any]) -> bool:
    inner = part.get("additionalProperties")
    return isinstance(inner, Mapping) and inner.get("type") == "string"


def _scalars(part: Mapping[str, Any]) -> bool:
    """Whether it takes a text, a number, yes or no alike: written as one thinks of it."""
    arms = [arm.get("type") for arm in part.get("anyOf") or () if isinstance(arm, Mapping)]
    scalar = {"string", "number", "integer", "boolean"}
    return (
        len(arms) > 1
        and "string" in arms
        and all(a in scalar or a in ("array", "object", "null") for a in arms)
    )


def blank(spec: FieldSpec) -> Any:
    """What a field of a new row starts with."""
    if spec.default is not None or spec.optional:
        return spec.default
    if spec.kind == "choice":
        return spec.choices[0] if spec.choices else None
    empty: dict[str, Any] = {
        "flag": False, "strings": [], "several": [], "objects": [], "mapping": {}, "filters": {},
        "object": {part.name: blank(part) for part in spec.parts}, "json": None, "json_schema": {},
        "integer": spec.low or 0, "number": spec.low or 0,
    }  # fmt: skip
    return empty.get(spec.kind, "")
