"""The run bar that floats at the bottom of the canvas: inputs, Run, Stop, the last result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from app.ui import answer, parts, text
from app.ui.run_state import RunState


@dataclass(frozen=True)
class RunInput:
    """A value the workflow asks for when it runs."""

    name: str
    title: str
    default: str = ""
    long: bool = False


class RunBar:
    """Inputs and the result; `start(values)` and `stop()` do the work."""

    def __init__(
        self,
        start: Callable[[dict[str, Any]], Any],
        stop: Callable[[], Any],
        select: Callable[[str], Any],
        details: Callable[[], Any],
    ) -> None:
        self._start, self._stop, self._select, self._details = start, stop, select, details
        self._values: dict[str, str] = {}
        self._inputs: tuple[RunInput, ...] = ()
        self._shown = ""
        with parts.div("rl-runbar"):
            with parts.div("rl-runbar-result rl-hidden") as self._result:
                with parts.div("rl-row"):
                    self._status = parts.div("rl-row rl-grow")
                    parts.icon_button("unfold_more", "Open in the drawer", details)
                    parts.icon_button("close", "Hide the answer", self.hide)
                self._answer = parts.div("rl-runbar-answer")
            with parts.div("rl-runbar-row"):
                self._fields = parts.div("rl-runbar-fields")
                self._run = parts.primary("Run", self.press, icon="play_arrow").props(
                    "data-rl-key=run"
                )
                self._run.mark("run")
                with self._run:
                    ui.tooltip("Ctrl Enter")
                self._halt = ui.button("Stop", on_click=stop, icon="stop", color=None)
                self._halt.classes("rl-quiet rl-hidden").mark("stop")

    @property
    def values(self) -> dict[str, Any]:
        """What is typed into the inputs."""
        return {i.name: self._values.get(i.name, i.default) for i in self._inputs}

    def set_inputs(self, inputs: Sequence[RunInput], values: dict[str, Any] | None = None) -> None:
        """Show the inputs the graph has; what was typed stays."""
        if values:
            self._values.update({k: str(v) for k, v in values.items() if isinstance(v, str)})
        if tuple(inputs) == self._inputs and not values:
            return
        self._inputs = tuple(inputs)
        self._fields.clear()
        with self._fields:
            for one in self._inputs:
                field = ui.input(
                    placeholder=one.default or one.title,
                    value=self._values.get(one.name, one.default),
                    on_change=lambda e, name=one.name: self._values.__setitem__(
                        name, e.value or ""
                    ),
                )
                field.props["aria-label"] = one.title
                field.classes("rl-grow").on("keydown.enter", self.press).mark(f"input-{one.name}")
            if not self._inputs:
                parts.label("No input is asked for.", "rl-muted rl-small rl-grow")

    async def press(self) -> None:
        """Run with what is typed in."""
        await self._start(self.values)

    def hide(self) -> None:
        """Take the answer out of the way."""
        self._result.classes(add="rl-hidden")

    def running(self, on: bool) -> None:
        """Swap Run and Stop."""
        self._run.classes(add="rl-hidden") if on else self._run.classes(remove="rl-hidden")
        self._halt.classes(remove="rl-hidden") if on else self._halt.classes(add="rl-hidden")

    def disable(self, on: bool) -> None:
        """Past runs cannot be run again as they are."""
        self._run.set_enabled(not on)

    def show(self, run: RunState, problem_node: str | None = None) -> None:
        """Show what is known of the run: streamed text, then the answer, or the error."""
        if not run.status:
            self.hide()
            return
        self._result.classes(remove="rl-hidden")
        self._status.clear()
        with self._status:
            self._status_words(run)
        self._answer.clear()
        with self._answer:
            final = run.answer() if run.status != "running" else None
            if final:
                answer.show(final, run.found_by(), sources=False)
            elif run.status == "failed":
                title, fix = parts.error_words(run.error or {"message": "The run failed."})
                parts.label(title, "rl-prose")
                if fix:
                    parts.label(fix, "rl-muted rl-small rl-prose")
                if problem_node:
                    parts.quiet(
                        "Show the node", lambda: self._select(problem_node), icon="my_location"
                    ).style("align-self: flex-start")
            elif run.tokens:
                streamed = run.tokens[next(reversed(run.tokens))]
                parts.label(streamed, "rl-prose rl-pre").props("aria-live=polite")
            elif run.status == "completed":
                parts.label("Done. The outputs are in the drawer.", "rl-muted")

    def _status_words(self, run: RunState) -> None:
        if run.status == "running":
            ui.spinner(size="16px")
            names = [s.name for s in run.steps.values() if s.status == "running"]
            parts.label(", ".join(names) or "Starting", "rl-muted rl-small rl-ellipsis")
            return
        if run.status == "completed":
            ui.icon("check").classes("rl-ok").style("font-size: 18px")
            reused = sum(1 for s in run.steps.values() if s.cached)
            words = f"{text.duration(run.duration_ms)}"
            if reused:
                words += f" · {reused} of {len(run.steps)} reused"
            parts.label(words, "rl-muted rl-small")
            final = run.answer()
            if final and final.get("confidence") is not None and not final.get("abstained"):
                parts.label("confidence", "rl-muted rl-small")
                parts.score(final["confidence"])
            return
        tone = "rl-danger" if run.status == "failed" else "rl-warn"
        ui.icon("error_outline" if run.status == "failed" else "stop").classes(tone).style(
            "font-size: 18px"
        )
        parts.label(f"{run.status.capitalize()} after {text.duration(run.duration_ms)}", "rl-small")
