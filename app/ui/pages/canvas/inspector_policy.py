"""How a node is run: switched off, pinned, time limit, retries, and what a failure does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nicegui import ui

from app.engine.codec import UndecodableValue
from app.engine.registry import Registry
from app.ui import parts, port_data
from app.ui.forms.entry import CodeEntry
from app.ui.pages.canvas.inspector_facts import Actions, NodeFacts

_WHEN_IT_FAILS = {
    "fail": "Fail the run at once",
    "continue": "Let the other branches finish first",
    "skip": "Skip its branch",
    "fallback": "Use other values",
}


def build(node: NodeFacts, registry: Registry, actions: Actions) -> None:
    """The section “When it runs” under the settings."""
    PolicyForm(node, registry, actions)


class PolicyForm:
    """Writes policies through `actions.set_policy`; only what changes is sent."""

    def __init__(self, node: NodeFacts, registry: Registry, actions: Actions) -> None:
        self._node, self._registry, self._actions = node, registry, actions
        cls = registry.get(node.type)
        special = node.disabled or node.pinned or node.timeout_s or node.retries
        with parts.tag("details", "", "rl-more-panel").mark("policy") as panel:
            if special or node.on_error != "fail":
                panel.props("open")
            parts.tag("summary", "When it runs")
            with parts.div("rl-form"):
                if actions.set_disabled is not None:
                    self._disabled(actions.set_disabled)
                if actions.toggle_pinned is not None:
                    self._pinned(actions.toggle_pinned)
                self._number(
                    "Time limit",
                    "How long one attempt may take.",
                    node.timeout_s,
                    lambda value: self._change(timeout_s=value or None),
                    suffix="s",
                    placeholder=f"{cls.timeout_s:g}" if cls else "",
                    bounds=(1, 86_400),
                )
                self._number(
                    "Retries",
                    "Further attempts after one that failed, each after a longer wait.",
                    node.retries,
                    lambda value: self._change(retries=int(value or 0)),
                    placeholder="0",
                    bounds=(0, 10),
                )
                self._on_error()

    def _change(self, **policy: Any) -> None:
        self._actions.set_policy(self._node.node_id, policy)

    def _disabled(self, put: Callable[[str, bool], Any]) -> None:
        with parts.div("rl-field"):
            ui.switch(
                "Switched off",
                value=self._node.disabled,
                on_change=lambda e: put(self._node.node_id, bool(e.value)),
            ).mark("disabled")
            parts.label("It does not run; inputs pass through where they fit.", "rl-field-help")

    def _pinned(self, toggle: Callable[[str], Any]) -> None:
        node, actions = self._node, self._actions
        with parts.div("rl-field"):
            with parts.div("rl-row"):
                ui.icon("push_pin").classes("rl-muted").style("font-size: 17px")
                words = "Its output is pinned" if node.pinned else "Its output is not pinned"
                parts.label(words, "rl-grow rl-small")
                can_pin = node.pinned or (node.step is not None and bool(node.step.outputs))
                if can_pin:
                    word = "Unpin" if node.pinned else "Pin the last one"
                    parts.bare(word, lambda: toggle(node.node_id)).mark("pin")
                edit = actions.edit_outputs
                if edit is not None:
                    parts.bare("Edit", lambda: edit(node.node_id))
            parts.label("A pinned output is used instead of running the node.", "rl-field-help")

    def _number(
        self,
        title: str,
        help_text: str,
        value: float | None,
        put: Callable[[float | None], None],
        *,
        bounds: tuple[float, float],
        suffix: str = "",
        placeholder: str = "",
    ) -> None:
        low, high = bounds
        with parts.div("rl-field"):
            parts.label(title, "rl-field-title")
            wrong = parts.label("", "rl-danger rl-small rl-hidden")

            def take(raw: Any) -> None:
                fits = raw in (None, "") or low <= float(raw) <= high
                wrong.text = "" if fits else f"Must be between {low:g} and {high:g}."
                wrong.classes(remove="rl-hidden") if not fits else wrong.classes("rl-hidden")
                if fits:
                    put(None if raw in (None, "") else float(raw))

            entry = ui.number(
                value=value, placeholder=placeholder, on_change=lambda e: take(e.value)
            ).props("debounce=400 clearable")
            if suffix:
                entry.props["suffix"] = suffix
            entry.props["aria-label"] = title
            wrong.move(target_index=-1)
            parts.label(help_text, "rl-field-help")

    def _on_error(self) -> None:
        node = self._node
        with parts.div("rl-field"):
            parts.label("When it fails", "rl-field-title")
            select = ui.select(
                _WHEN_IT_FAILS, value=node.on_error, on_change=lambda e: self._failing(e.value)
            )
            select.props["aria-label"] = "When it fails"
            select.mark("on-error")
            self._room = parts.div("rl-col")
        if node.on_error == "fallback":
            self._fallback(dict(node.fallback or {}))

    def _failing(self, choice: str) -> None:
        self._room.clear()
        if choice == "fallback":
            found = dict(self._node.fallback or {})
            self._change(on_error={"fallback": found})
            self._fallback(found)
        else:
            self._change(on_error=choice)

    def _fallback(self, values: dict[str, Any]) -> None:
        """A JSON editor for each output port."""
        graph = self._node.graph
        if graph is None:
            return
        with self._room:
            for slot in port_data.output_slots(graph, self._registry, self._node.node_id):
                self._fallback_port(slot, values)

    def _fallback_port(self, slot: port_data.Slot, values: dict[str, Any]) -> None:
        types = self._registry.value_types()
        with parts.div("rl-form-card"):
            with parts.div("rl-row rl-gap-4"):
                parts.label(slot.name, "rl-mono rl-small")
                parts.label(slot.value_type.type_name, "rl-muted rl-small")
            wrong = parts.label("", "rl-danger rl-small rl-hidden")

            def take(raw: str) -> None:
                try:
                    value = slot.read(raw, types, values.get(slot.name))
                except UndecodableValue as error:
                    wrong.text = f"{error.message} {error.fix}".strip()
                    wrong.classes(remove="rl-hidden")
                    return
                wrong.classes("rl-hidden")
                if value is None:
                    values.pop(slot.name, None)
                else:
                    values[slot.name] = value
                self._change(on_error={"fallback": dict(values)})

            CodeEntry(
                _written(slot, values.get(slot.name)),
                f"Value of {slot.name} when it fails",
                lambda e: take(e.value or ""),
                rows=2,
                placeholder=slot.hint(),
            )
            wrong.move(target_index=-1)


def _written(slot: port_data.Slot, value: Any) -> str:
    try:
        return slot.write(value)
    except (TypeError, ValueError):
        return json.dumps(value, default=str)
