"""The Data tab: what went in and came out, how it went, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nicegui import ui

from app.services.views import StepView
from app.ui import parts, text
from app.ui.pages.canvas.inspector_facts import Actions, NodeFacts
from app.ui.viewers import PortPanel, View, usage
from app.ui.viewers.items import Stepper

#: Ports of one side that are shown; the rest is counted.
_MOST_PORTS = 30


def build(
    node: NodeFacts,
    actions: Actions,
    found_by: dict[str, list[str]],
    *,
    on_layout: Callable[[str], Any],
    layout: str,
) -> None:
    """Fill the tab for a node that ran or runs."""
    step = node.step
    if step is None:
        return
    with parts.div("rl-row rl-wrap"):
        state(step)
        if step.duration_ms is not None:
            parts.label(text.duration(step.duration_ms), "rl-small")
        if node.attempts > 1:
            parts.badge(f"Attempt {node.attempts}", "warn", "replay")
        if node.stale:
            parts.badge("Settings changed since", "warn", "history")
        parts.div("rl-grow")
        if step.inputs and step.outputs:
            toggle = ui.toggle(
                {"stacked": "Stacked", "beside": "Side by side"}, value=layout,
                on_change=lambda e: on_layout(e.value),
            )  # fmt: skip
            toggle.props(parts.SEGMENTS).classes("rl-segments rl-layout-toggle")
    if step.reason:
        why = "Reused because" if step.cached else "Ran because" if _ran(step) else "Why"
        parts.label(f"{why}: {step.reason}", "rl-muted rl-small")
    usage(getattr(step, "usage", None), getattr(step, "saved", None))
    if step.error:
        _error(step.error, node, actions)
    if step.truncated:
        with parts.notice("accent", "Large values were cut when this run was stored."):
            pass
    if step.status == "running" and node.tokens:
        parts.label(node.tokens, "rl-pre rl-prose")
    ports(node, step, actions, found_by, layout)
    _inside(node, actions, found_by)


def ports(
    node: NodeFacts,
    step: StepView,
    actions: Actions,
    found_by: dict[str, list[str]],
    layout: str = "stacked",
) -> None:
    """Outputs and inputs of a step."""
    before = incoming_chunks(step.inputs)
    sides: Sequence[tuple[str, Mapping[str, Any]]] = (
        ("Output", step.outputs),
        ("Input", step.inputs),
    )
    if layout == "beside":
        sides = tuple(reversed(sides))
    with parts.div("rl-sides" + (" rl-beside" if layout == "beside" else "")):
        for heading, values in sides:
            if not values:
                continue
            with parts.div("rl-col rl-side"):
                for port, value in list(values.items())[:_MOST_PORTS]:
                    view = View(
                        found_by=found_by,
                        texts=node.texts,
                        before=before if heading == "Output" else (),
                        before_name="what came in" if heading == "Output" and before else "",
                        on_node=actions.show_node,
                        path=port,
                    )
                    PortPanel(heading, port, value, view)
                if len(values) > _MOST_PORTS:
                    parts.label(f"and {len(values) - _MOST_PORTS} more", "rl-muted rl-small")


def incoming_chunks(inputs: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The passages that came into a step, where exactly one input brought some."""
    found = []
    for value in inputs.values():
        for one in value if isinstance(value, list) else [value]:
            items = one.get("items") if isinstance(one, Mapping) else None
            fitting = [c for c in items or () if isinstance(c, Mapping) and "chunk_id" in c]
            if fitting:
                found.append(fitting)
    return found[0] if len(found) == 1 else ()


def _ran(step: StepView) -> bool:
    return step.status in ("completed", "failed", "running")


def _error(error: Mapping[str, Any], node: NodeFacts, actions: Actions) -> None:
    title, hint = parts.error_words(dict(error))
    with parts.notice("danger", title, hint):
        tried = f"Tried {text.count(node.attempts, 'time')}." if node.attempts > 1 else ""
        if tried:
            parts.label(tried, "rl-muted rl-small")
        expected = error.get("expected")
        if error.get("found") is not None:
            parts.label(f"Found: {text_of(error['found'])}", "rl-muted rl-small")
        if expected not in (None, "", []):
            parts.label(f"Expected: {text_of(expected)}", "rl-muted rl-small")
        other = error.get("node")
        lead = actions.show_node
        if other and other != node.node_id and lead is not None:
            parts.quiet("Show the node", lambda: lead(str(other)), icon="my_location")


def text_of(value: Any) -> str:
    """A found or expected value in one line."""
    from app.ui.forms.checks import short_value

    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(str(v) for v in value[:20])
    return short_value(value, 200)


def _inside(node: NodeFacts, actions: Actions, found_by: dict[str, list[str]]) -> None:
    """Steps that ran inside this node: an item to choose where there are several."""
    steps = node.inner_steps()
    if not steps:
        return
    names = list(steps)
    with parts.tag("details", "", "rl-more-panel").mark("inner-steps") as details:
        count = sum(len(inner) for inner in steps.values())
        what = f"{text.count(count, 'step')} inside"
        if len(names) > 1:
            failed = [n for n in names if any(s.status == "failed" for s in steps[n].values())]
            what += f", {text.count(len(names), 'item')}"
            what += f", {len(failed)} failed" if failed else ""
        parts.tag("summary", what)
        with parts.div("rl-col"):
            chooser, shown = parts.div(), parts.div("rl-col")

    def show(at: int) -> None:
        shown.clear()
        with shown:
            for inner, step in steps[names[at]].items():
                _inner(node, inner, step, actions, found_by)

    filled: list[bool] = []

    def fill() -> None:
        if filled:
            return
        filled.append(True)
        if len(names) > 1:
            with chooser:
                Stepper(len(names), show)
        show(0)

    details.on("toggle", fill, [])


def _inner(
    node: NodeFacts, inner: str, step: StepView, actions: Actions, found_by: dict[str, list[str]]
) -> None:
    with parts.tag("details", "", "rl-form-card") as card:
        with parts.tag("summary", "", "rl-row rl-wrap"):
            parts.label(step.name or inner, "rl-strong rl-small")
            parts.label(inner, "rl-muted rl-mono rl-small rl-ellipsis rl-grow")
            state(step)
            if step.duration_ms is not None:
                parts.label(text.duration(step.duration_ms), "rl-small rl-muted")
        room = parts.div("rl-col")
    filled: list[bool] = []

    def fill() -> None:
        if filled:
            return
        filled.append(True)
        with room:
            if step.reason:
                parts.label(step.reason, "rl-muted rl-small")
            if step.error:
                parts.error_notice(step.error)
            ports(node, step, actions, found_by)

    card.on("toggle", fill, [])


def state(step: StepView) -> None:
    """The status of a step in a word and a tone."""
    if step.status == "completed":
        if step.cached:
            parts.badge("Reused", "accent", "bolt")
        else:
            parts.badge("Done", "ok", "check")
        return
    tone = {"failed": "danger", "running": "accent", "waiting": "accent", "cancelled": "warn"}
    icon = {
        "failed": "error_outline",
        "running": "sync",
        "waiting": "front_hand",
        "cancelled": "stop",
    }
    parts.badge(step.status.capitalize(), tone.get(step.status, ""), icon.get(step.status, "redo"))
