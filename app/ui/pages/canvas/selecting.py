"""The selected node on the canvas page: what the inspector shows of it, and its settings."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from app.ui.canvas.flow import Selection
from app.ui.canvas.ops import Rename, SetConfig, SetPolicy
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.inspector import NodeFacts
from app.ui.pages.canvas.overview import Overview
from app.ui.pages.canvas.several import Several, is_several

#: What the inspector says while nothing is selected.
WORKFLOW = ("Workflow", "account_tree")


class Selecting:
    """Keeps the inspector at what is selected."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._overview: Overview | None = None
        self._several: Several | None = None
        bench.refresh = self.refresh

    def selected(self, selection: Selection) -> None:
        """Show the selected node in the inspector."""
        bench = self._bench
        bench.chosen = selection.nodes
        bench.node = selection.nodes[0] if len(selection.nodes) == 1 else None
        self.refresh()
        # Several are acted on where they are: for them the panel neither opens nor closes.
        if len(selection.nodes) < 2:
            shown = "true" if selection.nodes else "false"
            ui.run_javascript(f"ragloom.reveal('inspector', {shown})")

    def refresh(self) -> None:
        """Draw the selected node again."""
        bench = self._bench
        several = bench.node is None and is_several(bench.canvas.selection)
        with bench.root:
            bench.inspector.show(
                self._facts(),
                read_only=bench.read_only,
                found_by=bench.run.found_by(),
                heading=self._several.heading() if several and self._several else WORKFLOW,
            )
            if self._overview is not None and self._several is not None:
                self._overview.update(shown=not several)
                self._several.update(shown=several)

    def _facts(self) -> NodeFacts | None:
        bench = self._bench
        spec = bench.editor.graph.nodes.get(bench.node) if bench.node else None
        if spec is None:
            return None
        step = bench.step(spec.id)
        return NodeFacts(
            node_id=spec.id,
            type=spec.type,
            title=bench.title(spec.id),
            config=spec.config,
            disabled=spec.disabled,
            pinned=spec.pinned is not None,
            retries=spec.retries,
            timeout_s=spec.timeout_s,
            on_error=spec.on_error if isinstance(spec.on_error, str) else "fallback",
            problems=[p for p in bench.editor.problems if p.node == spec.id],
            step=step.model_copy() if step else None,
            tokens=bench.run.tokens.get(spec.id, ""),
            stale=spec.id in bench.stale,
            spec=spec,
            graph=bench.editor.graph,
            run=bench.run,
        )

    def set_config(self, node: str, config: dict[str, Any]) -> None:
        """Write a node's settings."""
        self._bench.apply(SetConfig(node=node, config=config))

    def rename(self, node: str, title: str) -> None:
        """Give a node a title."""
        self._bench.apply(Rename(node=node, title=title))

    def set_policy(self, node: str, policy: dict[str, Any]) -> None:
        """Change how a node is run."""
        self._bench.apply(SetPolicy(node=node, **policy))

    def draw(self) -> None:
        """Draw what the inspector shows while no single node is selected."""
        self._overview = Overview(self._bench)
        self._several = Several(self._bench)
