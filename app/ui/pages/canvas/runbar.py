"""The run bar that floats at the bottom of the canvas: inputs, Run, Stop, the last result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.ui import answer, parts, text, usage
from app.ui.pages.canvas.asking import Asks
from app.ui.run_state import RunState

#: More of a text is in the drawer.
_MOST_WORDS = 4000


@dataclass(frozen=True)
class RunInput:
    """A value the workflow asks for when it runs."""

    name: str
    title: str
    default: str = ""
    #: "text", or "files" for documents to attach.
    kind: str = "text"


@dataclass(frozen=True)
class Way:
    """Another way to run, in the menu beside the button; `enabled` is asked when it opens."""

    words: str
    icon: str
    act: Callable[[], Any]
    hint: str = ""
    enabled: Callable[[], bool] = lambda: True


@dataclass
class BarActions:
    """What the bar asks the page to do."""

    run: Callable[[dict[str, Any]], Any]
    stop: Callable[[], Any]
    step: Callable[[], Any]
    go_on: Callable[[], Any]
    leave: Callable[[], Any]
    select: Callable[[str], Any]
    details: Callable[[], Any]
    run_from: Callable[[str], Any]
    resume: Callable[[str], Any]
    decide: Callable[[str, dict[str, Any]], Awaitable[None]]
    keep_file: Callable[[str, bytes], Awaitable[dict[str, Any]]]
    ways: Sequence[Way] = ()


class RunBar:
    """Inputs, ways to run, questions of the run, and its result."""

    def __init__(self, actions: BarActions) -> None:
        self._actions = actions
        self._values: dict[str, Any] = {}
        self._inputs: tuple[RunInput, ...] | None = None
        self._drawn: Any = None
        self._said: Any = None
        self._ways: list[tuple[ui.menu_item, Way]] = []
        with parts.div("rl-runbar").props("data-covers-canvas"):
            with parts.div("rl-runbar-result rl-hidden") as self._result:
                with parts.div("rl-row"):
                    self._status = parts.div("rl-row rl-grow").props("aria-live=polite")
                    parts.icon_button("unfold_more", "Open in the drawer", actions.details)
                    parts.icon_button("close", "Hide the answer", self.hide)
                self._asks = Asks(actions.decide, actions.select)
                self._answer = parts.div("rl-runbar-answer")
            with parts.div("rl-runbar-row"):
                self._fields = parts.div("rl-runbar-fields")
                self._buttons()

    def _buttons(self) -> None:
        actions = self._actions
        with parts.div("rl-run-split") as self._idle:
            self._run = parts.primary("Run", self.press, icon="play_arrow")
            self._run.props("data-rl-key=run").mark("run")
            with self._run:
                ui.tooltip("Ctrl Enter")
            if actions.ways:
                self._more = ui.button(icon="arrow_drop_down", color=None).classes("rl-primary")
                self._more.props["aria-label"] = "Other ways to start"
                self._more.mark("ways")
                with self._more, ui.menu().props("anchor='top right' self='bottom right'") as menu:
                    for way in actions.ways:
                        self._way(way)
                menu.on("before-show", self._enable_ways)
        with parts.div("rl-row rl-hidden") as self._busy:
            self._step = parts.primary("Step", actions.step, icon="skip_next").mark("step")
            self._go_on = parts.quiet("Continue", actions.go_on, icon="fast_forward")
            self._go_on.mark("continue")
            parts.quiet("Stop", actions.stop, icon="stop").mark("stop")
            self._leave = parts.icon_button(
                "move_to_inbox", "Let it go on in the background", actions.leave
            ).mark("leave")
        self.stepping(False)

    def _way(self, way: Way) -> None:
        with ui.menu_item(on_click=way.act) as item:
            with ui.item_section().props("avatar"):
                ui.icon(way.icon)
            with ui.item_section():
                parts.label(way.words)
                if way.hint:
                    parts.label(way.hint, "rl-muted rl-small")
        item.mark(f"way-{way.icon}")
        self._ways.append((item, way))

    def _enable_ways(self) -> None:
        for item, way in self._ways:
            item.set_enabled(way.enabled())

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
                # Long texts have lines; Enter runs, with Shift it begins another line.
                field = ui.textarea(
                    placeholder=one.default or one.title,
                    value=str(self._values.get(one.name, one.default)),
                    on_change=lambda e, name=one.name: self._put(name, e.value or ""),
                )
                field.props["aria-label"] = one.title
                field.props("autogrow rows=1").classes("rl-grow").mark(f"input-{one.name}")
                field.on("keydown.enter.exact.prevent", self.press)
            if not self._inputs:
                parts.label("This workflow asks for nothing.", "rl-muted rl-small rl-grow").style(
                    "line-height: 34px; padding-left: 8px"
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
                kept = await self._actions.keep_file(event.file.name, await event.file.read())
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
        await self._actions.run(self.values)

    def hide(self) -> None:
        """Take the answer out of the way."""
        self._result.classes(add="rl-hidden")

    def running(self, on: bool) -> None:
        """Swap Run and Stop."""
        self._idle.classes(add="rl-hidden") if on else self._idle.classes(remove="rl-hidden")
        self._busy.classes(remove="rl-hidden") if on else self._busy.classes(add="rl-hidden")
        if not on:
            self.stepping(False)

    def stepping(self, on: bool = True) -> None:
        """Show the buttons of a run that goes a step at a time."""
        for button, shown in ((self._step, on), (self._go_on, on), (self._leave, not on)):
            button.classes(remove="rl-hidden") if shown else button.classes(add="rl-hidden")

    def disable(self, on: bool) -> None:
        """Past runs cannot be run again as they are."""
        self._run.set_enabled(not on)
        if self._ways:
            self._more.set_enabled(not on)

    def show(self, run: RunState, next_node: str = "") -> None:
        """Show what is known of the run: questions, streamed text, then the answer or the error.

        `next_node` is the title of the node that waits to be let go.
        """
        if not run.status:
            self.hide()
            return
        self._result.classes(remove="rl-hidden")
        asks = run.asks()
        names = {node: step.name for node, step in run.steps.items()}
        self._asks.show(run.run_id, asks, names)
        at_work = tuple(s.name for s in run.steps.values() if s.status == "running")
        said = (
            (run.run_id, run.status, next_node, at_work, bool(run.steps), len(asks))
            if run.live
            else None
        )
        if said is None or said != self._said:
            self._status.clear()
            with self._status:
                self._status_words(run, next_node)
        self._said = said
        drawn = (run.run_id, run.status, len(run.tokens), run.tokens and run.tokens[next(reversed(run.tokens))])  # fmt: skip
        if drawn == self._drawn and run.live:
            return
        self._drawn = drawn
        self._answer.clear()
        with self._answer:
            self._draw_answer(run)

    def _draw_answer(self, run: RunState) -> None:
        final = None if run.live else run.answer()
        if final:
            answer.show(final, run.found_by(), sources=False)
        elif run.status in ("failed", "interrupted"):
            self._draw_failure(run)
        elif not run.live and (words := run.words()):
            parts.label(words[:_MOST_WORDS], "rl-prose rl-pre")
        elif run.tokens:
            streamed = run.tokens[next(reversed(run.tokens))]
            parts.label(streamed, "rl-prose rl-pre").props("aria-live=polite")
        elif run.status == "completed":
            parts.quiet("Show the output", self._actions.details, icon="table_rows").style(
                "align-self: flex-start"
            )

    def _draw_failure(self, run: RunState) -> None:
        node = run.failed_node()
        title, fix = parts.error_words(run.error or {"message": "The run failed."})
        parts.label(title, "rl-prose")
        if fix:
            parts.label(fix, "rl-muted rl-small rl-prose")
        with parts.div("rl-row rl-wrap"):
            if run.status == "interrupted":
                parts.primary(
                    "Resume", lambda: self._actions.resume(run.run_id), icon="play_arrow"
                ).mark("resume")
            if node:
                parts.quiet("Show the node", lambda: self._actions.select(node), icon="my_location")
                parts.quiet(
                    "Run from here", lambda: self._actions.run_from(node), icon="start"
                ).mark("run-from-failed")

    def _status_words(self, run: RunState, next_node: str) -> None:
        if next_node:
            ui.icon("pause_circle").classes("rl-accent").style("font-size: 18px")
            parts.label(f"Next: {next_node}", "rl-small rl-strong rl-ellipsis").mark("next-node")
        elif run.status == "waiting":
            ui.icon("front_hand").classes("rl-warn").style("font-size: 18px")
            count = len(run.asks())
            words = f"{count} nodes wait for a person" if count > 1 else "Waits for a person"
            parts.label(words, "rl-muted rl-small rl-ellipsis")
        elif run.status == "running":
            parts.at_work()
            names = [s.name for s in run.steps.values() if s.status == "running"]
            words = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            parts.label(
                words or ("Finishing" if run.steps else "Starting"),
                "rl-muted rl-small rl-ellipsis",
            )
        elif run.status == "completed":
            self._completed_words(run)
        else:
            failed = run.status == "failed"
            ui.icon("error_outline" if failed else "stop").classes(
                "rl-danger" if failed else "rl-warn"
            ).style("font-size: 18px")
            after = f" after {text.duration(run.duration_ms)}" if run.duration_ms else ""
            parts.label(f"{run.status.capitalize()}{after}", "rl-small")

    def _completed_words(self, run: RunState) -> None:
        ui.icon("check").classes("rl-ok").style("font-size: 18px")
        reused, of = run.reused()
        words = [text.duration(run.duration_ms)]
        if run.tried:
            words.insert(0, "Tried, nothing was written")
        if reused:
            words.append(f"{reused} of {of} reused")
        if "cost_usd" in run.used():
            words.append(usage.cost(run.used()))
        parts.label(" · ".join(words), "rl-muted rl-small rl-ellipsis")
        final = run.answer()
        if final and final.get("confidence") is not None and not final.get("abstained"):
            parts.label("confidence", "rl-muted rl-small rl-wide-only")
            parts.score(final["confidence"])
