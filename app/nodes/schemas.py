"""JSON Schemas that strangers write: a small part of the language, and limits.

Patterns are left out because a regular expression can be made to run for ever, and references to
other places because they would be fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.engine.problems import NodeFailed

MAX_CHARS = 40_000
MAX_DEPTH = 12
MAX_FAULTS = 8

_PLAIN = frozenset(
    {"type", "title", "description", "default", "examples", "enum", "const", "format", "required",
     "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
     "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "$ref",
     "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly"}
)  # fmt: skip
_OF_SCHEMA = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames"})
_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_OF_NAMED = frozenset({"properties", "$defs", "definitions"})


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise ValueError unless `schema` is sound and within what is supported."""
    if not schema:
        raise ValueError("the schema is empty; write at least its properties")
    try:
        size = len(json.dumps(schema))
    except (TypeError, ValueError, RecursionError):
        raise ValueError("the schema is not JSON") from None
    if size > MAX_CHARS:
        raise ValueError(f"the schema has {size:,} characters; at most {MAX_CHARS:,} are allowed")
    for part, path in _walk(schema, "", 0):
        for key, value in part.items():
            if key not in _PLAIN | _OF_SCHEMA | _OF_SCHEMAS | _OF_NAMED:
                raise ValueError(f"“{key}” at {path or 'the top'} is not supported")
            if key == "$ref" and not str(value).startswith(("#/$defs/", "#/definitions/")):
                raise ValueError(f"the reference “{value}” must lead to #/$defs/…")
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = ".".join(str(step) for step in error.absolute_path) or "the top"
        raise ValueError(f"at {place}: {error.message[:200]}") from None


def broken_rules(data: Any, schema: Mapping[str, Any]) -> list[str]:
    """What about `data` does not fulfil the schema, in words; at most `MAX_FAULTS`. Blocks."""
    import jsonschema
    from referencing import Registry

    # An empty registry: nothing is fetched, whatever a reference says.
    validator = jsonschema.Draft202012Validator(
        schema,
        registry=Registry(),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    faults = []
    try:
        for error in validator.iter_errors(data):
            place = ".".join(str(step) for step in error.absolute_path) or "the whole"
            faults.append(f"{place}: {error.message[:300]}")
            if len(faults) == MAX_FAULTS:
                break
    except RecursionError:
        raise NodeFailed(
            "The schema refers to itself without end.",
            code="bad_schema",
            fix="Remove the reference that leads back to itself.",
        ) from None
    return faults


def _walk(schema: Any, path: str, depth: int) -> Iterator[tuple[Mapping[str, Any], str]]:
    if not isinstance(schema, Mapping):
        return
    if depth > MAX_DEPTH:
        raise ValueError(f"the schema is nested more than {MAX_DEPTH} levels deep")
    yield schema, path
    for key, value in schema.items():
        inner: list[tuple[str, Any]] = []
        if key in _OF_SCHEMA:
            inner = [(key, value)]
        elif key in _OF_SCHEMAS and isinstance(value, list):
            inner = [(f"{key}.{n}", item) for n, item in enumerate(value)]
        elif key in _OF_NAMED and isinstance(value, Mapping):
            inner = [(f"{key}.{name}", item) for name, item in value.items()]
        for name, item in inner:
            yield from _walk(item, f"{path}.{name}" if path else name, depth + 1)
