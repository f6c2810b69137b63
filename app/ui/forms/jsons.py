"""Fields for JSON: anything at all, and JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from app.ui import parts
from app.ui.forms.base import Slot
from app.ui.forms.entry import CodeEntry

#: More text than this is not read while one types.
MAX_CHARS = 500_000
TYPES = {
    "string": "Text",
    "number": "Number",
    "integer": "Whole number",
    "boolean": "Yes or no",
    "string[]": "List of texts",
    "number[]": "List of numbers",
}
_PLAIN_KEYS = {"type", "properties", "required", "additionalProperties", "title", "description"}


def anything(slot: Slot) -> ui.element:
    """A JSON editor for whatever no other field is made for."""
    return JsonEntry(slot, lambda value: "").element


def read_json(raw: str) -> tuple[Any, str]:
    """The value, and in words what keeps the text from being JSON."""
    if len(raw) > MAX_CHARS:
        return None, f"This is more than {MAX_CHARS:,} characters; keep it in a file instead."
    try:
        return json.loads(raw), ""
    except json.JSONDecodeError as error:
        return None, f"Not JSON yet: {error.msg}, line {error.lineno}, column {error.colno}."
    except RecursionError:
        return None, "This is nested too deep."


class JsonEntry:
    """Text that is kept only while it is JSON and `check(value)` has nothing to say about it."""

    def __init__(self, slot: Slot, check: Callable[[Any], str]) -> None:
        self._slot, self._check = slot, check
        #: Some settings hold the JSON as a text.
        self._as_text = slot.spec.extra.get("type") == "string"
        value = slot.value
        start = value if self._as_text else self._written(value)
        with parts.div("rl-col rl-gap-4") as self.element:
            self.entry = CodeEntry(
                str(start or ""), slot.spec.title, lambda e: self.take(e.value or ""),
                rows=3, placeholder="JSON", read_only=slot.form.read_only,
            )  # fmt: skip
            self._wrong = parts.label("", "rl-danger rl-small rl-hidden")

    @staticmethod
    def _written(value: Any) -> str:
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)

    def take(self, raw: str) -> None:
        """Keep what was typed, or say what is wrong with it."""
        if not raw.strip():
            self._say("")
            self._slot.put(None if self._slot.spec.optional else self._slot.spec.default)
            return
        value, wrong = read_json(raw)
        wrong = wrong or self._check(value)
        self._say(wrong)
        if not wrong:
            self._slot.put(raw if self._as_text else value)

    def _say(self, wrong: str) -> None:
        self._wrong.text = wrong
        self._wrong.classes(remove="rl-hidden") if wrong else self._wrong.classes(add="rl-hidden")
        self.entry.invalid(bool(wrong))


def schema_problem(value: Any) -> str:
    """What keeps a value from being a JSON Schema, in words; empty where nothing does."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(value, Mapping):
        return 'A JSON Schema is an object, such as {"type": "object", "properties": {…}}.'
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        where = ".".join(str(part) for part in error.absolute_path)
        return f"Not a JSON Schema{f' at {where}' if where else ''}: {error.message[:200]}."
    except RecursionError:
        return "This schema is nested too deep."
    return ""


def schema_rows(schema: Any) -> list[dict[str, Any]] | None:
    """Fields of a schema of one flat object; None where it says more than fields can show."""
    if not schema:
        return []
    if not isinstance(schema, Mapping) or set(schema) - _PLAIN_KEYS:
        return None
    required = schema.get("required") or []
    properties = schema.get("properties") or {}
    plain = schema.get("type", "object") == "object" and isinstance(required, list)
    if not plain or not isinstance(properties, Mapping):
        return None
    rows = []
    for name, part in properties.items():
        kind = _plain_type(part)
        if kind is None:
            return None
        what = str(part.get("description", ""))
        rows.append({"name": name, "type": kind, "description": what, "required": name in required})
    return rows


def _plain_type(part: Any) -> str | None:
    """Key of `TYPES` for the schema of a field, None where it says more than a type."""
    if not isinstance(part, Mapping) or set(part) - {"type", "items", "description"}:
        return None
    kind, items = part.get("type"), part.get("items")
    if kind == "array":
        kind = f"{items['type']}[]" if isinstance(items, Mapping) and set(items) == {"type"} else ""
    elif items is not None:
        return None
    return kind if kind in TYPES else None


def schema_of(rows: list[dict[str, Any]], before: Any = None) -> dict[str, Any]:
    """The schema that rows stand for; what `before` says about the object as a whole stays."""
    kept = {k: v for k, v in dict(before or {}).items() if k not in ("properties", "required")}
    properties: dict[str, Any] = {}
    for row in rows:
        name, kind = str(row["name"]).strip(), str(row["type"])
        if not name:
            continue
        part: dict[str, Any] = {"type": kind}
        if kind.endswith("[]"):
            part = {"type": "array", "items": {"type": kind[:-2]}}
        if row["description"]:
            part["description"] = row["description"]
        properties[name] = part
    required = [str(r["name"]).strip() for r in rows if r["required"] and str(r["name"]).strip()]
    return {**kept, "type": "object", "properties": properties, "required": required}


def schema(slot: Slot) -> ui.element:
    """A JSON Schema: as fields where it is one flat object, else as JSON."""
    return SchemaEditor(slot).element


class SchemaEditor:
    """Switches between fields and JSON."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._as_text = slot.spec.extra.get("type") == "string"
        self._value = self._read(slot.value)
        self.rows = schema_rows(self._value)
        with parts.div("rl-col rl-gap-4") as self.element:
            toggle = ui.toggle(
                {"fields": "Fields", "json": "JSON"},
                value="json" if self.rows is None else "fields",
                on_change=lambda e: self.show(e.value),
            )
            toggle.props(parts.SEGMENTS).classes("rl-segments").style("align-self: flex-start")
            self._toggle = toggle
            self._room = parts.div("rl-col rl-gap-4")
        self.show(toggle.value)

    def _read(self, value: Any) -> Any:
        return read_json(value)[0] if self._as_text and isinstance(value, str) else value

    def _put(self, value: Any) -> None:
        self._value = self._read(value)
        self._slot.put(value)

    def show(self, mode: str) -> None:
        """Show it as fields or as JSON."""
        self._room.clear()
        with self._room:
            if mode == "json":
                current = self._value
                if self._as_text and current is not None:
                    current = json.dumps(current, indent=2, ensure_ascii=False)
                slot = Slot(self._slot.spec, current, self._put, self._slot.form)
                JsonEntry(slot, schema_problem)
                return
            self.rows = schema_rows(self._value)
            if self.rows is None:
                parts.label(
                    "This schema says more than fields can show; edit it as JSON.",
                    "rl-muted rl-small",
                )
                return
            self._list = parts.div("rl-col rl-gap-4")
            parts.tag("button", "Add a field", "rl-more").on("click", self.add).mark("add-field")
            self._draw()

    def add(self) -> None:
        """Another field."""
        assert self.rows is not None
        self.rows.append({"name": "", "type": "string", "description": "", "required": True})
        self._draw()

    def _remove(self, index: int) -> None:
        assert self.rows is not None
        del self.rows[index]
        self._draw()
        self._store()

    def _change(self, index: int, key: str, value: Any) -> None:
        assert self.rows is not None
        self.rows[index][key] = value
        self._store()

    def _store(self) -> None:
        made = schema_of(self.rows or [], self._value if isinstance(self._value, Mapping) else None)
        self._put(json.dumps(made, ensure_ascii=False) if self._as_text else made)

    def _draw(self) -> None:
        self._list.clear()
        with self._list:
            for index, row in enumerate(self.rows or ()):
                with parts.div("rl-schema-row"):
                    name = ui.input(
                        value=row["name"], placeholder="name",
                        on_change=lambda e, i=index: self._change(i, "name", e.value or ""),
                    ).props("debounce=300")  # fmt: skip
                    name.props["aria-label"] = "Name of the field"
                    kind = ui.select(
                        TYPES, value=row["type"],
                        on_change=lambda e, i=index: self._change(i, "type", e.value),
                    )  # fmt: skip
                    kind.props["aria-label"] = "Type"
                    needed = ui.checkbox(
                        value=row["required"],
                        on_change=lambda e, i=index: self._change(i, "required", bool(e.value)),
                    )
                    needed.props["aria-label"] = "Always there"
                    with needed:
                        ui.tooltip("Always there")
                    parts.icon_button("close", "Remove", lambda i=index: self._remove(i))
                    what = ui.input(
                        value=row["description"], placeholder="what it means",
                        on_change=lambda e, i=index: self._change(i, "description", e.value or ""),
                    ).classes("rl-schema-what").props("debounce=300")  # fmt: skip
                    what.props["aria-label"] = "What it means"
