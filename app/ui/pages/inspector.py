"""The inspector: settings, data and help of the selected node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from app.engine.registry import Registry
from app.services.views import StepView
from app.ui import parts, text, viewers
from app.ui.forms import Choices, SchemaForm


@dataclass
class NodeFacts:
    """What the inspector shows of a node."""

    node_id: str
    type: str
    title: str
    config: dict[str, Any]
    disabled: bool = False
    pinned: bool = False
    retries: int = 0
    timeout_s: float | None = None
    on_error: str = "fail"
    problems: list[Any] = field(default_factory=list)
    step: StepView | None = None
    tokens: str = ""
    stale: bool = False


@dataclass
class Actions:
    """What the inspector can ask the page to do; None where it is read-only."""

    set_config: Callable[[str, dict[str, Any]], Any]
    rename: Callable[[str, str], Any]
    run_to: Callable[[str], Any]
    set_policy: Callable[[str, dict[str, Any]], Any]


def config_errors(registry: Registry, kind: str, values: dict[str, Any]) -> dict[str, str]:
    """Field -> what is wrong with its value."""
    cls = registry.get(kind)
    if cls is None:
        return {}
    try:
        cls.Config.model_validate(values)
    except ValidationError as error:
        found: dict[str, str] = {}
        for one in error.errors():
            name = str(one["loc"][0]) if one["loc"] else ""
            found.setdefault(name, one["msg"].removeprefix("Value error, ") + ".")
        return found
    return {}


class Inspector:
    """Three tabs about one node; the page calls `show` whenever what it shows has changed."""

    def __init__(
        self,
        registry: Registry,
        actions: Actions,
        choices: Choices,
        overview: Callable[[], None],
    ) -> None:
        """`overview` draws what is shown while no single node is selected."""
        self._registry, self._actions, self._choices = registry, actions, choices
        self._overview = overview
        self._node: NodeFacts | None = None
        self._form: SchemaForm | None = None
        self._read_only = False
        self._found: dict[str, list[str]] = {}
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
        self._about = parts.div("rl-panel-room rl-grow").style("overflow: auto")
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
    ) -> None:
        """Show a node; only what differs from what is shown is built again."""
        before = self._node
        same = before is not None and node is not None and before.node_id == node.node_id
        same = same and before.type == node.type and self._read_only == read_only  # type: ignore[union-attr]
        self._node, self._read_only, self._found = node, read_only, found_by or {}
        if node is None:
            self._empty()
            return
        cls = self._registry.get(node.type)
        self._switch(one_node=True)
        self._title.text = node.title
        self._id.text = node.node_id
        self._icon.name = cls.icon if cls else "help_center"
        family = cls.family if cls else "outputs"
        self._icon.style(f"color: var(--rl-family-{family}, var(--rl-muted))")
        typed = same and self._form is not None and self._form.values == node.config
        if not typed:
            self._build_config(node)
        elif before and before.problems != node.problems:
            self._show_problems(node)
        if (
            not same
            or before is None
            or before.step != node.step
            or before.tokens != node.tokens
            or before.stale != node.stale
        ):
            self._build_data(node)
        if not same:
            self._build_help(node)

    def _empty(self) -> None:
        self._title.text, self._id.text = "Workflow", ""
        self._icon.name = "account_tree"
        self._icon.style("color: var(--rl-muted)")
        self._form = None
        self._switch(one_node=False)
        self._about.clear()
        with self._about:
            self._overview()

    def _switch(self, *, one_node: bool) -> None:
        for element, shown in (
            (self._tabs, one_node),
            (self._panels, one_node),
            (self._about, not one_node),
        ):
            element.classes(remove="rl-hidden") if shown else element.classes(add="rl-hidden")

    def _build_config(self, node: NodeFacts) -> None:
        self._config.clear()
        cls = self._registry.get(node.type)
        with self._config:
            self._problems = parts.div("rl-col")
            self._show_problems(node)
            if cls is None:
                self._form = None
                self._raw(node)
                return
            self._form = SchemaForm(
                cls.Config.model_json_schema(),
                node.config,
                lambda values: self._actions.set_config(node.node_id, values),
                choices=self._choices,
                check=lambda values: config_errors(self._registry, node.type, values),
                read_only=self._read_only,
            )
            if not self._read_only:
                self._policy(node)
                self._run_to(node)

    def _show_problems(self, node: NodeFacts) -> None:
        """Above the form and apart from it: what is typed there keeps its place meanwhile."""
        self._problems.clear()
        with self._problems:
            for problem in node.problems:
                with parts.notice(
                    "danger" if problem.severity == "error" else "warn",
                    problem.message,
                    problem.fix,
                ):
                    pass

    def _policy(self, node: NodeFacts) -> None:
        """How it is run: time limit, retries, what a failure does."""

        def change(**policy: Any) -> None:
            self._actions.set_policy(node.node_id, policy)

        cls = self._registry.get(node.type)
        with parts.tag("details", "", "rl-more-panel"):
            parts.tag("summary", "When it runs")
            with parts.div("rl-form"):
                with parts.div("rl-field"):
                    parts.label("Time limit (seconds)", "rl-field-title")
                    limit = ui.number(
                        value=node.timeout_s,
                        min=1,
                        placeholder=f"{cls.timeout_s:g}" if cls else None,
                        on_change=lambda e: change(timeout_s=e.value or None),
                    ).props("debounce=400 clearable")
                    limit.props["aria-label"] = "Time limit in seconds"
                with parts.div("rl-field"):
                    parts.label("Retries", "rl-field-title")
                    retries = ui.number(
                        value=node.retries,
                        min=0,
                        max=10,
                        step=1,
                        on_change=lambda e: change(retries=int(e.value or 0)),
                    ).props("debounce=400")
                    retries.props["aria-label"] = "Retries"
                if node.on_error in ("fail", "skip"):
                    with parts.div("rl-field"):
                        parts.label("When it fails", "rl-field-title")
                        ui.toggle(
                            {"fail": "Fail the run", "skip": "Skip its branch"},
                            value=node.on_error,
                            on_change=lambda e: change(on_error=e.value),
                        ).props(parts.SEGMENTS + " spread").classes("rl-segments")

    def _raw(self, node: NodeFacts) -> None:
        with parts.notice(
            "warn",
            f"No node of the type “{node.type}” is installed here.",
            "Its settings are kept as they are; install the package it comes from to run it.",
        ):
            pass
        area = ui.textarea(value=json.dumps(node.config, indent=2, ensure_ascii=False))
        area.classes("rl-mono-field").props("readonly")

    def _build_data(self, node: NodeFacts) -> None:
        self._data.clear()
        with self._data:
            if node.step is None:
                parts.label("Not run yet.", "rl-muted")
                if not self._read_only:
                    self._run_to(node)
                return
            self._step(node, node.step)

    def _step(self, node: NodeFacts, step: StepView) -> None:
        with parts.div("rl-row rl-wrap"):
            _state(step)
            if step.duration_ms is not None:
                parts.label(text.duration(step.duration_ms), "rl-small")
            if node.stale:
                parts.badge("Settings changed since", "warn", "history")
        if step.reason:
            parts.label(_sentence(step.reason), "rl-muted rl-small")
        if step.error:
            parts.error_notice(step.error)
        if step.truncated:
            with parts.notice("accent", "Large values were cut when this run was stored."):
                pass
        if step.status == "running" and node.tokens:
            parts.label(node.tokens, "rl-pre rl-prose")
        for heading, ports in (("Output", step.outputs), ("Input", step.inputs)):
            for port, value in ports.items():
                self._port(heading, port, value)

    def _run_to(self, node: NodeFacts) -> None:
        run = parts.quiet(
            "Run to here", lambda: self._actions.run_to(node.node_id), icon="play_arrow"
        )
        run.style("align-self: flex-start")

    def _port(self, heading: str, port: str, value: Any) -> None:
        with parts.div("rl-port"):
            with parts.div("rl-row rl-port-head"):
                parts.label(heading, "rl-muted rl-small")
                parts.label(port, "rl-mono rl-small rl-grow")
                parts.icon_button("content_copy", "Copy as JSON", lambda: _copy(value))
            viewers.show(value, self._found)

    def _build_help(self, node: NodeFacts) -> None:
        import inspect

        self._help.clear()
        cls = self._registry.get(node.type)
        with self._help:
            if cls is None:
                parts.label("Nothing is known of this node here.", "rl-muted")
                return
            for paragraph in (inspect.getdoc(cls) or "").split("\n\n"):
                parts.label(" ".join(paragraph.split()), "rl-prose")
            for heading, ports in (("Inputs", cls.input_ports()), ("Outputs", cls.output_ports())):
                if not ports:
                    continue
                parts.label(heading, "rl-strong rl-small")
                for port in ports.values():
                    with parts.div("rl-row rl-wrap"):
                        ui.element("span").classes("rl-type-dot").style(
                            f"background: var(--rl-type-{port.type_name}, var(--rl-type-Any))"
                        )
                        parts.label(port.name, "rl-mono rl-small")
                        parts.label(port.type_name, "rl-muted rl-small")
                        if heading == "Inputs" and not port.required:
                            parts.label("optional", "rl-muted rl-small")
                        help_text = getattr(port, "help", "") or port.value_type.type_help
                        parts.label(help_text, "rl-muted rl-small").style("flex-basis: 100%")
            parts.label(f"{node.type} · version {cls.version}", "rl-muted rl-small rl-mono")


def _copy(value: Any) -> None:
    ui.clipboard.write(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    parts.toast("Copied.")


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:]


def _state(step: StepView) -> None:
    if step.status == "completed":
        if step.cached:
            parts.badge("Reused", "accent", "bolt")
        else:
            parts.badge("Done", "ok", "check")
    else:
        tone = {"failed": "danger", "running": "accent", "cancelled": "warn"}.get(step.status, "")
        icon = {"failed": "error_outline", "running": "sync", "cancelled": "stop"}.get(
            step.status, "redo"
        )
        parts.badge(step.status.capitalize(), tone, icon)
