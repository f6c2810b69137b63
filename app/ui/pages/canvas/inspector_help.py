"""The Help tab: what a node does, its ports, its settings, and an example."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from nicegui import ui

from app.engine.node import Port
from app.engine.registry import AnyNode
from app.services.workflows.names import example_of
from app.ui import parts
from app.ui.forms.body import type_colour
from app.ui.forms.checks import short_value
from app.ui.schema import fields


def build(
    cls: AnyNode | None, kind: str, ports: tuple[Mapping[str, Port], Mapping[str, Port]]
) -> None:
    """Fill the tab; `ports` are the inputs and outputs with the node's settings."""
    if cls is None:
        parts.label("Nothing is known of this node here.", "rl-muted")
        return
    for paragraph in (inspect.getdoc(cls) or "").split("\n\n"):
        parts.label(" ".join(paragraph.split()).replace("`", ""), "rl-prose")
    for heading, named in zip(("Inputs", "Outputs"), ports, strict=True):
        if not named:
            continue
        parts.label(heading, "rl-strong rl-small")
        for port in named.values():
            _port(port, inputs=heading == "Inputs")
    _settings(cls)
    parts.label(f"{kind} · version {cls.version}", "rl-muted rl-small rl-mono")


def _port(port: Port, *, inputs: bool) -> None:
    with parts.div("rl-row rl-wrap"):
        ui.element("span").classes("rl-type-dot").style(type_colour(port.type_name))
        parts.label(port.name, "rl-mono rl-small")
        parts.label(port.type_name, "rl-muted rl-small")
        if inputs and not port.required:
            parts.label("optional", "rl-muted rl-small")
        if inputs and port.many:
            parts.label("any number of wires", "rl-muted rl-small")
        if not inputs and not port.required:
            parts.label("only on its branch", "rl-muted rl-small")
        help_text = port.help or port.value_type.type_help
        parts.label(help_text, "rl-muted rl-small").style("flex-basis: 100%")
        example = example_of(port.value_type)
        if example:
            with parts.tag("details", "", "rl-more-panel").style("flex-basis: 100%"):
                parts.tag("summary", "What is in it", "rl-small")
                written = json.dumps(example, ensure_ascii=False, indent=1)
                parts.tag("pre", written, "rl-example")


def _settings(cls: AnyNode) -> None:
    specs = fields(cls.Config.model_json_schema())
    if not specs:
        return
    parts.label("Settings", "rl-strong rl-small")
    with parts.tag("dl", "", "rl-facts rl-help-settings"):
        for spec in specs:
            parts.tag("dt", spec.title)
            default = "" if spec.default in (None, "", [], {}) else short_value(spec.default, 40)
            words = [spec.description, f"Default: {default}." if default else ""]
            parts.tag("dd", " ".join(word for word in words if word))
    parts.label("Example", "rl-strong rl-small")
    parts.tag(
        "pre",
        json.dumps({"type": cls.type, "config": _example(specs)}, ensure_ascii=False, indent=1),
        "rl-example",
    )


def _example(specs: list[Any]) -> dict[str, Any]:
    """The settings one would look at first, as they are by default."""
    told = [s for s in specs if s.default not in (None, "", [], {})] or specs
    return {
        spec.name: spec.default if not isinstance(spec.default, str) else spec.default[:80]
        for spec in told[:6]
    }
