"""Tabs of the drawer that show one run: its timeline, and what came out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from app.services.threads import call
from app.ui import answer, downloads, parts, text, usage, viewers
from app.ui.gantt import Gantt
from app.ui.output_search import LIMIT, Hit, search
from app.ui.run_state import RunState, is_answer
from app.ui.timeline import Timeline

Titles = dict[str, tuple[str, str]]


class TimelinePanel:
    """When each node waited and worked, the chain that decided, and what the run came to."""

    def __init__(self, select: Callable[[str], Any]) -> None:
        self._select = select
        self._facts = parts.div("rl-stats rl-hidden")
        self._nothing = parts.label(
            "Run the workflow to see when each node worked, and for how long.", "rl-muted"
        )
        self.gantt = Gantt(select).classes("rl-hidden")
        self._said: Any = None

    def show(self, run: RunState, titles: Titles) -> None:
        """Draw a run, live or past."""
        timeline = run.timeline(titles)
        for element, shown in (
            (self._facts, bool(run.order)),
            (self.gantt, bool(run.order)),
            (self._nothing, not run.order),
        ):
            element.classes(remove="rl-hidden") if shown else element.classes(add="rl-hidden")
        self.gantt.show(run.run_id, timeline, run.clock_ms() if run.live else None)
        self._draw_facts(run, timeline, titles)

    def _draw_facts(self, run: RunState, timeline: Timeline, titles: Titles) -> None:
        reused, of = run.reused()
        saved, used = usage.saved(run.saved()), run.used()
        facts = (
            ("Took", "running" if run.live else text.duration(run.duration_ms), ""),
            ("Nodes worked", text.duration(timeline.work_ms), "All nodes together, side by side or not."),
            ("Reused", f"{reused} of {of}", "Results that were taken from earlier runs."),
            ("Saved by reuse", saved or usage.UNKNOWN, "What the reused results took when they were made."),
            ("Tokens", usage.tokens(used), "As the models' providers counted them."),
            ("Cost", usage.cost(used), "As the models' providers ask for it; — where it is not known."),
        )  # fmt: skip
        # Figures of a run that lives change with every step: they are drawn when it has ended.
        said = run.run_id if run.live else (facts, timeline.critical, timeline.critical_ms)
        if said == self._said:
            return
        self._said = said
        self._facts.clear()
        with self._facts:
            for name, value, hint in facts[:1] if run.live else facts:
                with parts.div("rl-stat"):
                    parts.label(name, "rl-muted rl-small")
                    parts.label(value, "rl-num-left")
                    if hint:
                        ui.tooltip(hint)
            if len(timeline.critical) > 1 and not run.live:
                self._critical(timeline, titles)

    def _critical(self, timeline: Timeline, titles: Titles) -> None:
        with parts.div("rl-stat rl-stat-wide"):
            took = text.duration(timeline.critical_ms)
            parts.label(f"Critical path ({took})", "rl-muted rl-small")
            with parts.div("rl-row rl-path"):
                for place, node in enumerate(timeline.critical):
                    if place:
                        parts.tag("span", "→", "rl-muted").props("aria-hidden=true")
                    name = titles.get(node, (node, ""))[0]
                    parts.tag("button", name, "rl-more").on(
                        "click", lambda node=node: self._select(node)
                    )
            ui.tooltip(
                "The longest chain of nodes that waited for each other: what to make faster."
            )


class OutputPanel:
    """The named results of a run, a search through everything its steps put out, and downloads."""

    def __init__(self, select: Callable[[str], Any], inspect: Callable[[str], Any]) -> None:
        self._select, self._inspect = select, inspect
        self._run, self._titles = RunState(), dict[str, tuple[str, str]]()
        self._name = "run"
        self._needle = ""
        with parts.div("rl-row rl-output-bar rl-hidden") as self._bar:
            self._search = ui.input(
                placeholder="Search in all outputs", on_change=lambda e: self.find(e.value or "")
            ).props("clearable debounce=250")
            self._search.classes("rl-output-search").mark("output-search")
            with self._search.add_slot("prepend"):
                ui.icon("search")
            self._count = parts.label("", "rl-muted rl-small").props("aria-live=polite")
            parts.div("rl-grow")
            parts.quiet("JSON", self._download, icon="file_download").mark("download-outputs")
        self._hits = parts.div("rl-col rl-gap-4")
        self._result = parts.div("rl-col")

    def name(self, workflow: str) -> None:
        """What downloaded files are called after."""
        self._name = workflow

    async def show(self, run: RunState, titles: Titles) -> None:
        """Draw the result of a run."""
        self._run, self._titles = run, titles
        has = any(step.outputs for step in run.steps.values())
        self._bar.classes(remove="rl-hidden") if has else self._bar.classes(add="rl-hidden")
        self._result.clear()
        with self._result:
            self._draw(run)
        if self._needle and not run.live:
            await self.find(self._needle)

    def _draw(self, run: RunState) -> None:
        if run.error and run.status == "failed":
            parts.error_notice(run.error)
            node = run.error.get("node")
            if node:
                parts.quiet(
                    "Show the node", lambda: self._select(str(node)), icon="my_location"
                ).style("align-self: flex-start")
        if not run.outputs:
            if run.status != "failed":
                parts.label("The named outputs of the workflow appear here.", "rl-muted")
            return
        for name, value in run.outputs.items():
            with parts.div("rl-port"):
                table = downloads.as_csv(value)
                if len(run.outputs) > 1 or table is not None:
                    with parts.div("rl-row"):
                        parts.label(text.words(name), "rl-strong rl-small rl-grow")
                        if table is not None:
                            parts.bare(
                                "CSV",
                                lambda name=name, table=table: self._save_csv(name, table),
                                icon="file_download",
                            )
                if is_answer(value):
                    answer.show(value, run.found_by(), on_node=self._select)
                else:
                    viewers.show(value, run.found_by())

    async def find(self, needle: str) -> None:
        """List where a text is in the outputs; the result is back when nothing is asked for."""
        self._needle = needle.strip()
        if not self._needle:
            self._hits.clear()
            self._count.text = ""
            self._result.classes(remove="rl-hidden")
            return
        outputs = {node: dict(step.outputs) for node, step in self._run.steps.items()}
        asked = self._needle
        hits, total = await call(search, outputs, asked, self._run.order)
        if asked != self._needle or self._hits.is_deleted:
            return
        self._result.classes(add="rl-hidden")
        self._count.text = text.count(total, "place") if total else "Nothing found"
        if total > LIMIT:
            self._count.text += f", the first {LIMIT} are listed"
        self._hits.clear()
        with self._hits:
            for hit in hits:
                self._hit(hit)

    def _hit(self, hit: Hit) -> None:
        title = self._titles.get(hit.node, (self._run.steps[hit.node].name, ""))[0]
        with parts.tag("button", "", "rl-hit").on("click", lambda: self._inspect(hit.node)):
            with parts.tag("span", "", "rl-row rl-hit-place"):
                parts.tag("span", title, "rl-strong rl-small rl-ellipsis")
                way = f"{hit.port}.{hit.path}" if hit.path else hit.port
                parts.tag("span", way, "rl-mono rl-small rl-muted rl-ellipsis")
            with parts.tag("span", "", "rl-small rl-hit-text"):
                parts.tag("span", hit.before)
                parts.tag("mark", hit.match)
                parts.tag("span", hit.after)

    def _download(self) -> None:
        run = self._run
        whole = {
            "execution_id": run.run_id,
            "status": run.status,
            "input_data": run.input_data,
            "outputs": run.outputs,
            "steps": {node: run.steps[node].outputs for node in run.order},
        }
        name = downloads.file_name(self._name, run.run_id[-8:], ending="json")
        ui.download.content(downloads.as_json(whole), name, "application/json")

    def _save_csv(self, port: str, table: str) -> None:
        name = downloads.file_name(self._name, port, ending="csv")
        ui.download.content(table, name, "text/csv")
