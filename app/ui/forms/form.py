"""A form made from the JSON Schema of a node's settings, checked while one types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import background_tasks, ui

from app.ui import parts
from app.ui.forms import expressions
from app.ui.forms.base import Choices, FormContext, Names, Slot
from app.ui.forms.checks import EXPRESSION, NO_KEYS_HERE, is_expression, secret_in, short_value
from app.ui.forms.kinds import builder_of
from app.ui.schema import FieldSpec, Kind, fields
from app.ui.typed import redraw

#: Kinds that are written as themselves, never as one expression.
_NOT_COMPUTED: frozenset[Kind] = frozenset(
    {
        "template", "code", "body", "files", "objects", "json_schema", "object", "mapping",
        "several", "workflow", "port_type", "chunker", "validators",
    }
)  # fmt: skip


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
        names: Callable[[], Names] | None = None,
        template_names: Callable[[], Names] | None = None,
        code_names: Callable[[], Names] | None = None,
        open_workflow: Callable[[str], Any] | None = None,
        expand: Callable[[], Any] | None = None,
    ) -> None:
        self.values = dict(values)
        self._on_change, self._check = on_change, check
        self._context = FormContext(
            choices or Choices(),
            lambda: self.values,
            names or dict,
            template_names or names or dict,
            code_names or names or dict,
            read_only,
            open_workflow,
            expand,
        )
        #: Whether settings may be computed: only where somebody says which names there are.
        self._computes = names is not None
        #: Fields whose typed text was not taken -> why.
        self._refused: dict[str, str] = {}
        self._rows: dict[str, _Row] = {}
        specs = fields(schema)
        self._defaults = {spec.name: spec.default for spec in specs}
        with parts.div("rl-form"):
            for spec in specs:
                self._rows[spec.name] = _Row(self, spec)
            self._whole = parts.label("", "rl-danger rl-small rl-hidden").mark("form-message")
            self._whole.props["role"] = "status"
            self._extra = parts.div("rl-col")
            if not specs:
                parts.label("This node has no settings.", "rl-muted")
        self._show_what_counts()
        self._show_unknown()
        self._show_messages()

    @property
    def context(self) -> FormContext:
        """What the fields share."""
        return self._context

    @property
    def computes(self) -> bool:
        """Whether settings may be written as expressions."""
        return self._computes and not self._context.read_only

    def update(self, values: Mapping[str, Any]) -> None:
        """Show other settings; only fields that differ are built again."""
        before, self.values = self.values, dict(values)
        for name, row in self._rows.items():
            if before.get(name, row) != self.values.get(name, row):
                self._refused.pop(name, None)
                redraw(row.room, row.build_again)
        self._show_what_counts()
        self._show_unknown()
        self._show_messages()

    def put(self, name: str, value: Any) -> None:
        """Take what was typed into a field."""
        if secret_in(name, value) and value != self.values.get(name):
            self._refused[name] = NO_KEYS_HERE
            self._show_messages()
            return
        cleared = self._refused.pop(name, None) is not None
        if name in self.values and self.values[name] == value:
            if cleared:
                self._show_messages()
            return
        self.values[name] = value
        self._changed(name)

    def reset(self, name: str) -> None:
        """Go back to the default of a setting."""
        self._refused.pop(name, None)
        if name in self.values:
            self.values.pop(name)
            self._rows[name].build()
            self._changed(name)

    def drop(self, name: str) -> None:
        """Remove a setting the node does not have."""
        if name in self.values:
            self.values.pop(name)
            self._show_unknown()
            self._changed(name)

    def _changed(self, name: str) -> None:
        self._show_what_counts()
        self._show_messages()
        self._on_change(dict(self.values))
        for listener in self._context.listeners:
            result = listener(name)
            if inspect.isawaitable(result):
                background_tasks.create(result, name=f"form follows {name}")

    def _show_what_counts(self) -> None:
        """Hide settings that mean nothing beside the others."""
        for row in self._rows.values():
            row.show(row.spec.counts(self.values, self._defaults))

    def _show_unknown(self) -> None:
        self._extra.clear()
        with self._extra:
            for name in self.values.keys() - self._rows.keys():
                with parts.notice("warn", f"“{name}” is not a setting of this node."):
                    if not self._context.read_only:
                        parts.tag("button", "Remove it", "rl-more").on(
                            "click", lambda name=name: self.drop(name)
                        )

    def recheck(self) -> None:
        """Show what is wrong by now, where that depends on more than the settings."""
        self._show_messages()

    def _show_messages(self) -> None:
        found = self._check(self.values) if self._check else {}
        self._whole.text = whole = found.get("", "")
        self._whole.classes(remove="rl-hidden") if whole else self._whole.classes("rl-hidden")
        for name, row in self._rows.items():
            message = self._refused.get(name) or found.get(name, "")
            if not message and secret_in(name, self.values.get(name)):
                message = NO_KEYS_HERE
            row.say(message)


class _Row:
    """One setting: title, ƒ switch, reset, widget, message, help."""

    def __init__(self, form: SchemaForm, spec: FieldSpec) -> None:
        self._form, self.spec = form, spec
        self._message_text = ""
        with parts.div("rl-field") as self.room:
            self.room.mark(f"field-{spec.name}")
        self.build()

    def show(self, shown: bool) -> None:
        """Show the whole field or hide it."""
        self.room.classes(remove="rl-hidden") if shown else self.room.classes(add="rl-hidden")

    @property
    def _value(self) -> Any:
        return self._form.values.get(self.spec.name, self.spec.default)

    def build(self) -> None:
        """Draw the field with the value it has by now."""
        spec, value = self.spec, self._value
        computed = is_expression(value)
        self.room.clear()
        with self.room:
            switch = spec.kind == "flag" and not computed and isinstance(value, bool | None)
            with parts.div("rl-row rl-gap-4 rl-field-head"):
                if switch:
                    element = self._widget(value, computed)
                else:
                    parts.label(spec.title, "rl-field-title")
                if spec.required:
                    parts.label("required", "rl-muted rl-small")
                parts.div("rl-grow")
                self._reset = self._reset_button()
                if self._form.computes and spec.kind not in _NOT_COMPUTED:
                    self._switch(computed)
            if not switch:
                element = self._widget(value, computed)
            if self._form.context.read_only:
                for part in (element, *element.descendants()):
                    part.props("disable readonly")
            self._message = parts.label("", "rl-danger rl-small rl-hidden")
            self._message.props["role"] = "status"
            if spec.description:
                parts.label(spec.description, "rl-field-help")
        self._message_text = ""
        self._show_reset()

    def build_again(self) -> None:
        """Draw the field anew, with what is wrong with it."""
        self.build()
        self._form.recheck()

    def _widget(self, value: Any, computed: bool) -> ui.element:
        slot = Slot(self.spec, value, self._put, self._form.context)
        if computed:
            return expressions.field(slot)
        return builder_of(self.spec, value)(slot)

    def _put(self, value: Any) -> None:
        self._form.put(self.spec.name, value)
        self._show_reset()

    def _reset_button(self) -> ui.element:
        spec = self.spec
        words = short_value(spec.default, 40) if spec.default not in (None, "") else "empty"
        button = parts.icon_button(
            "restart_alt", f"Back to the default: {words}", lambda: self._form.reset(spec.name)
        )
        return button.classes("rl-field-tool").mark(f"reset-{spec.name}")

    def _show_reset(self) -> None:
        spec, values = self.spec, self._form.values
        differs = spec.name in values and values[spec.name] != spec.default and spec.has_default
        shown = differs and not self._form.context.read_only
        self._reset.classes(remove="rl-hidden") if shown else self._reset.classes(add="rl-hidden")

    def _switch(self, computed: bool) -> None:
        button = parts.tag("button", "ƒ", "rl-fx" + (" rl-on" if computed else ""))
        button.props["aria-label"] = f"{self.spec.title}: compute it with an expression"
        button.props["aria-pressed"] = "true" if computed else "false"
        button.props["type"] = "button"
        button.mark(f"fx-{self.spec.name}")
        with button:
            ui.tooltip("Back to a fixed value" if computed else "Compute it with an expression")
        button.on("click", self._toggle)

    def _toggle(self) -> None:
        name, value = self.spec.name, self._value
        if is_expression(value):
            self._form.values[name] = self.spec.default
            self._form.reset(name)
            return
        self._form.put(name, {EXPRESSION: expressions.literal(value)})
        self.build()

    def say(self, message: str) -> None:
        """Show what is wrong, or nothing."""
        if message == self._message_text:
            return
        self._message_text = self._message.text = message
        if message:
            self._message.classes(remove="rl-hidden")
            self.room.classes("rl-is-wrong")
        else:
            self._message.classes(add="rl-hidden")
            self.room.classes(remove="rl-is-wrong")
