"""Data of single nodes on the canvas page: outputs that are pinned, edited and taken along."""

from __future__ import annotations

from app.ui.canvas.ops import SetPolicy
from app.ui.pages.bench import Bench


class NodeData:
    """Pins outputs of the run that is shown."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def toggle_pinned(self, node: str) -> None:
        """Pin what a node put out last, or let it run again."""
        bench = self._bench
        spec = bench.editor.graph.nodes[node]
        step = bench.run.steps.get(node)
        if spec.pinned is not None:
            bench.apply(SetPolicy(node=node, pinned=None))
        elif step is not None and step.status == "completed" and not step.truncated:
            bench.apply(SetPolicy(node=node, pinned=step.outputs))
        else:
            bench.canvas.refuse("Run this node once; its output can be pinned then.")
