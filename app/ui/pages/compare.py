"""Two runs side by side: where they part, and how each step differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from nicegui import ui

from app.engine.graph import Graph
from app.services.container import Services
from app.services.runs.compare import NodeComparison, RunComparison, RunFacts, StepFacts
from app.services.threads import call
from app.services.views import ExecutionView
from app.services.workflows.diff import union
from app.ui import differences, parts, text, viewers
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas, Selection
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.canvas.run_list import TRIGGERS, compare_href, run_href
from app.ui.pages.common import answered, asked, missing, run_badge

_SIDES = ("First run", "Second run")
_ORDER = ("config", "input", "output", "missing", "same")


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/compare", response_timeout=60)
    async def compare_page(a: str = "", b: str = "") -> None:
        services = get_services()
        if not (a and b):
            with (
                frame(services, "Runs", [Crumb("Compare")]),
                parts.empty("compare_arrows", "Which runs?", "Tick two runs in the list."),
            ):
                parts.primary("Choose two runs", lambda: ui.navigate.to("/runs"))
            return
        with Expecting("not_found") as met:
            runs = [await services.runs.get(run) for run in (a, b)]
            found = await services.compare.compare(a, b)
        if met.error:
            missing(services, "Runs", met.error)
            return
        with frame(services, "Runs", [Crumb("Compare")], full=True):
            differences.head()
            await Comparison(services, runs, found).build()


class Comparison:
    """The canvas with the state of every node, and the node that is looked at."""

    def __init__(self, services: Services, runs: list[ExecutionView], found: RunComparison) -> None:
        self._services, self._found = services, found
        self._a, self._b = runs
        self._details = {detail.node_id: detail for detail in found.details}
        self._chosen = ""
        self._rows: dict[str, ui.element] = {}

    async def build(self) -> None:
        """Fill the page; the first difference is shown at once."""
        graphs = [Graph.parse(run.graph) if run.graph else Graph() for run in (self._a, self._b)]
        both = await call(union, *graphs)
        with parts.div("rl-cmp"):
            with parts.div("rl-cmp-top"):
                self._run(self._found.a, self._a, "1")
                parts.icon_button("swap_horiz", "Swap the two", self._swap)
                self._run(self._found.b, self._b, "2")
                with parts.div("rl-cmp-said rl-row rl-wrap").mark("verdict"):
                    self._verdict()
            with parts.div("rl-cmp-stage"):
                with parts.div("rl-legend").props('role="note"'):
                    counts = Counter[str](self._found.nodes.values())
                    differences.legend({s: counts[s] for s in _ORDER if counts[s]})
                with parts.div("rl-hist-stage"):
                    self._canvas = FlowCanvas(
                        GraphEditor(both, self._services.registry),
                        read_only=True,
                        on_selection=self._selected,
                    ).classes("rl-hist-canvas")
            with ui.element("aside").classes("rl-cmp-side").props('aria-label="Differences"'):
                with parts.div("rl-node-list"):
                    self._nodes()
                self._panel = parts.div("rl-col").style("gap: 12px").mark("node-differences")
        marks = self._found.graph.marks()["edges"]
        on_canvas = {id_: s for id_, s in self._found.nodes.items() if id_ in both.nodes}
        self._canvas.set_marks({"nodes": on_canvas, "edges": marks})
        first = self._found.first_difference
        if first is not None:
            await self.choose(first.node_id)
            # The canvas draws the graph when the browser has mounted it: it is pointed at then.
            self._canvas.on("ready", partial(self._point, first.node_id))
        else:
            with self._panel:
                parts.label("Choose a node to see what came out of it.", "rl-muted")

    def _point(self, node_id: str) -> None:
        ui.timer(0.6, lambda: self._canvas.select([node_id]), once=True)

    # ---- the whole ----
    def _run(self, facts: RunFacts, run: ExecutionView, number: str) -> None:
        with parts.div("rl-cmp-run"):
            with parts.div("rl-row rl-wrap"):
                parts.tag("span", number, "rl-letter")
                run_badge(facts.status)
                revision = f" · version {facts.revision}" if facts.revision else ""
                with parts.link(run_href(run), "rl-ellipsis rl-grow"):
                    parts.tag("span", f"{facts.workflow_name or 'Unsaved workflow'}{revision}")
                words = f"from {TRIGGERS.get(facts.trigger, facts.trigger)}"
                took = text.duration(facts.duration_ms)
                parts.label(" · ".join(w for w in (words, took) if w), "rl-muted rl-small")
                parts.moment(facts.started_at)
            parts.label(asked(run.input_data) or "Run without a question", "rl-ellipsis")
            parts.label(answered(run)[:300] or "No answer", "rl-muted rl-small rl-clamp")

    def _verdict(self) -> None:
        first = self._found.first_difference
        if first is None:
            parts.badge("No difference", "ok", "check")
            parts.label("Every step did the same in both runs.", "rl-muted")
        else:
            detail = self._details[first.node_id]
            differences.state(first.kind)
            parts.label("They part at", "rl-muted")
            name = parts.tag("button", f"“{detail.title}”", "rl-more rl-strong")
            name.on("click", partial(self.choose, first.node_id, point=True))
            parts.label(first.what, "rl-mono rl-small")
        for use in self._found.commits:
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                ui.icon("menu_book")
                words = [(commit or "not read")[:8] for commit in (use.a, use.b)]
                same = f"{use.name} at commit {words[0]} in both"
                parts.label(same if use.same else f"{use.name}: {words[0]} → {words[1]}")

    def _nodes(self) -> None:
        shown = [id_ for id_, state in self._found.nodes.items() if state != "same"]
        first = self._found.first_difference
        for node_id in shown[:200]:
            detail = self._details[node_id]
            row = parts.tag("button").props('type="button"')
            row.on("click", partial(self.choose, node_id, point=True))
            self._rows[node_id] = row
            with row:
                differences.state(detail.state)
                parts.label(detail.title, "rl-strong rl-ellipsis")
                parts.label(detail.what, "rl-muted rl-small rl-ellipsis rl-grow")
                if first is not None and first.node_id == node_id:
                    parts.badge("First", "accent")
        if len(shown) > 200:
            parts.label(f"and {len(shown) - 200} more nodes", "rl-muted rl-small")

    def _swap(self) -> None:
        ui.navigate.to(compare_href(self._b.execution_id, self._a.execution_id))

    # ---- one node ----
    async def _selected(self, selection: Selection) -> None:
        if len(selection.nodes) == 1 and selection.nodes[0] != self._chosen:
            await self.choose(selection.nodes[0])

    async def choose(self, node_id: str, *, point: bool = False) -> None:
        """Show how a node differs; `point` brings it into view on the canvas."""
        if node_id not in self._found.nodes:
            return
        self._chosen = node_id
        for id_, row in self._rows.items():
            row.props["aria-current"] = "true" if id_ == node_id else "false"
            row.update()
        if point:
            self._canvas.select([node_id], shown=True)
        detail = self._details.get(node_id)
        if detail is None or detail.clipped:
            detail = await self._services.compare.node(
                self._a.execution_id, self._b.execution_id, node_id
            )
            if self._chosen != node_id:
                return
        self._panel.clear()
        with self._panel:
            self._node(detail)

    def _node(self, detail: NodeComparison) -> None:
        with parts.div("rl-row rl-wrap"):
            parts.label(detail.title, "rl-large rl-ellipsis")
            parts.label(detail.type, "rl-muted rl-small rl-mono rl-grow")
            differences.state(detail.state)
        if detail.what:
            parts.label(detail.what)
        with parts.div("rl-beside"):
            for number, step in (("1", detail.a), ("2", detail.b)):
                with parts.div(), parts.div("rl-row rl-wrap"):
                    parts.tag("span", number, "rl-letter")
                    _step(step)
        if detail.config:
            parts.tag("h3", "Settings")
            with parts.div("rl-change-node"):
                differences.change_rows(detail.config)
        for heading, found in (("Inputs", detail.inputs), ("Outputs", detail.outputs)):
            if found:
                parts.tag("h3", f"{heading} that differ")
                for diff in found:
                    differences.value_diff(diff)
        self._values(detail.node_id)

    def _values(self, node_id: str) -> None:
        steps = [
            next((step for step in run.steps if step.node_id == node_id), None)
            for run in (self._a, self._b)
        ]
        outputs: list[Mapping[str, Any]] = [step.outputs if step else {} for step in steps]
        ports = [*outputs[0], *(port for port in outputs[1] if port not in outputs[0])]
        if not ports:
            return
        parts.tag("h3", "What came out, side by side")
        for port in ports:
            with parts.div("rl-change-node"):
                parts.tag("span", port, "rl-mono rl-strong")
                with parts.div("rl-beside"):
                    for number, values in enumerate(outputs):
                        with parts.div().props(f'aria-label="{_SIDES[number]}"'):
                            parts.tag("span", str(number + 1), "rl-letter")
                            viewers.show(values.get(port))


def _step(step: StepFacts | None) -> None:
    if step is None:
        parts.label("Did not run", "rl-muted rl-small")
        return
    run_badge(step.status)
    words = ["reused" if step.cached else "", text.duration(step.duration_ms)]
    parts.label(" · ".join(word for word in words if word), "rl-muted rl-small")
    if step.error:
        parts.label(parts.error_words(step.error)[0], "rl-small rl-danger")
    if step.expired:
        parts.label("Its values are not kept any more.", "rl-muted rl-small")
