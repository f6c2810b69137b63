"""Webhooks of a workflow: addresses that run it, shown once, renewed, changed and switched off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from nicegui import ui

from app.services.automation.webhooks import WebhookView
from app.ui import parts, text
from app.ui.pages.automation.forms import ask_webhook
from app.ui.pages.automation.section import Section, nothing


class Webhooks(Section):
    """The list of webhooks, and the address of the one that was made last."""

    #: Where an address is shown, once.
    fresh: ui.element

    def draw(self, webhooks: list[WebhookView]) -> None:
        """Show these."""
        self.list.clear()
        with self.list:
            for webhook in webhooks:
                self._row(webhook)
            if not webhooks:
                nothing(
                    "webhook", "No webhook yet", "Another program runs the workflow by an address."
                )

    def _row(self, one: WebhookView) -> None:
        row = parts.div("rl-list-row rl-auto-row" + ("" if one.enabled else " is-paused"))
        with row.mark("webhook"):
            with parts.div():
                parts.label(_name(one), "rl-auto-name rl-strong rl-ellipsis")
                taken = ", ".join(f"{n} ← {p or 'everything'}" for n, p in one.mapping.items())
                parts.label(taken or "Inputs by their own names", "rl-auto-note")
            with parts.div():
                calls = text.count(one.calls, "call")
                parts.label(calls if one.enabled else f"Off · {calls}", "rl-small")
                if one.signed:
                    parts.label("Signed", "rl-auto-note")
            with parts.div("rl-row rl-gap-4"):
                if one.last_run_id:
                    parts.moment(one.last_at)
                    with parts.link(self.run_href(one.last_run_id), "rl-small"):
                        parts.tag("span", "Run")
                else:
                    parts.label("Was not called yet", "rl-auto-note")
            with parts.div("rl-auto-actions"):
                switch = self.switch(f"Webhook “{_name(one)}”", one.enabled)
                switch.on_value_change(lambda e: self._pause(one, bool(e.value)))
                with parts.icon_button("more_horiz", "More"), ui.menu():
                    ui.menu_item("Change", partial(self._change, one)).mark("change-webhook")
                    ui.menu_item("New address", partial(self._renew, one)).mark("renew-webhook")
                    runs = self.runs_href("webhook")
                    ui.menu_item("Its runs", lambda: ui.navigate.to(runs))
                    ui.menu_item("Delete", partial(self._remove, one)).mark("delete-webhook")

    async def add(self) -> None:
        """Ask for what a new one takes, make it and show its address."""
        values = await ask_webhook(self.inputs)
        if values is not None:
            await self.do(self._made(values))

    async def _made(self, values: Mapping[str, Any]) -> None:
        self._show_fresh(await self.services.webhooks.add(self.workflow_id, **values))

    async def _change(self, one: WebhookView) -> None:
        with self.room:
            values = await ask_webhook(self.inputs, one)
        if values is not None:
            await self.do(self.services.webhooks.change(one.webhook_id, **values))

    async def _renew(self, one: WebhookView) -> None:
        more = " and secret" if one.signed else ""
        hint = f"The address{more} that it has now will answer no more."
        with self.room:
            sure = await parts.confirm(
                f"Give “{_name(one)}” a new address{more}?", hint, "New address"
            )
        if sure:
            await self.do(self._renewed(one))

    async def _renewed(self, one: WebhookView) -> None:
        self._show_fresh(await self.services.webhooks.renew(one.webhook_id))

    async def _pause(self, one: WebhookView, enabled: bool) -> None:
        await self.do(self.services.webhooks.change(one.webhook_id, enabled=enabled))

    async def _remove(self, one: WebhookView) -> None:
        hint = "Its address answers no more; a new webhook has another one."
        with self.room:
            sure = await parts.confirm(f"Delete “{_name(one)}”?", hint, "Delete")
        if sure:
            await self.do(self.services.webhooks.remove(one.webhook_id))

    def _show_fresh(self, made: WebhookView) -> None:
        # Not of the context: the row whose menu led here may have been drawn anew meanwhile.
        base = str(self.fresh.client.request.base_url).rstrip("/")
        url = f"{base}{made.url}"
        names = [one.name for one in self.inputs if one.kind == "text"]
        self.fresh.clear()
        title = f"This is the address of “{_name(made)}”. It is shown only now."
        hint = "Copy it to where it is used. Whoever knows it can run the workflow."
        with self.fresh, parts.notice("accent", title, hint, icon="key"):
            _secret("Address", url, "new-webhook-url")
            if made.secret:
                _secret("Secret", made.secret, "new-webhook-secret")
                parts.label(
                    "Send the header X-Signature-256: sha256=HEX, the HMAC-SHA-256 of the body; or, "
                    "so that nobody can send it again, that of v1:TIME.BODY with the header "
                    "X-Signature-Time: TIME, in seconds since 1970.",
                    "rl-muted rl-small",
                )
            body = example_body(made.mapping or {name: name for name in names})
            call = example_call(url, body, made.secret)
            with parts.div("rl-row").style("align-items: flex-start"):
                parts.tag("code", call, "rl-auto-code rl-mono rl-pre rl-grow")
                parts.icon_button("content_copy", "Copy the example", lambda: _copy(call))
            done = parts.quiet("I have copied it", self.fresh.clear).mark("fresh-done")
            done.style("align-self: flex-start")


def _name(one: WebhookView) -> str:
    return one.name or "Webhook"


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
