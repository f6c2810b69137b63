"""Dialogs of the automation page: when a schedule is due, and what a webhook takes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.cron import check_cron, check_timezone, in_words, moment_in_words, next_time
from app.services.triggers import ScheduleView
from app.ui import parts
from app.ui.pages.runbar import RunInput

_HOW_OFTEN = {
    "hour": "Every hour",
    "day": "Every day",
    "work": "Monday to Friday",
    "week": "Every week",
    "month": "Every month",
    "own": "Own times",
}
_DAYS = {
    "1": "Monday", "2": "Tuesday", "3": "Wednesday", "4": "Thursday", "5": "Friday",
    "6": "Saturday", "0": "Sunday",
}  # fmt: skip
_FORMS = (
    ("hour", r"(?P<m>\d+) \* \* \* \*"),
    ("day", r"(?P<m>\d+) (?P<h>\d+) \* \* \*"),
    ("work", r"(?P<m>\d+) (?P<h>\d+) \* \* 1-5"),
    ("week", r"(?P<m>\d+) (?P<h>\d+) \* \* (?P<w>[0-6])"),
    ("month", r"(?P<m>\d+) (?P<h>\d+) (?P<d>\d+) \* \*"),
)


def cron_of(how: str, clock: str, weekday: str, day: str, own: str) -> str:
    """The expression of what was chosen; `clock` is HH:MM."""
    hour, _, minute = clock.partition(":")
    m, h = (int(minute), int(hour)) if minute.isdigit() and hour.isdigit() else (0, 9)
    return {
        "hour": f"{m} * * * *",
        "day": f"{m} {h} * * *",
        "work": f"{m} {h} * * 1-5",
        "week": f"{m} {h} * * {weekday}",
        "month": f"{m} {h} {day} * *",
    }.get(how, own)


def choices_of(cron: str) -> dict[str, str]:
    """How an expression is chosen in the dialog: the reverse of `cron_of`."""
    for how, pattern in _FORMS:
        found = re.fullmatch(pattern, cron)
        if found:
            parts_ = found.groupdict()
            clock = f"{int(parts_.get('h') or 0):02}:{int(parts_['m']):02}"
            return {
                "how": how,
                "clock": clock,
                "weekday": parts_.get("w") or "1",
                "day": parts_.get("d") or "1",
                "own": cron,
            }
    return {"how": "own", "clock": "09:00", "weekday": "1", "day": "1", "own": cron}


def zones() -> list[str]:
    """Names of time zones, UTC first."""
    from zoneinfo import available_timezones

    names = {name for name in available_timezones() if "/" in name and name[:4] not in _ODD_ZONES}
    return ["UTC", *sorted(names)]


_ODD_ZONES = {"Etc/", "posi", "righ", "Syst"}


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
            form.preview()
    answer = await parts.ask(box)
    return answer if isinstance(answer, dict) else None


class ScheduleForm:
    """How often, at what time, where, and with which inputs; says what that means."""

    def __init__(self, inputs: Sequence[RunInput], zone: str, known: ScheduleView | None) -> None:
        self._inputs = [one for one in inputs if one.kind == "text"]
        self._zone = known.timezone if known else zone
        self._name = known.name if known else ""
        self._given = known.input_data if known else {}
        self._choice = choices_of(known.cron if known else "0 9 * * 1-5")
        self._entries: dict[str, ui.input] = {}
        self.gate: ui.button | None = None

    def build(self) -> None:
        """Draw the fields."""
        choice = self._choice
        with parts.div("rl-auto-form"):
            self._how = ui.select(_HOW_OFTEN, value=choice["how"]).mark("how-often")
            _named("How often", self._how)
            self._clock = ui.input(value=choice["clock"]).props("type=time")
            clock = _named("Time", self._clock)
            self._weekday = ui.select(_DAYS, value=choice["weekday"])
            weekday = _named("Day", self._weekday)
            self._day = ui.select({str(n): str(n) for n in range(1, 32)}, value=choice["day"])
            day = _named("Day of the month", self._day)
            self._own = ui.input(value=choice["own"]).mark("cron").props("input-class=rl-mono")
            own = _named("Minute, hour, day, month, day of week", self._own)
            self._shown = {"clock": clock, "weekday": weekday, "day": day, "own": own}
            names = zones()
            if self._zone not in names:
                names.append(self._zone)
            self._place = ui.select(names, value=self._zone, with_input=True)
            _named("Time zone", self._place)
            with parts.div("rl-span"):
                self._words = parts.label("", "rl-strong").props('role="status"')
                self._words.mark("schedule-words")
            for one in self._inputs:
                entry = ui.input(value=str(self._given.get(one.name, "")), placeholder=one.default)
                _named(one.title, entry).classes("rl-span")
                self._entries[one.name] = entry
            self._label = ui.input(value=self._name, placeholder="Optional")
            _named("Name", self._label).classes("rl-span")
        for field in (self._how, self._clock, self._weekday, self._day, self._own, self._place):
            field.on_value_change(self.preview)

    def values(self) -> dict[str, Any]:
        """What was chosen."""
        kept = {k: v for k, v in self._given.items() if k not in self._entries}
        typed = {name: e.value for name, e in self._entries.items() if e.value}
        return {
            "cron": self._cron(),
            "timezone": self._place.value or "UTC",
            "name": self._label.value or "",
            "input_data": {**kept, **typed},
        }

    def preview(self) -> None:
        """Show the fields that count, and say what they mean."""
        how = self._how.value
        self._shown["clock"].set_visibility(how != "own")
        self._shown["weekday"].set_visibility(how == "week")
        self._shown["day"].set_visibility(how == "month")
        self._shown["own"].set_visibility(how == "own")
        try:
            cron, zone = check_cron(self._cron()), check_timezone(self._place.value or "UTC")
            now = time.time()
            following = moment_in_words(next_time(cron, zone, now), zone, now)
            self._words.text = f"{in_words(cron)}. Next: {following}."
            good = True
        except RagloomError as error:
            self._words.text = f"{error.message} {error.fix}"
            good = False
        if self.gate is not None:
            self.gate.set_enabled(good)

    def _cron(self) -> str:
        return cron_of(
            self._how.value or "own",
            self._clock.value or "09:00",
            self._weekday.value or "1",
            self._day.value or "1",
            self._own.value or "",
        )


async def ask_webhook(inputs: Sequence[RunInput]) -> dict[str, Any] | None:
    """Ask for what a webhook takes; None when cancelled."""
    with parts.dialog("New webhook", wide=True) as box:
        name = ui.input(placeholder="Optional; such as the program that calls it")
        _named("Name", name.props("autofocus"))
        parts.label(
            "Each input takes a part of what is posted. Left empty, it takes the value of its own "
            "name.",
            "rl-muted rl-small",
        )
        entries = {}
        for one in inputs:
            if one.kind == "text":
                entry = entries[one.name] = ui.input(
                    placeholder="Such as message.text; * for everything"
                )
                _named(f"{one.title} ({one.name})", entry)
        signed = ui.switch("Requests must be signed with a secret").mark("signed")

        def values() -> dict[str, Any]:
            mapping = {n: e.value.strip() for n, e in entries.items() if (e.value or "").strip()}
            if mapping:
                # With a mapping, only what it names is taken.
                mapping = {n: mapping.get(n, n) for n in entries}
            return {
                "name": name.value or "",
                "mapping": {n: "" if path == "*" else path for n, path in mapping.items()},
                "signed": bool(signed.value),
            }

        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            parts.primary("Create", lambda: box.submit(values())).mark("save-webhook")
    answer = await parts.ask(box)
    return answer if isinstance(answer, dict) else None


def _named(name: str, field: ui.element) -> ui.element:
    """Put a field under its name, and return the two together."""
    field.props["aria-label"] = name
    with parts.div("rl-col").style("gap: 2px") as both:
        parts.label(name, "rl-small rl-muted")
    field.move(both)
    return both
