"""What starts this workflow by itself, and what its runs wait for."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.engine.graph import Graph
from app.services.automation.cron import moment_in_words
from app.services.automation.schedules import ScheduleView
from app.services.container import Services
from app.services.runs.approvals import ApprovalView
from app.services.views import WorkflowView
from app.ui import live, parts, text, theme
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.automation.forms import ask_schedule
from app.ui.pages.automation.section import Section, nothing
from app.ui.pages.automation.times import browser_zone
from app.ui.pages.automation.webhooks import Webhooks
from app.ui.pages.canvas.asking import Asks
from app.ui.pages.canvas.pickers import run_inputs
from app.ui.pages.common import missing, workflow_choices
from app.ui.person import person_name

_OUTCOMES = {
    "started": ("ok", "check", "Started"),
    "skipped": ("warn", "redo", "Skipped"),
    "missed": ("warn", "schedule", "Missed"),
    "failed": ("danger", "error_outline", "Failed"),
}
#: Seconds between looks at what became of the schedules and questions.
_LOOK_S = 1.0


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}/automation", response_timeout=30)
    async def automation_page(workflow_id: str) -> None:
        services = get_services()
        with Expecting("not_found") as met:
            workflow = await services.workflows.get(workflow_id)
        if met.error:
            missing(services, "Workflows", met.error)
            return
        crumbs = [
            Crumb(
                workflow.name,
                f"/workflows/{workflow_id}",
                choices=lambda: workflow_choices(services),
            ),
            Crumb("Automation"),
        ]
        stamp = int((theme.STATIC / "automation.css").stat().st_mtime)
        ui.add_head_html(
            f'<link rel="stylesheet" href="/_ragloom/static/automation.css?v={stamp}">'
        )
        with frame(services, "Workflows", crumbs), parts.div("rl-col rl-auto"):
            await Automation(services, workflow).build()


class Automation:
    """Questions, schedules and webhooks of one workflow."""

    def __init__(self, services: Services, workflow: WorkflowView) -> None:
        self._services = services
        self._id = workflow.workflow_id
        graph = Graph.parse(workflow.graph)
        self._inputs = run_inputs(graph)
        self._titles = {
            node.id: node.title or getattr(services.registry.get(node.type), "title", node.id)
            for node in graph.nodes.values()
        }
        self._shown: tuple[object, ...] = ()
        #: Questions on the page, by run and step.
        self._cards: dict[tuple[str, str], ui.element] = {}

    async def build(self) -> None:
        """Fill the page."""
        with parts.div("rl-row rl-wrap"):
            with parts.div("rl-col rl-grow").style("gap: 0"):
                parts.tag("h1", "Automation", "rl-huge")
                parts.label("What runs this workflow while nobody looks on.", "rl-muted")
            parts.quiet(
                "Open the workflow",
                lambda: ui.navigate.to(f"/workflows/{quote(self._id)}"),
                icon="account_tree",
            )
        with parts.div("rl-col") as self._asks:
            parts.tag("h2", "Waiting for you", "rl-large").style("margin-top: 24px")
            self._asks_list = parts.div("rl-auto-asks")
        self._asks.set_visibility(False)
        given = (self._services, self._id, self._inputs, self._refresh)
        with parts.div("rl-row rl-auto-head"):
            parts.tag("h2", "Schedules", "rl-large rl-grow")
            add = parts.quiet("New schedule", icon="add").mark("new-schedule")
        self._schedules = Schedules(*given)
        add.on_click(self._schedules.add)
        with parts.div("rl-row rl-auto-head"):
            parts.tag("h2", "Webhooks", "rl-large rl-grow")
            add = parts.quiet("New webhook", icon="add").mark("new-webhook")
        fresh = parts.div()
        self._webhooks = Webhooks(*given)
        self._webhooks.fresh = fresh
        add.on_click(self._webhooks.add)
        await self._refresh()
        ui.timer(_LOOK_S, self._refresh)
        live.follow(self._learn_zone, "time zone of the page")

    async def _learn_zone(self) -> None:
        """Times are told as they are where the person is, too."""
        with self._asks:
            self._schedules.zone = await browser_zone()
        self._shown = ()
        await self._refresh()

    async def _refresh(self) -> None:
        with Expecting("not_found") as met:
            schedules = await self._services.schedules.list(self._id)
            webhooks = await self._services.webhooks.list(self._id)
            asked = await self._services.runs.approvals.list(workflow_id=self._id, limit=20)
        if met.error:
            return  # the workflow was deleted while the page was open
        shown = (schedules, webhooks, [(a.execution_id, a.node_id) for a in asked.items])
        # Words such as “in 5 minutes” change with time, so equal lists are equal on the page.
        if shown == self._shown or self._asks.is_deleted:
            return
        before, self._shown = self._shown or (None, None, None), shown
        if before[2] != shown[2]:
            self._draw_asks(asked.items)
        if before[0] != shown[0]:
            self._schedules.draw(schedules)
        if before[1] != shown[1]:
            self._webhooks.draw(webhooks)

    def _draw_asks(self, asked: list[ApprovalView]) -> None:
        """Add and remove cards; what is being typed into the others stays."""
        open_now = {(one.execution_id, one.node_id): one for one in asked}
        for key in self._cards.keys() - open_now.keys():
            self._cards.pop(key).delete()
        self._asks.set_visibility(bool(open_now))
        for key, one in reversed(open_now.items()):
            if key not in self._cards:
                with self._asks_list, parts.div("rl-col rl-gap-4") as card:
                    self._ask(one)
                card.move(target_index=0)
                self._cards[key] = card

    def _ask(self, one: ApprovalView) -> None:
        async def decide(node_id: str, decision: dict[str, Any]) -> None:
            decision = {**decision, "by": await person_name()}
            await self._schedules.do(
                self._services.runs.decide(one.execution_id, node_id, decision)
            )

        asks = Asks(decide)
        asked = {one.node_id: {"message": one.message, "form": one.form}}
        asks.show(one.execution_id, asked, self._titles)
        with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
            parts.label("asked")
            parts.moment(one.asked_at)
            with parts.link(self._schedules.run_href(one.execution_id)):
                parts.tag("span", "Look at the run")


class Schedules(Section):
    """The list of schedules."""

    #: The time zone of whoever looks at the page.
    zone = ""

    def draw(self, schedules: list[ScheduleView]) -> None:
        """Show these."""
        self.list.clear()
        with self.list:
            for schedule in schedules:
                self._row(schedule)
            if not schedules:
                nothing("schedule", "No schedule yet", "Run it every morning, or every hour.")

    def _row(self, one: ScheduleView) -> None:
        row = parts.div("rl-list-row rl-auto-row" + ("" if one.enabled else " is-paused"))
        with row.mark("schedule"):
            with parts.div():
                parts.label(one.name or one.description, "rl-auto-name rl-strong rl-ellipsis")
                detail = [one.description] if one.name else []
                if one.description.startswith("At “") and not one.name:
                    detail = []
                detail.append(one.timezone)
                parts.label(" · ".join(detail), "rl-auto-note")
            with parts.div():
                parts.label(f"Next {one.next_words}" if one.enabled else "Paused", "rl-small")
                if one.enabled and (here := local_words(one, self.zone)):
                    parts.label(here, "rl-auto-note")
            with parts.div("rl-col").style("gap: 2px"):
                self._last(one)
            with parts.div("rl-auto-actions"):
                switch = self.switch(f"Schedule “{one.name or one.description}”", one.enabled)
                switch.on_value_change(lambda e: self._pause(one, bool(e.value)))
                with parts.icon_button("more_horiz", "More"), ui.menu():
                    ui.menu_item("Run now", partial(self._fire, one))
                    ui.menu_item("Change", partial(self._change, one)).mark("change")
                    runs = self.runs_href("schedule")
                    ui.menu_item("Its runs", lambda: ui.navigate.to(runs))
                    ui.menu_item("Delete", partial(self._remove, one)).mark("delete")

    def _last(self, one: ScheduleView) -> None:
        if not one.last_outcome:
            parts.label("Has not run yet", "rl-auto-note")
            return
        tone, icon, word = _OUTCOMES.get(one.last_outcome, ("", "help_outline", one.last_outcome))
        with parts.div("rl-row rl-gap-4"):
            parts.badge(word, tone, icon)
            parts.moment(one.last_at)
            if one.last_run_id:
                with parts.link(self.run_href(one.last_run_id), "rl-small"):
                    parts.tag("span", "Run")
        if one.last_note:
            parts.label(one.last_note, "rl-auto-note")

    async def add(self) -> None:
        """Ask for the times and inputs of a new one, and add it."""
        values = await ask_schedule(self.inputs, await browser_zone())
        if values is not None:
            await self.do(self.services.schedules.add(self.workflow_id, **values))

    async def _change(self, one: ScheduleView) -> None:
        with self.room:
            values = await ask_schedule(self.inputs, one.timezone, one)
        # What was left as it was may have been changed by somebody else meanwhile: that stays.
        changed = {k: v for k, v in (values or {}).items() if v != getattr(one, k)}
        if changed:
            await self.do(self.services.schedules.change(one.schedule_id, **changed))

    async def _pause(self, one: ScheduleView, enabled: bool) -> None:
        await self.do(self.services.schedules.change(one.schedule_id, enabled=enabled))

    async def _fire(self, one: ScheduleView) -> None:
        if await self.do(self.services.schedules.fire(one.schedule_id)):
            with self.room:
                parts.toast("It runs now; the list of runs has it.")

    async def _remove(self, one: ScheduleView) -> None:
        async def back() -> None:
            await self.do(
                self.services.schedules.add(
                    self.workflow_id,
                    one.cron,
                    timezone=one.timezone,
                    name=one.name,
                    input_data=one.input_data,
                    enabled=one.enabled,
                )
            )

        if await self.do(self.services.schedules.remove(one.schedule_id)):
            with self.room:
                parts.toast(f"“{one.name or one.description}” is deleted.", undo=back)


def local_words(one: ScheduleView, zone: str) -> str:
    """When a schedule is next due where the person is, if clocks differ there."""
    due = text.parse_time(one.next_at or "")
    if due is None or not zone or one.next_words.startswith("in "):
        return ""
    words = moment_in_words(due.timestamp(), zone, time.time())
    return f"for you {words}" if words != one.next_words else ""
