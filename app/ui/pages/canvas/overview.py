"""What a workflow is as a whole: the inspector while nothing is selected."""

from __future__ import annotations

from nicegui import ui

from app.ui import parts
from app.ui.canvas.ops import SetInfo
from app.ui.pages.canvas.bench import Bench
from app.ui.pages.canvas.variables import VariableList


class Overview:
    """Description, results, variables and the first keys; `update` follows the graph."""

    def __init__(self, bench: Bench) -> None:
        """Draw it where the page is at."""
        self._bench = bench
        graph = bench.editor.graph
        with parts.div("rl-overview") as self._element:
            self._note = ui.textarea(
                value=graph.description,
                placeholder="What this workflow is for",
                on_change=lambda e: self._describe(e.value or ""),
            ).props("debounce=400 autogrow")
            self._note.props["aria-label"] = "Description"
            if bench.read_only:
                self._note.props("readonly")
            with parts.div("rl-col rl-gap-4"):
                parts.label("Results", "rl-strong rl-small")
                self._results = parts.div("rl-col rl-gap-4")
            self._variables = VariableList(bench)
            if not bench.read_only:
                self._keys()
        self._shown: list[tuple[str, str, str]] | None = None
        self._show_results()

    def update(self, *, shown: bool) -> None:
        """Show what an edit, an undo or somebody else changed, or nothing."""
        if not shown:
            self._element.classes("rl-hidden")
            return
        self._element.classes(remove="rl-hidden")
        if self._note.value != self._bench.editor.graph.description:
            self._note.value = self._bench.editor.graph.description
        self._show_results()
        self._variables.update()

    def _describe(self, text: str) -> None:
        if text != self._bench.editor.graph.description:
            self._bench.apply(SetInfo(description=text))

    def _show_results(self) -> None:
        bench = self._bench
        outputs = bench.editor.graph.named_outputs(bench.services.registry)
        rows = [(name, node, f"{bench.title(node)} · {p}") for name, (node, p) in outputs.items()]
        if rows == self._shown:
            return
        self._shown = rows
        self._results.clear()
        with self._results:
            for name, node, words in rows:
                row = parts.tag("button", "", "rl-end")
                with row.on("click", lambda node=node: bench.show_node(node)):
                    parts.tag("span", name, "rl-mono rl-small")
                    parts.tag("span", "from", "rl-muted rl-small")
                    parts.tag("span", words, "rl-small rl-ellipsis")
            if not rows:
                parts.label("Nothing comes out yet.", "rl-muted rl-small")

    @staticmethod
    def _keys() -> None:
        keys = (("Add a node", "Tab"), ("Run", "Ctrl Enter"), ("Undo", "Ctrl Z"), ("All keys", "?"))
        with parts.div("rl-keys"):
            for what, key in keys:
                parts.tag("span", what, "rl-muted")
                parts.tag("kbd", key)
