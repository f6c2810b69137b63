"""The inspector: settings, data and help of the selected node."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from nicegui import ui
from pydantic import BaseModel

from app.engine.body import WORKFLOW
from app.engine.registry import Registry
from app.engine.wiring import Wiring
from app.ui import parts
from app.ui.forms import Choices, SchemaForm, config_errors
from app.ui.forms.checks import is_expression
from app.ui.pages.canvas import inspector_data, inspector_help, inspector_policy
from app.ui.pages.canvas.inspector_facts import Actions, NodeFacts
from app.ui.typed import redraw

__all__ = ["Actions", "Inspector", "NodeFacts", "config_errors"]


@cache
def _schema(config: type[BaseModel]) -> dict[str, Any]:
    """The schema of a node's settings; making it takes milliseconds."""
    return config.model_json_schema()


def _policy(node: NodeFacts) -> dict[str, Any]:
    on_error: Any = node.spec.on_error if node.spec is not None else node.on_error
    return {
        "disabled": node.disabled,
        "pinned": node.pinned,
        "retries": node.retries,
        "timeout_s": node.timeout_s,
        "on_error": on_error,
    }


class Inspector:
    """Three tabs about one node; the page calls `show` whenever what it shows has changed."""

    def __init__(
        self,
        registry: Registry,
        actions: Actions,
        choices: Choices,
        draw_other: Callable[[], None],
    ) -> None:
        """`draw_other` draws what is shown while no single node is selected."""
        self._registry, self._actions, self._choices = registry, actions, choices
        self._node: NodeFacts | None = None
        self._form: SchemaForm | None = None
        self._read_only = False
        self._found: dict[str, list[str]] = {}
        #: The policies as the form shows them, and the ports of the help.
        self._policy_shown: dict[str, Any] = {}
        self._ports_shown: Any = None
        self._layout = "stacked"
        with parts.div("rl-panel-head"):
            self._icon = ui.icon("tune").classes("rl-node-icon")
            self._title = parts.label("Nothing selected", "rl-strong rl-ellipsis rl-grow")
            self._id = parts.label("", "rl-muted rl-small rl-mono rl-ellipsis")
            parts.icon_button("close", "Close the inspector").on(
                "click", js_handler="() => ragloom.panel('inspector', 'closed')"
            )
        with ui.tabs() as self._tabs:
            self._config_tab = ui.tab("Config")
            self._data_tab = ui.tab("Data")
            self._help_tab = ui.tab("Help")
        self._tabs.classes("rl-panel-tabs")
        with parts.div("rl-panel-room rl-grow").style("overflow: auto") as self._other:
            draw_other()  # It follows the workflow by itself: what is typed there keeps its place.
        panels = ui.tab_panels(self._tabs, value=self._config_tab, animated=False)
        with panels.classes("rl-panel-body"):
            with ui.tab_panel(self._config_tab):
                self._config = parts.div("rl-panel-room")
            with ui.tab_panel(self._data_tab):
                self._data = parts.div("rl-panel-room")
            with ui.tab_panel(self._help_tab):
                self._help = parts.div("rl-panel-room")
        self._panels = panels

    def open_data(self) -> None:
        """Bring the Data tab to the front."""
        self._panels.set_value("Data")

    def show(
        self,
        node: NodeFacts | None,
        *,
        read_only: bool = False,
        found_by: dict[str, list[str]] | None = None,
        heading: tuple[str, str] = ("", ""),
    ) -> None:
        """Show a node; only what differs from what is shown is built again.

        `heading` are words and icon over what is shown without one.
        """
        before = self._node
        same = (
            before is not None
            and node is not None
            and (before.node_id, before.type) == (node.node_id, node.type)
            and self._read_only == read_only
        )
        self._node, self._read_only, self._found = node, read_only, found_by or {}
        if node is None:
            self._empty(*heading)
            return
        self._head(node)
        if not same or before is None:
            self._build_config(node)
        else:
            self._update_config(before, node)
        if not same or before is None or _data_of(before) != _data_of(node):
            self._build_data(node)
        self._build_help(node)

    def _head(self, node: NodeFacts) -> None:
        cls = self._registry.get(node.type)
        self._switch(one_node=True)
        self._title.text, self._id.text = node.title, node.node_id
        self._icon.name = cls.icon if cls else "help_center"
        family = cls.family if cls else "outputs"
        self._icon.style(f"color: var(--rl-family-{family}, var(--rl-muted))")

    def _empty(self, title: str, icon: str) -> None:
        self._title.text, self._id.text = title, ""
        self._icon.name = icon
        self._icon.style("color: var(--rl-muted)")
        self._form = None
        self._ports_shown = None
        self._switch(one_node=False)

    def _switch(self, *, one_node: bool) -> None:
        for element, shown in (
            (self._tabs, one_node),
            (self._panels, one_node),
            (self._other, not one_node),
        ):
            element.classes(remove="rl-hidden") if shown else element.classes(add="rl-hidden")

    # ---- settings ----
    def _build_config(self, node: NodeFacts) -> None:
        self._config.clear()
        cls = self._registry.get(node.type)
        with self._config:
            self._problems = parts.div("rl-col")
            self._show_problems(node)
            self._policy_room = None
            if cls is None:
                self._form = None
                self._raw(node)
                return
            self._form = SchemaForm(
                _schema(cls.Config),
                node.config,
                lambda values: self._actions.set_config(node.node_id, values),
                choices=self._choices,
                check=lambda values: self._wrong(node.type, values),
                read_only=self._read_only,
                names=lambda: self._node.names(self._registry) if self._node else {},
                template_names=self._template_names,
                code_names=lambda: self._node.code_names(self._registry) if self._node else {},
                open_workflow=self._actions.open_workflow,
                expand=self._actions.expand if node.type == WORKFLOW else None,
            )
            if not self._read_only:
                self._policy_room = parts.div()
                self._build_policy()
                self._run_to(node)

    def _update_config(self, before: NodeFacts, node: NodeFacts) -> None:
        if self._form is not None and self._form.values != node.config:
            # An undo, or somebody else: only the fields that differ are built again.
            self._form.update(node.config)
        if before.problems != node.problems:
            self._show_problems(node)
            if self._form is not None:
                self._form.recheck()
        if self._policy_room is not None and _policy(node) != self._policy_shown:
            self._policy_shown = _policy(node)
            redraw(self._policy_room, self._build_policy)

    _policy_room: ui.element | None = None

    def _build_policy(self) -> None:
        room, node = self._policy_room, self._node
        if room is None or node is None:
            return
        self._policy_shown = _policy(node)

        def change(node_id: str, policy: dict[str, Any]) -> None:
            self._policy_shown = {**self._policy_shown, **policy}
            self._actions.set_policy(node_id, policy)

        actions = Actions(**{**vars(self._actions), "set_policy": change})
        room.clear()
        with room:
            inspector_policy.build(node, self._registry, actions)

    def _wrong(self, kind: str, values: dict[str, Any]) -> dict[str, str]:
        """Field -> what is wrong with it: by its type, and else by how the workflow hangs together."""
        found = config_errors(self._registry, kind, values)
        for problem in self._node.problems if self._node else ():
            field = _field_of(problem)
            # An expression tells its own problems while it is typed.
            if problem.severity == "error" and field in values and not is_expression(values[field]):
                found.setdefault(field, f"{problem.message} {problem.fix}".strip())
        return found

    def _template_names(self) -> dict[str, Any]:
        return self._node.template_names(self._registry) if self._node else {}

    def _show_problems(self, node: NodeFacts) -> None:
        """Above the form and apart from it: what is typed there keeps its place meanwhile."""
        self._problems.clear()
        cls = self._registry.get(node.type)
        own = set(cls.Config.model_fields) if cls is not None else set()
        with self._problems:
            for problem in node.problems:
                if problem.severity == "error" and _field_of(problem) in own & node.config.keys():
                    continue  # Said beside the field.
                with parts.notice(
                    "danger" if problem.severity == "error" else "warn",
                    problem.message,
                    problem.fix,
                ):
                    pass
        shown = bool(self._problems.default_slot.children)
        self._problems.classes(remove="rl-hidden") if shown else self._problems.classes("rl-hidden")

    def _raw(self, node: NodeFacts) -> None:
        with parts.notice(
            "warn",
            f"No node of the type “{node.type}” is installed here.",
            "Its settings are kept as they are; install the package it comes from to run it.",
        ):
            pass
        area = ui.textarea(value=json.dumps(node.config, indent=2, ensure_ascii=False))
        area.classes("rl-mono-field").props("readonly")

    def _run_to(self, node: NodeFacts) -> None:
        run = parts.quiet(
            "Run to here", lambda: self._actions.run_to(node.node_id), icon="play_arrow"
        )
        run.style("align-self: flex-start")

    # ---- data and help ----
    def _build_data(self, node: NodeFacts) -> None:
        self._data.clear()
        with self._data:
            if node.step is None:
                parts.label("Not run yet.", "rl-muted")
                if not self._read_only:
                    self._run_to(node)
                return
            inspector_data.build(
                node, self._actions, self._found, on_layout=self._lay_out, layout=self._layout
            )

    def _lay_out(self, layout: str) -> None:
        self._layout = layout
        if self._node is not None:
            self._build_data(self._node)

    def _build_help(self, node: NodeFacts) -> None:
        cls = self._registry.get(node.type)
        ports: Any = ({}, {})
        if cls is not None and node.graph is not None and node.node_id in node.graph.nodes:
            wiring = Wiring(node.graph, self._registry)
            ports = (wiring.inputs(node.node_id), wiring.outputs(node.node_id))
        elif cls is not None:
            ports = (cls.input_ports(), cls.output_ports())
        if self._ports_shown == (node.node_id, node.type, ports):
            return
        self._ports_shown = (node.node_id, node.type, ports)
        self._help.clear()
        with self._help:
            inspector_help.build(cls, node.type, ports)


def _field_of(problem: Any) -> str:
    """The setting a problem is about."""
    return str(problem.field or "").removeprefix("config.").partition(".")[0]


def _data_of(node: NodeFacts) -> tuple[Any, ...]:
    """What the Data tab shows, to see whether it has to be drawn again."""
    return (node.step, node.tokens, node.stale, node.attempts, len(node.inner_steps()))
