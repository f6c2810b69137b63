"""Ports that follow from settings, and reading any value as text: what several nodes share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.engine.items import plain
from app.engine.node import Port
from app.engine.problems import NodeFailed
from app.engine.values import (
    PORT_TYPES,
    Answer,
    Chunks,
    Documents,
    Flag,
    Json,
    Number,
    PortValue,
    Query,
    Table,
    Text,
    Verdict,
)
from app.nodes.naming import held

#: What expressions and templates can call an input.
NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
#: Names that mean something else where inputs have names.
TAKEN = frozenset({"self", "ctx", "input", "variables", "secret", "items", "round", "index"})
#: Ports a node may have by its settings.
MAX_PORTS = 50
#: Longest text that a value is read as.
MAX_TEXT = 400_000

ValueType = Literal[
    "Any", "Text", "Number", "Flag", "Json", "Table", "Query", "Documents", "Chunks", "Answer",
    "Verdict", "Values",
]  # fmt: skip
PlainType = Literal["Json", "Text", "Number", "Flag"]


class Item(BaseModel):
    """Base of entries in lists of settings: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", validate_default=True)


class InputSpec(Item):
    """An input that templates and expressions can name."""

    name: str = Field(pattern=NAME, description="Name of the input in templates and expressions.")
    value_type: ValueType = Field("Any", title="Type", description="What may be wired to it.")
    required: bool = Field(
        True, description="Skip the node when no value comes; else it runs without one."
    )


def check_names(names: Iterable[str], taken: Iterable[str] = ()) -> None:
    """Raise ValueError where two ports would have one name, or one that is taken."""
    seen = set(taken)
    for name in names:
        if name in seen:
            raise ValueError(f"“{name}” is taken; every port needs a name of its own")
        seen.add(name)


def entries(config: Mapping[str, Any], key: str, default: Any = ()) -> list[Mapping[str, Any]]:
    """The entries of a list in settings of any shape, at most `MAX_PORTS`."""
    found = config.get(key, default)
    if not isinstance(found, list | tuple):
        return []
    rows = [row.model_dump() if isinstance(row, BaseModel) else row for row in found[:MAX_PORTS]]
    return [row for row in rows if isinstance(row, Mapping)]


def text_of(row: Mapping[str, Any], key: str, default: str = "") -> str:
    """A text in an entry of settings of any shape."""
    found = row.get(key, default)
    return found if isinstance(found, str) else default


def make_port(
    name: str,
    type_name: Any = "Any",
    *,
    required: bool = False,
    same_as: str | None = None,
    help: str = "",
) -> Port:
    """A port of a named type; an unknown type is open."""
    value_type = PORT_TYPES.get(type_name, PortValue) if isinstance(type_name, str) else PortValue
    return Port(
        name=name,
        value_type=value_type,
        required=required,
        same_as=same_as,
        help=help or value_type.type_help,
    )


def spec_ports(rows: Iterable[Mapping[str, Any]], help: str = "") -> dict[str, Port]:
    """Input ports of the entries of a list of `InputSpec`, as they stand in the settings."""
    ports: dict[str, Port] = {}
    for row in rows:
        name = text_of(row, "name")
        if name and ">" not in name and name not in TAKEN:
            ports[name] = make_port(
                name, row.get("value_type"), required=row.get("required") is not False, help=help
            )
    return ports


def as_text(value: PortValue) -> str:
    """Any value as text: passages and documents one under the other, data as JSON."""
    match value:
        case Text() | Answer() | Query():
            text = value.text
        case Chunks():
            text = "\n\n".join(chunk.content for chunk in value.items)
        case Documents():
            text = "\n\n".join(
                "\n".join(block.text for block in document.blocks) for document in value.items
            )
        case Table():
            rows = [value.columns, *value.rows]
            text = "\n".join("\t".join("" if c is None else str(c) for c in row) for row in rows)
        case Verdict():
            text = "\n".join(value.reasons) or ("Passed." if value.passed else "Failed.")
        case Number():
            text = f"{value.value:g}"
        case Flag():
            text = "yes" if value.value else "no"
        case _:
            data = plain(value)
            text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    if len(text) > MAX_TEXT:
        raise NodeFailed(
            f"The value is a text of {len(text):,} characters; at most {MAX_TEXT:,} can be read.",
            code="input_too_long",
            fix="Retrieve or cut out less of it first.",
            found=len(text),
            expected=MAX_TEXT,
        )
    return text


def plain_value(data: Any, value_type: str, what: str) -> PortValue:
    """JSON data as a value of a plain type. Raises NodeFailed where it does not fit.

    `what` names the data in the message: “the expression “total””.
    """
    if value_type != "Json":
        data = held(data)
    match value_type:
        case "Text":
            if isinstance(data, str):
                return Text(text=data)
            return Text(text="" if data is None else json.dumps(data, ensure_ascii=False))
        case "Number":
            try:
                if isinstance(data, bool):
                    raise TypeError
                return Number(value=float(data))
            except (TypeError, ValueError, OverflowError):
                shown = json.dumps(data, ensure_ascii=False, default=str)[:60]
                raise NodeFailed(
                    f"{what} gave {shown}, which is not a number.",
                    code="bad_value",
                    fix="Correct the expression, or choose another type.",
                    found=shown,
                    expected="Number",
                ) from None
        case "Flag":
            return Flag(value=bool(data))
        case _:
            return Json(data=data)
