"""The workflow inside a node: a stored one at a fixed revision, or a part of this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from app.engine.body import steps_inside
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.forms.base import Slot, WorkflowFacts
from app.ui.forms.pickers import fill_workflows, pick
from app.ui.schema import FieldSpec


def build(slot: Slot) -> ui.element:
    """The field of a setting that holds a body."""
    return BodyField(slot).element


class BodyField:
    """Chooses a stored workflow, pins its revision, and shows what goes in and comes out."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.value: dict[str, Any] = dict(slot.value) if isinstance(slot.value, Mapping) else {}
        self.element = parts.div("rl-col")
        self._draw()

    @property
    def embedded(self) -> bool:
        """Whether the body lies in this workflow."""
        return isinstance(self.value.get("graph"), Mapping)

    def _draw(self) -> None:
        self.element.clear()
        with self.element:
            if self.embedded:
                self._embedded()
            else:
                self._stored()
            _interface(self.value.get("interface"))

    def _embedded(self) -> None:
        graph = self.value.get("graph")
        count = steps_inside(graph) if isinstance(graph, Mapping) else 0
        with parts.div("rl-form-card"):
            with parts.div("rl-row"):
                ui.icon("account_tree").classes("rl-muted").style("font-size: 18px")
                parts.label(f"A part of this workflow: {text.count(count, 'node')}", "rl-grow")
            form = self._slot.form
            if form.read_only:
                return
            parts.label("To change what is inside it:", "rl-muted rl-small")
            with parts.div("rl-row rl-wrap"):
                if form.expand is not None:
                    parts.quiet("Expand it here", form.expand, icon="unfold_more")
                if form.choices.keep_workflow is not None:
                    self._keeper = parts.quiet(
                        "Make it a workflow of its own", self._keep, icon="call_split"
                    ).mark("body-keep")
            parts.tag("button", "Use another workflow instead", "rl-more").on("click", self._swap)

    async def _keep(self) -> None:
        """What is inside becomes a stored workflow, which the node runs from now on."""
        keep, graph = self._slot.form.choices.keep_workflow, self.value.get("graph")
        if keep is None or not isinstance(graph, Mapping) or not self._keeper.enabled:
            return
        self._keeper.disable()  # a second click would store a second one
        with Expecting() as met:
            facts = await self._facts(await keep(graph), None)
            if facts is not None:
                self._pin(facts)
        if not self._keeper.is_deleted:
            self._keeper.enable()
        if met.error:
            parts.failed(met.error)

    def _swap(self) -> None:
        self.value = {"graph": None, "workflow": "", "revision": None, "interface": {}}
        self._draw()

    def _stored(self) -> None:
        form = self._slot.form
        spec = FieldSpec("workflow", "workflow", "Workflow", optional=True)
        chosen = str(self.value.get("workflow") or "")
        inner = Slot(spec, chosen or None, lambda value: None, form)
        select = pick(inner, {}, free=False, hint="Choose a workflow")
        select.mark("body-workflow")
        fill_workflows(select, inner)
        select.on_value_change(lambda e: self._choose(str(e.value or "")))
        self._state = parts.div("rl-row rl-wrap")
        if chosen:
            ui.timer(0.01, self._show_state, once=True)

    async def _choose(self, workflow: str) -> None:
        if workflow == str(self.value.get("workflow") or ""):
            return
        if not workflow:
            self._store({"graph": None, "workflow": "", "revision": None, "interface": _EMPTY})
            return
        facts = await self._facts(workflow, None)
        if facts is not None:
            self._pin(facts)

    def _pin(self, facts: WorkflowFacts) -> None:
        self._store(
            {
                "graph": None,
                "workflow": facts.workflow_id,
                "revision": facts.revision,
                "interface": facts.interface,
            }
        )

    def _store(self, changes: dict[str, Any]) -> None:
        self.value = {**self.value, **changes}
        self._slot.put(dict(self.value))
        self._draw()

    async def _facts(self, workflow: str, revision: int | None) -> WorkflowFacts | None:
        read = self._slot.form.choices.workflow
        if read is None:
            return None
        with Expecting("not_found"):
            return await read(workflow, revision)
        return None

    async def _show_state(self) -> None:
        workflow, revision = str(self.value.get("workflow") or ""), self.value.get("revision")
        facts = await self._facts(workflow, revision if isinstance(revision, int) else None)
        if self._state.is_deleted:
            return
        self._state.clear()
        with self._state:
            if facts is None:
                parts.label(
                    "This workflow, or this version of it, is not here any more. Choose another.",
                    "rl-danger rl-small",
                )
                return
            parts.badge(f"Version {facts.revision}", "", "push_pin")
            if facts.newest > facts.revision:
                update = parts.quiet(
                    f"Update to {facts.newest}", lambda: self._update(workflow), icon="upgrade"
                )
                update.mark("body-update").set_enabled(not self._slot.form.read_only)
            else:
                parts.label("the newest", "rl-muted rl-small")
            lead = self._slot.form.open_workflow
            if lead is not None:
                parts.bare("Open", lambda: lead(workflow), icon="open_in_new")

    async def _update(self, workflow: str) -> None:
        facts = await self._facts(workflow, None)
        if facts is not None:
            self._pin(facts)


_EMPTY: dict[str, Any] = {"inputs": [], "outputs": []}


def _interface(interface: Any) -> None:
    if not isinstance(interface, Mapping):
        return
    for heading, side in (("Takes", "inputs"), ("Gives", "outputs")):
        ports = interface.get(side)
        if not isinstance(ports, list) or not ports:
            continue
        with parts.div("rl-row rl-wrap"):
            parts.label(heading, "rl-muted rl-small")
            for port in ports[:40]:
                if isinstance(port, Mapping):
                    with parts.div("rl-row rl-gap-4"):
                        kind = str(port.get("type") or "Any")
                        ui.element("span").classes("rl-type-dot").style(type_colour(kind))
                        parts.label(str(port.get("name", "")), "rl-mono rl-small")
                        parts.label(kind, "rl-muted rl-small")


def type_colour(kind: str) -> str:
    """Style of the dot of a port type; names of strangers never reach the style sheet."""
    known = kind if kind.isidentifier() and kind.isascii() else "Any"
    return f"background: var(--rl-type-{known}, var(--rl-type-Any))"
