"""The run bar that floats at the bottom of the canvas: inputs, Run, Stop, the last result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.ui import answer, parts, text
from app.ui.run_state import RunState


@dataclass(frozen=True)
class RunInput:
    """A value the workflow asks for when it runs."""

    name: str
    title: str
    default: str = ""
    #: "text", or "files" for documents to attach.
    kind: str = "text"


class RunBar:
    """Inputs and the result; `start(values)` and `stop()` do the work."""

    def __init__(
        self,
        start: Callable[[dict[str, Any]], Any],
        stop: Callable[[], Any],
        select: Callable[[str], Any],
        details: Callable[[], Any],
        keep_file: Callable[[str, bytes], Awaitable[dict[str, Any]]],
    ) -> None:
        self._start, self._stop, self._select, self._details = start, stop, select, details
        self._keep_file = keep_file
        self._values: dict[str, Any] = {}
        self._inputs: tuple[RunInput, ...] | None = None
        with parts.div("rl-runbar").props("data-covers-canvas"):
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
        return {i.name: self._values.get(i.name, i.default) for i in self._inputs or ()}

    def set_inputs(self, inputs: Sequence[RunInput], values: dict[str, Any] | None = None) -> None:
        """Show the inputs the graph has; what was typed stays."""
        if values:
            self._values.update(values)
        if tuple(inputs) == self._inputs and not values:
            return
        self._inputs = tuple(inputs)
        self._fields.clear()
        with self._fields:
            for one in self._inputs:
                if one.kind == "files":
                    self._attach(one)
                    continue
                field = ui.input(
                    placeholder=one.default or one.title,
                    value=str(self._values.get(one.name, one.default)),
                    on_change=lambda e, name=one.name: self._put(name, e.value or ""),
                )
                field.props["aria-label"] = one.title
                field.classes("rl-grow").on("keydown.enter", self.press).mark(f"input-{one.name}")
            if not self._inputs:
                parts.label("This workflow asks for nothing.", "rl-muted rl-small rl-grow").style(
                    "align-self: center; padding-left: 8px"
                )

    def _put(self, name: str, value: Any) -> None:
        self._values[name] = value

    def _attach(self, one: RunInput) -> None:
        """Documents for this run: a button, and what was chosen."""
        with parts.div("rl-attach"):
            upload = ui.upload(multiple=True, auto_upload=True)
            button = parts.bare(f"Add to {one.title.lower()}", icon="attach_file")
            button.on_click(lambda: upload.run_method("pickFiles"))
            chosen = parts.label(self._chosen(one.name), "rl-muted rl-small rl-ellipsis")

        async def take(event: events.UploadEventArguments) -> None:
            try:
                kept = await self._keep_file(event.file.name, await event.file.read())
            except RagloomError as error:
                parts.failed(error)
                return
            self._values[one.name] = [*(self._values.get(one.name) or []), kept]
            chosen.text = self._chosen(one.name)

        upload.on_upload(take)

    def _chosen(self, name: str) -> str:
        files = self._values.get(name) or []
        return ", ".join(str(f.get("filename")) for f in files) or "none yet"

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
                parts.quiet("Show the output", self._details, icon="table_rows").style(
                    "align-self: flex-start"
                )

    def _status_words(self, run: RunState) -> None:
        if run.status == "running":
            ui.spinner(size="16px")
            names = [s.name for s in run.steps.values() if s.status == "running"]
            parts.label(
                ", ".join(names) or ("Finishing" if run.steps else "Starting"),
                "rl-muted rl-small rl-ellipsis",
            )
            return
        if run.status == "completed":
            ui.icon("check").classes("rl-ok").style("font-size: 18px")
            reused = sum(1 for s in run.steps.values() if s.cached)
            words = f"{text.duration(run.duration_ms)}"
            if reused:
                words += f" · {reused} of {len(run.steps)} reused"
            parts.label(words, "rl-muted rl-small rl-ellipsis")
            final = run.answer()
            if final and final.get("confidence") is not None and not final.get("abstained"):
                parts.label("confidence", "rl-muted rl-small rl-wide-only")
                parts.score(final["confidence"])
            return
        tone = "rl-danger" if run.status == "failed" else "rl-warn"
        ui.icon("error_outline" if run.status == "failed" else "stop").classes(tone).style(
            "font-size: 18px"
        )
        parts.label(f"{run.status.capitalize()} after {text.duration(run.duration_ms)}", "rl-small")
