"""A form made from the JSON Schema of a node's settings, checked while one types."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.ui import parts, text
from app.ui.schema import MODEL_KINDS, FieldSpec, fields

Change = Callable[[str, Any], None]


@dataclass
class Choices:
    """What pickers offer: knowledge bases, models by kind, chunkers, branches."""

    knowledge_bases: dict[str, str] = field(default_factory=dict)
    #: kind ("llm", "rerank", "embed") -> name -> words
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    chunkers: list[str] = field(default_factory=list)
    #: The branches of a knowledge base, by its name or id.
    branches: Callable[[str], Awaitable[list[str]]] | None = None
    #: Keep an uploaded file; returns its reference for a node's settings.
    keep_file: Callable[[str, bytes], Awaitable[dict[str, Any]]] | None = None


class SchemaForm:
    """Fields for every setting of a schema; `on_change(values)` gets all settings at each change."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        values: Mapping[str, Any],
        on_change: Callable[[dict[str, Any]], None],
        *,
        choices: Choices | None = None,
        check: Callable[[dict[str, Any]], dict[str, str]] | None = None,
        read_only: bool = False,
    ) -> None:
        self.values = dict(values)
        self._on_change = on_change
        self._choices = choices or Choices()
        self._check = check
        self._messages: dict[str, ui.element] = {}
        self._read_only = read_only
        specs = fields(dict(schema))
        known = {spec.name for spec in specs}
        with parts.div("rl-form"):
            for spec in specs:
                self._build(spec)
            for name in self.values.keys() - known:
                with parts.notice("warn", f"“{name}” is not a setting of this node."):
                    parts.tag("button", "Remove it", "rl-more").on(
                        "click", lambda name=name: self._drop(name)
                    )
            if not specs:
                parts.label("This node has no settings.", "rl-muted")
        self._show_messages()

    def _drop(self, name: str) -> None:
        self.values.pop(name, None)
        self._on_change(dict(self.values))

    def _set(self, name: str, value: Any) -> None:
        if name in self.values and self.values[name] == value:
            return
        self.values[name] = value
        self._show_messages()
        self._on_change(dict(self.values))

    async def _offer_branches(self, picker: ui.select) -> None:
        """Read the branches of the knowledge base that is chosen by now."""
        kb = str(self.values.get("knowledge_base") or "")
        if self._choices.branches is not None and kb:
            names = await self._choices.branches(kb)
            chosen = [str(picker.value)] if picker.value else []
            picker.set_options({n: n for n in dict.fromkeys([*names, *chosen])})

    def _show_messages(self) -> None:
        found = self._check(self.values) if self._check else {}
        for name, label in self._messages.items():
            message = found.get(name, "")
            label.text = message  # type: ignore[attr-defined]
            label.classes(remove="rl-hidden") if message else label.classes(add="rl-hidden")

    def _build(self, spec: FieldSpec) -> None:
        value = self.values.get(spec.name, spec.default)
        with parts.div("rl-field") as room:
            room.mark(f"field-{spec.name}")
            if spec.kind != "flag":
                with parts.div("rl-row rl-gap-4"):
                    parts.label(spec.title, "rl-field-title")
                    if spec.required:
                        parts.label("required", "rl-muted rl-small")
            element = _BUILDERS.get(spec.kind, _json)(spec, value, self._set, self._choices)
            if isinstance(element, ui.select) and spec.kind == "ref":
                element.on("popup-show", lambda: self._offer_branches(element))
            if self._read_only:
                for part in (element, *element.descendants()):
                    part.props("disable readonly")
            message = parts.label("", "rl-danger rl-small rl-hidden")
            self._messages[spec.name] = message
            if spec.description:
                parts.label(spec.description, "rl-field-help")


def _text(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    empty = None if spec.optional else ""
    element = ui.input(
        value=value or "",
        placeholder=_default_words(spec),
        on_change=lambda e: put(spec.name, e.value or empty),
    )
    return _named(element.props("debounce=250"), spec)


def _long(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    element = ui.textarea(value=value or "", on_change=lambda e: put(spec.name, e.value or ""))
    if spec.kind == "template":
        element.classes("rl-mono-field")
    return _named(element.props("debounce=300"), spec)


def _number(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    whole = spec.kind == "integer"

    def take(raw: Any) -> None:
        if raw in (None, ""):
            put(spec.name, None)
            return
        put(spec.name, int(raw) if whole and float(raw).is_integer() else float(raw))

    step = 1 if whole else _step(spec)
    bounded = spec.low is not None and spec.high is not None and _slides(spec)
    slider: ui.slider | None = None
    with parts.div("rl-row rl-gap-16") as room:
        if bounded and value is not None and not spec.optional:
            slider = ui.slider(
                min=spec.low or 0, max=spec.high or 1, step=step, value=value
            ).classes("rl-grow")
        # Without min and max, a number out of range stays as typed and gets its message.
        entry = ui.number(
            value=value,
            step=step,
            placeholder=_default_words(spec),
            on_change=lambda e: take(e.value),
        ).props("debounce=250")
        entry.style("width: 84px; flex: none") if slider else entry.classes("rl-grow")
    if slider is not None:
        slider.on_value_change(lambda e: entry.set_value(e.value))
        entry.on_value_change(lambda e: None if e.value is None else slider.set_value(e.value))
    _named(entry, spec)
    return room


def _slides(spec: FieldSpec) -> bool:
    """Sliders only where the range is one a hand can hit."""
    low, high = spec.low or 0, spec.high or 0
    return high - low <= (50 if spec.kind == "integer" else 2)


def _step(spec: FieldSpec) -> float:
    span = (spec.high or 1) - (spec.low or 0)
    return 0.05 if span <= 2 else 0.5


def _flag(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    return _named(
        ui.switch(spec.title, value=bool(value), on_change=lambda e: put(spec.name, bool(e.value))),
        spec,
    )


def _choice(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    options = {c: text.words(str(c)) if isinstance(c, str) else str(c) for c in spec.choices}
    if value is not None and value not in options:
        options[value] = f"{value} (not allowed)"
    if len(options) <= 4 and sum(len(o) for o in options.values()) <= 30 and not spec.optional:
        toggle = ui.toggle(options, value=value, on_change=lambda e: put(spec.name, e.value))
        return _named(toggle.props(parts.SEGMENTS + " spread").classes("rl-segments"), spec)
    select = ui.select(
        options, value=value, clearable=spec.optional, on_change=lambda e: put(spec.name, e.value)
    )
    return _named(select, spec)


def _strings(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    chips = ui.input_chips(
        value=[str(v) for v in value or ()], on_change=lambda e: put(spec.name, list(e.value or ()))
    )
    return _named(chips.props("outlined dense hide-dropdown-icon hide-bottom-space"), spec)


def _pick(
    spec: FieldSpec, value: Any, put: Change, options: dict[str, str], *, free: bool, hint: str
) -> ui.element:
    shown = dict(options)
    if value and value not in shown:
        shown[value] = str(value) if free else f"{value} (not here)"
    element = ui.select(
        shown, value=value or None, with_input=True, clearable=spec.optional,
        new_value_mode="add-unique" if free else None,
        on_change=lambda e: put(spec.name, e.value if e.value is not None else (None if spec.optional else "")),
    )  # fmt: skip
    if not value:
        element.props(f"placeholder={json.dumps(hint)}")
    return _named(element, spec)


def _knowledge_base(spec: FieldSpec, value: Any, put: Change, choices: Choices) -> ui.element:
    return _pick(
        spec, value, put, choices.knowledge_bases, free=False, hint="Choose a knowledge base"
    )


def _model(spec: FieldSpec, value: Any, put: Change, choices: Choices) -> ui.element:
    kind = MODEL_KINDS.get(str(spec.extra.get("widget", "")), "")
    options = {str(c): text.words(str(c)) for c in spec.choices}
    options |= choices.models.get(kind, {})
    if spec.default and str(spec.default) not in options:
        options = {str(spec.default): text.words(str(spec.default)), **options}
    return _pick(spec, value, put, options, free=True, hint="Choose or type a model")


def _ref(spec: FieldSpec, value: Any, put: Change, choices: Choices) -> ui.element:
    return _pick(spec, value, put, {"main": "main"}, free=True, hint="main")


def _chunker(spec: FieldSpec, value: Any, put: Change, choices: Choices) -> ui.element:
    options = {name: text.words(name) for name in choices.chunkers}
    return _pick(spec, value, put, options, free=False, hint="Choose where to cut")


def _json(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    start = "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    with parts.div("rl-col rl-gap-4") as room:
        wrong = parts.label("", "rl-danger rl-small rl-hidden")

        def take(raw: str) -> None:
            wrong.classes(add="rl-hidden")
            if not raw.strip():
                put(spec.name, None if spec.optional else spec.default)
                return
            try:
                put(spec.name, json.loads(raw))
            except json.JSONDecodeError as error:
                wrong.text = f"Not JSON yet: {error.msg} in line {error.lineno}."
                wrong.classes(remove="rl-hidden")

        entry = ui.textarea(value=start, on_change=lambda e: take(e.value or ""))
        _named(entry.classes("rl-mono-field").props("debounce=300"), spec)
        wrong.move(room)
    return room


class _Rows:
    """Rows of a small table in a form: filters and mappings."""

    def __init__(
        self,
        rows: list[list[Any]],
        blank: list[Any],
        add_words: str,
        put: Callable[[list[list[Any]]], None],
    ) -> None:
        self.rows, self.blank, self.put = rows, blank, put
        with parts.div("rl-col rl-gap-4") as self.element:
            self.room = parts.div("rl-col rl-gap-4")
            parts.tag("button", add_words, "rl-more").on("click", self.add)
        self.draw()

    def add(self) -> None:
        self.rows.append(list(self.blank))
        self.draw()

    def remove(self, index: int) -> None:
        del self.rows[index]
        self.draw()
        self.put(self.rows)

    def change(self, index: int, column: int, value: Any) -> None:
        self.rows[index][column] = value
        self.put(self.rows)

    def draw(self) -> None:
        self.room.clear()
        with self.room:
            for i, row in enumerate(self.rows):
                with parts.div("rl-row rl-gap-4"):
                    for j, cell in enumerate(row):
                        if len(row) == 3 and j == 1:
                            ui.select(
                                _OPERATORS,
                                value=cell,
                                on_change=lambda e, i=i: self.change(i, 1, e.value),
                            ).style("width: 92px; flex: none")
                        else:
                            hint = "field" if j == 0 else "value"
                            ui.input(
                                value=str(cell), placeholder=hint,
                                on_change=lambda e, i=i, j=j: self.change(i, j, e.value or ""),
                            ).classes("rl-grow").props("debounce=300")  # fmt: skip
                    parts.icon_button("close", "Remove", lambda i=i: self.remove(i))


_OPERATORS = {"$eq": "is", "$ne": "is not", "$gte": "at least", "$lte": "at most", "$in": "one of"}


def _literal(raw: str) -> Any:
    """Numbers and yes/no as such, all else as text."""
    try:
        value = json.loads(raw)
    except (json.JSONDecodeError, TypeError):
        return raw
    return value if isinstance(value, int | float | bool) else raw


def filter_rows(filters: Mapping[str, Any]) -> list[list[Any]]:
    """{"page": {"$gte": 3}} → [["page", "$gte", "3"]]."""
    rows: list[list[Any]] = []
    for name, wanted in filters.items():
        tests = wanted if isinstance(wanted, dict) else {"$eq": wanted}
        for operator, value in tests.items():
            shown = ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)
            rows.append([name, operator, shown])
    return rows


def filters_of(rows: list[list[Any]]) -> dict[str, Any]:
    """The filters that rows of a form stand for; unfinished rows are left out."""
    filters: dict[str, Any] = {}
    for name, operator, raw in rows:
        if not str(name).strip() or str(raw).strip() == "":
            continue
        value: Any = _literal(str(raw).strip())
        if operator == "$in":
            value = [_literal(part.strip()) for part in str(raw).split(",") if part.strip()]
        if operator == "$eq":
            filters[name] = value
        else:
            current = filters.get(name)
            filters[name] = {**(current if isinstance(current, dict) else {}), operator: value}
    return filters


def _filters(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    rows = filter_rows(value or {})
    return _Rows(
        rows, ["", "$eq", ""], "Add a filter", lambda r: put(spec.name, filters_of(r))
    ).element


def _mapping(spec: FieldSpec, value: Any, put: Change, _: Choices) -> ui.element:
    rows: list[list[Any]] = [[k, v] for k, v in dict(value or {}).items()]
    return _Rows(
        rows, ["", ""], "Add a line",
        lambda r: put(spec.name, {str(k): str(v) for k, v in r if str(k).strip()}),
    ).element  # fmt: skip


def _files(spec: FieldSpec, value: Any, put: Change, choices: Choices) -> ui.element:
    many = spec.extra.get("type") == "array"
    chosen: list[dict[str, Any]] = list(value or ()) if many else ([value] if value else [])
    with parts.div("rl-col rl-gap-4") as element:
        room = parts.div("rl-col rl-gap-4")

    def store() -> None:
        put(spec.name, list(chosen) if many else (chosen[0] if chosen else None))

    def remove(position: int) -> None:
        del chosen[position]
        draw()
        store()

    def draw() -> None:
        room.clear()
        with room:
            for position, one in enumerate(chosen):
                with parts.div("rl-row rl-gap-4"):
                    ui.icon("description").classes("rl-muted").style("font-size: 17px")
                    parts.label(str(one.get("filename", "")), "rl-ellipsis rl-grow rl-small")
                    parts.label(text.size(int(one.get("size") or 0)), "rl-muted rl-small")
                    parts.icon_button("close", "Remove", lambda p=position: remove(p))

    async def take(event: events.UploadEventArguments) -> None:
        if choices.keep_file is None:
            return
        try:
            kept = await choices.keep_file(event.file.name, await event.file.read())
        except RagloomError as error:
            parts.failed(error)
            return
        chosen[:] = [*chosen, kept] if many else [kept]
        draw()
        store()

    draw()
    if choices.keep_file is not None:
        with element:
            upload = ui.upload(multiple=many, auto_upload=True, on_upload=take)
            parts.drop_zone("Add files", "Drop them here, or click.", upload).classes("rl-slim")
    return element


def _named(element: ui.element, spec: FieldSpec) -> ui.element:
    element.props["aria-label"] = spec.title
    return element


def _default_words(spec: FieldSpec) -> str | None:
    return f"{spec.default}" if spec.default not in (None, "") else None


_BUILDERS: dict[str, Callable[[FieldSpec, Any, Change, Choices], ui.element]] = {
    "text": _text,
    "long": _long,
    "template": _long,
    "number": _number,
    "integer": _number,
    "flag": _flag,
    "choice": _choice,
    "strings": _strings,
    "filters": _filters,
    "mapping": _mapping,
    "files": _files,
    "knowledge_base": _knowledge_base,
    "model": _model,
    "ref": _ref,
    "chunker": _chunker,
}
