"""Dialogs of the automation page: when a schedule is due, and what a webhook takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from app.services.automation.schedules import ScheduleView
from app.services.automation.webhooks import WebhookView
from app.ui import parts
from app.ui.pages.automation.times import Times, named
from app.ui.pages.canvas.runbar import RunInput


async def ask_schedule(
    inputs: Sequence[RunInput], zone: str, known: ScheduleView | None = None
) -> dict[str, Any] | None:
    """Ask for the times and inputs of a schedule; None when cancelled."""
    with parts.dialog("Change the schedule" if known else "New schedule", wide=True) as box:
        form = ScheduleForm(inputs, zone, known)
        form.build()
        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            save = parts.primary("Save" if known else "Add", lambda: box.submit(form.values()))
            save.mark("save-schedule")
            form.gate = save
            form.check()
    answer = await parts.ask(box)
    return answer if isinstance(answer, dict) else None


class ScheduleForm:
    """How often, at what time, where, and with which inputs; says what that means."""

    def __init__(self, inputs: Sequence[RunInput], zone: str, known: ScheduleView | None) -> None:
        self._inputs = [one for one in inputs if one.kind == "text"]
        self._name = known.name if known else ""
        self._given = known.input_data if known else {}
        self._times = Times(
            known.cron if known else "0 9 * * 1-5", known.timezone if known else zone
        )
        self._entries: dict[str, ui.input] = {}
        self.gate: ui.button | None = None

    def build(self) -> None:
        """Draw the fields."""
        with parts.div("rl-form-grid"):
            self._times.build()
            for one in self._inputs:
                entry = ui.input(value=str(self._given.get(one.name, "")), placeholder=one.default)
                named(one.title, entry).classes("rl-span")
                self._entries[one.name] = entry
            self._label = ui.input(value=self._name, placeholder="Optional")
            named("Name", self._label).classes("rl-span")
        self._times.changed = self.check

    def values(self) -> dict[str, Any]:
        """What was chosen."""
        kept = {k: v for k, v in self._given.items() if k not in self._entries}
        typed = {name: e.value for name, e in self._entries.items() if e.value}
        return {
            "cron": self._times.cron,
            "timezone": self._times.zone,
            "name": self._label.value or "",
            "input_data": {**kept, **typed},
        }

    def check(self) -> None:
        """Let it be saved while it means something."""
        if self.gate is not None:
            self.gate.set_enabled(self._times.good)


async def ask_webhook(
    inputs: Sequence[RunInput], known: WebhookView | None = None
) -> dict[str, Any] | None:
    """Ask for what a webhook takes; None when cancelled."""
    given = known.mapping if known else {}
    with parts.dialog("Change the webhook" if known else "New webhook", wide=True) as box:
        name = ui.input(
            value=known.name if known else "",
            placeholder="Optional; such as the program that calls it",
        )
        named("Name", name.props("autofocus"))
        parts.label(
            "Each input takes a part of what is posted. Left empty, it takes the value of its own "
            "name.",
            "rl-muted rl-small",
        )
        entries = {}
        for one in inputs:
            if one.kind == "text":
                path = given.get(one.name, one.name)
                entry = entries[one.name] = ui.input(
                    value="" if path == one.name else path or "*",
                    placeholder="Such as message.text; * for everything",
                )
                named(f"{one.title} ({one.name})", entry)
        signed = ui.switch("Requests must be signed with a secret").mark("signed")
        # The secret is shown once, with the address.
        signed.set_visibility(known is None)

        def values() -> dict[str, Any]:
            mapping = {n: e.value.strip() for n, e in entries.items() if (e.value or "").strip()}
            if mapping:
                # With a mapping, only what it names is taken.
                mapping = {n: mapping.get(n, n) for n in entries}
            chosen = {
                "name": name.value or "",
                "mapping": {n: "" if path == "*" else path for n, path in mapping.items()},
            }
            return chosen if known else {**chosen, "signed": bool(signed.value)}

        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            words = "Save" if known else "Create"
            parts.primary(words, lambda: box.submit(values())).mark("save-webhook")
    answer = await parts.ask(box)
    return answer if isinstance(answer, dict) else None
