"""What starts this workflow by itself, and what its runs wait for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.approvals import ApprovalView
from app.services.container import Services
from app.services.triggers import ScheduleView, WebhookView
from app.services.views import WorkflowView
from app.ui import parts, text, theme
from app.ui.frame import Crumb, frame
from app.ui.pages.asking import Asks
from app.ui.pages.automation_forms import ask_schedule, ask_webhook
from app.ui.pages.common import missing, workflow_choices
from app.ui.pages.pickers import run_inputs
from app.ui.pages.times import browser_zone
from app.ui.person import person_name

_OUTCOMES = {
    "started": ("ok", "check", "Started"),
    "skipped": ("warn", "redo", "Skipped"),
    "missed": ("warn", "schedule", "Missed"),
    "failed": ("danger", "error_outline", "Failed"),
}
#: Seconds between looks at what became of the schedules and questions.
_LOOK_S = 5.0


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}/automation", response_timeout=30)
    async def automation_page(workflow_id: str) -> None:
        services = get_services()
        try:
            workflow = await services.workflows.get(workflow_id)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            missing(services, "Workflows", error)
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
        self._services, self._triggers = services, services.triggers
        self._id = workflow.workflow_id
        graph = Graph.parse(workflow.graph)
        self._inputs = run_inputs(graph)
        self._titles = {
            node.id: node.title or getattr(services.registry.get(node.type), "title", node.id)
            for node in graph.nodes.values()
        }
        self._shown: tuple[object, ...] = ()

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
        self._asks = parts.div("rl-col")
        with parts.div("rl-row rl-auto-head"):
            parts.tag("h2", "Schedules", "rl-large rl-grow")
            parts.quiet("New schedule", self._add_schedule, icon="add").mark("new-schedule")
        self._schedules = parts.div("rl-list")
        with parts.div("rl-row rl-auto-head"):
            parts.tag("h2", "Webhooks", "rl-large rl-grow")
            parts.quiet("New webhook", self._add_webhook, icon="add").mark("new-webhook")
        self._fresh = parts.div()
        self._webhooks = parts.div("rl-list")
        # Dialogs and notes live here: rows are drawn anew while they are open.
        self._room = parts.div()
        await self._refresh()
        ui.timer(_LOOK_S, self._refresh)

    async def _refresh(self) -> None:
        try:
            schedules = await self._triggers.schedules(self._id)
            webhooks = await self._triggers.webhooks(self._id)
            asked = await self._services.runs.approvals.list(workflow_id=self._id, limit=20)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            return  # the workflow was deleted while the page was open
        shown = (schedules, webhooks, [(a.execution_id, a.node_id) for a in asked.items])
        # Words such as “in 5 minutes” change with time, so equal lists are equal on the page.
        if shown == self._shown or self._asks.is_deleted:
            return
        before, self._shown = self._shown, shown
        if not before or before[2] != shown[2]:
            self._draw_asks(asked.items)
        self._draw_schedules(schedules)
        self._draw_webhooks(webhooks)

    # -- questions --------------------------------------------------------------------------

    def _draw_asks(self, asked: list[ApprovalView]) -> None:
        self._asks.clear()
        if not asked:
            return
        with self._asks:
            parts.tag("h2", "Waiting for you", "rl-large").style("margin-top: 24px")
            with parts.div("rl-auto-asks"):
                for one in asked:
                    self._ask(one)

    def _ask(self, one: ApprovalView) -> None:
        async def decide(node_id: str, decision: dict[str, Any]) -> None:
            decision = {**decision, "by": await person_name()}
            try:
                await self._services.runs.decide(one.execution_id, node_id, decision)
            except Exception as error:
                with self._room:
                    parts.failed(error)
            await self._refresh()

        with parts.div("rl-col rl-gap-4"):
            card = Asks(decide)
            asked = {one.node_id: {"message": one.message, "form": one.form}}
            card.show(one.execution_id, asked, self._titles)
            with parts.div("rl-row rl-gap-4 rl-small rl-muted"):
                parts.label("asked")
                parts.moment(one.asked_at)
                with parts.link(self._run_href(one.execution_id)):
                    parts.tag("span", "Look at the run")

    # -- schedules --------------------------------------------------------------------------

    def _draw_schedules(self, schedules: list[ScheduleView]) -> None:
        self._schedules.clear()
        with self._schedules:
            for schedule in schedules:
                self._schedule(schedule)
            if not schedules:
                _nothing("schedule", "No schedule yet", "Run it every morning, or every hour.")

    def _schedule(self, one: ScheduleView) -> None:
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
                words = f"Next {one.next_words}" if one.enabled else "Paused"
                next_label = parts.label(words, "rl-small")
                if one.next_at:
                    with next_label:
                        ui.tooltip(text.exact(one.next_at))
            with parts.div("rl-col").style("gap: 2px"):
                self._last(one)
            with parts.div("rl-auto-actions"):
                switch = _switch(f"Schedule “{one.name or one.description}”", one.enabled)
                switch.on_value_change(lambda e: self._pause(one, bool(e.value)))
                with parts.icon_button("more_horiz", "More"), ui.menu():
                    ui.menu_item("Run now", partial(self._fire, one))
                    ui.menu_item("Change", partial(self._change_schedule, one))
                    ui.menu_item("Delete", partial(self._remove_schedule, one)).mark("delete")

    def _last(self, one: ScheduleView) -> None:
        if not one.last_outcome:
            parts.label("Has not run yet", "rl-auto-note")
            return
        tone, icon, word = _OUTCOMES.get(one.last_outcome, ("", "help_outline", one.last_outcome))
        with parts.div("rl-row rl-gap-4"):
            parts.badge(word, tone, icon)
            parts.moment(one.last_at)
            if one.last_run_id:
                with parts.link(self._run_href(one.last_run_id), "rl-small"):
                    parts.tag("span", "Run")
        if one.last_note:
            parts.label(one.last_note, "rl-auto-note")

    async def _add_schedule(self) -> None:
        values = await ask_schedule(self._inputs, await browser_zone())
        if values is not None:
            await self._do(self._triggers.add_schedule(self._id, **values))

    async def _change_schedule(self, one: ScheduleView) -> None:
        with self._room:
            values = await ask_schedule(self._inputs, one.timezone, one)
        if values is not None:
            await self._do(self._triggers.change_schedule(one.schedule_id, **values))

    async def _pause(self, one: ScheduleView, enabled: bool) -> None:
        await self._do(self._triggers.change_schedule(one.schedule_id, enabled=enabled))

    async def _fire(self, one: ScheduleView) -> None:
        if await self._do(self._triggers.fire(one.schedule_id)):
            with self._room:
                parts.toast("It runs now; the list of runs has it.")

    async def _remove_schedule(self, one: ScheduleView) -> None:
        async def back() -> None:
            await self._do(
                self._triggers.add_schedule(
                    self._id,
                    one.cron,
                    timezone=one.timezone,
                    name=one.name,
                    input_data=one.input_data,
                    enabled=one.enabled,
                )
            )

        if await self._do(self._triggers.remove_schedule(one.schedule_id)):
            with self._room:
                parts.toast(f"“{one.name or one.description}” is deleted.", undo=back)

    # -- webhooks ---------------------------------------------------------------------------

    def _draw_webhooks(self, webhooks: list[WebhookView]) -> None:
        self._webhooks.clear()
        with self._webhooks:
            for webhook in webhooks:
                self._webhook(webhook)
            if not webhooks:
                _nothing(
                    "webhook", "No webhook yet", "Another program runs the workflow by an address."
                )

    def _webhook(self, one: WebhookView) -> None:
        row = parts.div("rl-list-row rl-auto-row" + ("" if one.enabled else " is-paused"))
        with row.mark("webhook"):
            with parts.div():
                parts.label(one.name or "Webhook", "rl-auto-name rl-strong rl-ellipsis")
                taken = ", ".join(f"{n} ← {p or 'everything'}" for n, p in one.mapping.items())
                parts.label(taken or "Inputs by their own names", "rl-auto-note")
            with parts.div():
                parts.label(text.count(one.calls, "call"), "rl-small")
                if one.signed:
                    parts.label("Signed", "rl-auto-note")
            with parts.div("rl-row rl-gap-4"):
                if one.last_run_id:
                    parts.moment(one.last_at)
                    with parts.link(self._run_href(one.last_run_id), "rl-small"):
                        parts.tag("span", "Run")
                else:
                    parts.label("Was not called yet", "rl-auto-note")
            with parts.div("rl-auto-actions"):
                switch = _switch(f"Webhook “{one.name or 'Webhook'}”", one.enabled)
                switch.on_value_change(lambda e: self._pause_webhook(one, bool(e.value)))
                parts.icon_button("delete_outline", "Delete", partial(self._remove_webhook, one))

    async def _add_webhook(self) -> None:
        values = await ask_webhook(self._inputs)
        if values is None:
            return
        try:
            made = await self._triggers.add_webhook(self._id, **values)
        except RagloomError as error:
            parts.failed(error)
            return
        base = str(ui.context.client.request.base_url).rstrip("/")
        self._show_fresh(f"{base}{made.url}", made.secret, values["mapping"])
        await self._refresh()

    def _show_fresh(self, url: str, secret: str | None, mapping: dict[str, str]) -> None:
        names = [one.name for one in self._inputs if one.kind == "text"]
        self._fresh.clear()
        hint = "Copy it to where it is used. Whoever knows it can run the workflow."
        with (
            self._fresh,
            parts.notice("accent", "This is the address. It is shown only now.", hint, icon="key"),
        ):
            _secret("Address", url, "new-webhook-url")
            if secret:
                _secret("Secret", secret, "new-webhook-secret")
                parts.label(
                    "Send the header X-Signature-256: sha256=HEX, the HMAC-SHA-256 of the body.",
                    "rl-muted rl-small",
                )
            body = example_body(mapping or {name: name for name in names})
            parts.tag("code", example_call(url, body, secret), "rl-auto-code rl-mono rl-pre")

    async def _pause_webhook(self, one: WebhookView, enabled: bool) -> None:
        await self._do(self._triggers.change_webhook(one.webhook_id, enabled=enabled))

    async def _remove_webhook(self, one: WebhookView) -> None:
        hint = "Its address answers no more; a new webhook has another one."
        with self._room:
            sure = await parts.confirm(f"Delete “{one.name or 'Webhook'}”?", hint, "Delete")
        if sure:
            await self._do(self._triggers.remove_webhook(one.webhook_id))

    # -- both -------------------------------------------------------------------------------

    async def _do(self, work: Any) -> bool:
        try:
            await work
        except Exception as error:
            with self._room:
                parts.failed(error)
            return False
        finally:
            await self._refresh()
        return True

    def _run_href(self, run_id: str) -> str:
        return f"/workflows/{quote(self._id)}?run={quote(run_id)}"


def _switch(what: str, on: bool) -> ui.switch:
    """Whether something starts the workflow; its name does not change with its state."""
    switch = ui.switch(value=on)
    switch.props["aria-label"] = f"{what} is on"
    return switch


def _nothing(icon: str, title: str, hint: str) -> None:
    with parts.div("rl-row").style("padding: 16px"):
        ui.icon(icon).classes("rl-muted")
        with parts.div():
            parts.label(title)
            parts.label(hint, "rl-muted rl-small")


def _secret(name: str, value: str, mark: str) -> None:
    with parts.div("rl-row rl-wrap"):
        parts.label(value, "rl-mono rl-grow").style("overflow-wrap: anywhere").mark(mark)
        parts.icon_button("content_copy", f"Copy the {name.lower()}", lambda: _copy(value))


def _copy(value: str) -> None:
    ui.clipboard.write(value)
    parts.toast("Copied.")


def example_body(mapping: dict[str, str]) -> str:
    """JSON that has something at each place that a webhook takes: {input: path}."""
    body: dict[str, Any] = {}
    for path in mapping.values():
        *outer, last = path.split(".") if path else ["text"]
        room = body
        for name in outer:
            found = room.setdefault(name, {})
            room = found if isinstance(found, dict) else room
        room.setdefault(last, "…")
    return json.dumps(body, ensure_ascii=False)


def example_call(url: str, body: str, secret: str | None) -> str:
    """A command that calls a webhook as it is; with a secret, it signs what it sends."""
    quoted = "'" + body.replace("'", "'\\''") + "'"
    if secret is None:
        return f"curl -X POST {url} -H 'Content-Type: application/json' -d {quoted}"
    signature = f"$(printf %s \"$BODY\" | openssl dgst -sha256 -hmac '{secret}' | sed 's/.* //')"
    return (
        f"BODY={quoted}\n"
        f"curl -X POST {url} -H 'Content-Type: application/json' "
        f'-H "X-Signature-256: sha256={signature}" -d "$BODY"'
    )
