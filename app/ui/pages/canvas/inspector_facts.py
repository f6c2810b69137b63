"""What the inspector is told of a node, and what it can ask the page to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.engine.graph import Graph, NodeSpec
from app.engine.registry import Registry
from app.engine.values import PortValue
from app.engine.wiring import Wiring
from app.services.views import StepView
from app.services.workflows.names import code_names, names_of, template_names
from app.ui.run_state import RunState

#: Characters of one text that is offered for a comparison, and how many texts are.
_MAX_TEXTS = 30
_ITEM = re.compile(r"^(?P<outer>[^/\[]+)(?:\[(?P<item>[^\]]*)\])?/(?P<inner>.+)$")


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
    #: The node in its workflow, and the run that is shown; for what depends on other nodes.
    spec: NodeSpec | None = None
    graph: Graph | None = None
    run: RunState | None = None

    @property
    def attempts(self) -> int:
        """How often it was tried in the run that is shown."""
        times = getattr(self.run, "times", {}).get(self.node_id) if self.run else None
        return 1 + len(times.attempts) if times is not None else 1

    @property
    def fallback(self) -> dict[str, Any] | None:
        """Outputs to go on with when it fails, JSON data by port."""
        on_error = self.spec.on_error if self.spec else None
        found = on_error.get("fallback") if isinstance(on_error, dict) else None
        return dict(found) if isinstance(found, dict) else None

    def names(self, registry: Registry) -> dict[str, Any]:
        """Names that expressions of this node may use, with values of the last run or examples."""
        if self.graph is None:
            return {}
        wiring = Wiring(self.graph, registry)
        brought = {
            port: wiring.types.get((edges[0].source, edges[0].source_port), PortValue)
            for port, edges in wiring.wires.get(self.node_id, {}).items()
            if edges
        }
        return names_of(
            wiring.inputs(self.node_id),
            self.step.inputs if self.step else {},
            self.run.input_data if self.run else {},
            self.graph.extra.get("variables"),
            brought,
        )

    def template_names(self, registry: Registry) -> dict[str, Any]:
        """Names that templates of this node may use."""
        return template_names(self.type, self.names(registry))

    def code_names(self, registry: Registry) -> dict[str, Any]:
        """Names that settings which are expressions may use."""
        if self.graph is None:
            return {}
        outputs = Wiring(self.graph, registry).outputs(self.node_id)
        results = self.step.outputs if self.step else {}
        return code_names(self.type, self.names(registry), outputs, results)

    def inner_steps(self) -> dict[str, dict[str, StepView]]:
        """Item (“” where there is one only) -> inner node -> step, of steps inside this node."""
        steps = self.run.steps if self.run else {}
        return inner_steps(steps, self.node_id)

    def texts(self) -> dict[str, str]:
        """Texts of this run to compare with: those of this node's inputs come first."""
        found: dict[str, str] = {}
        if self.step is not None:
            _collect(found, f"{self.title}: input", self.step.inputs)
        for step in (self.run.steps if self.run else {}).values():
            if len(found) >= _MAX_TEXTS:
                break
            if step.node_id != self.node_id:
                _collect(found, step.name or step.node_id, step.outputs)
        return found


def inner_steps(steps: Mapping[str, StepView], node: str) -> dict[str, dict[str, StepView]]:
    """Steps inside a node: “map[3]/clean” is {"3": {"clean": …}}, “part/clean” {"": {…}}."""
    found: dict[str, dict[str, StepView]] = {}
    for name, step in steps.items():
        match = _ITEM.match(name)
        if match and match["outer"] == node:
            found.setdefault(match["item"] or "", {})[match["inner"]] = step

    def place(item: str) -> tuple[int, str]:
        return (int(item), "") if item.isdigit() else (-1, item)

    return dict(sorted(found.items(), key=lambda entry: place(entry[0])))


def _collect(found: dict[str, str], name: str, ports: Mapping[str, Any]) -> None:
    from app.ui.viewers.panel import text_of

    for port, value in ports.items():
        text = text_of(value)
        if text and len(found) < _MAX_TEXTS:
            found[f"{name} · {port}"] = text


@dataclass
class Actions:
    """What the inspector can ask the page to do; None where it is not offered."""

    set_config: Callable[[str, dict[str, Any]], Any]
    rename: Callable[[str, str], Any]
    run_to: Callable[[str], Any]
    set_policy: Callable[[str, dict[str, Any]], Any]
    set_disabled: Callable[[str, bool], Any] | None = None
    #: Pin what it put out last, or let it run again.
    toggle_pinned: Callable[[str], Any] | None = None
    #: Ask for outputs to use instead of running it.
    edit_outputs: Callable[[str], Any] | None = None
    #: Lead to another node.
    show_node: Callable[[str], Any] | None = None
    #: Put what is inside the selected node on the canvas in its place.
    expand: Callable[[], Any] | None = None
    #: Lead to a stored workflow.
    open_workflow: Callable[[str], Any] | None = None
