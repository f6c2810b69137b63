"""When something is to happen by itself: how often, at what time, in which time zone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.automation.cron import (
    check_cron,
    check_timezone,
    in_words,
    moment_in_words,
    next_time,
)
from app.ui import parts

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
_ODD_ZONES = {"Etc/", "posi", "righ", "Syst"}
_ZONE_JS = "Intl.DateTimeFormat().resolvedOptions().timeZone"


def cron_of(how: str, clock: str, weekday: str, day: str, own: str) -> str:
    """The expression of what was chosen; `clock` is HH:MM."""
    hour, _, minute = clock.partition(":")
    m, h = (int(minute), int(hour)) if minute.isdigit() and hour.isdigit() else (0, 9)
    return {
        "never": "",
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
    how = "own" if cron else "never"
    return {"how": how, "clock": "09:00", "weekday": "1", "day": "1", "own": cron}


def zones() -> list[str]:
    """Names of time zones, UTC first."""
    from zoneinfo import available_timezones

    names = {name for name in available_timezones() if "/" in name and name[:4] not in _ODD_ZONES}
    return ["UTC", *sorted(names)]


async def browser_zone() -> str:
    """The time zone of whoever looks at the page."""
    try:
        zone = await ui.run_javascript(_ZONE_JS, timeout=3)
    except TimeoutError:
        return "UTC"
    return zone if isinstance(zone, str) and zone else "UTC"


def named(name: str, field: ui.element) -> ui.element:
    """Put a field under its name, and return the two together."""
    field.props["aria-label"] = name
    with parts.div("rl-col").style("gap: 2px") as both:
        parts.label(name, "rl-small rl-muted")
    field.move(both)
    return both


class Times:
    """Fields for a grid (`rl-form-grid`) that make a cron expression, and say what it means."""

    def __init__(self, cron: str, zone: str, *, never: str = "") -> None:
        """With `never`, nothing by itself is a choice too, and is called that."""
        self._zone = zone
        self._choice = choices_of(cron)
        self._ways = {"never": never, **_HOW_OFTEN} if never else _HOW_OFTEN
        #: Called whenever what was chosen changed.
        self.changed: Callable[[], None] = lambda: None

    def build(self) -> None:
        """Draw the fields."""
        choice = self._choice
        self._how = ui.select(self._ways, value=choice["how"]).mark("how-often")
        named("How often", self._how)
        self._clock = ui.input(value=choice["clock"]).props("type=time")
        clock = named("Time", self._clock)
        self._weekday = ui.select(_DAYS, value=choice["weekday"])
        weekday = named("Day", self._weekday)
        self._day = ui.select({str(n): str(n) for n in range(1, 32)}, value=choice["day"])
        day = named("Day of the month", self._day)
        self._own = ui.input(value=choice["own"]).mark("cron").props("input-class=rl-mono")
        own = named("Minute, hour, day, month, day of week", self._own)
        names = zones()
        if self._zone not in names:
            names.append(self._zone)
        self._place = ui.select(names, value=self._zone, with_input=True)
        place = named("Time zone", self._place)
        with parts.div("rl-span"):
            self._words = parts.label("", "rl-strong").props('role="status"')
            self._words.mark("schedule-words")
        self._shown = {"clock": clock, "weekday": weekday, "day": day, "own": own, "zone": place}
        for field in (self._how, self._clock, self._weekday, self._day, self._own, self._place):
            field.on_value_change(self.preview)
        self.preview()

    @property
    def cron(self) -> str:
        """The expression of what is chosen; empty for nothing by itself."""
        return cron_of(
            self._how.value or "own",
            self._clock.value or "09:00",
            self._weekday.value or "1",
            self._day.value or "1",
            self._own.value or "",
        )

    @property
    def zone(self) -> str:
        """The time zone that is chosen."""
        return self._place.value or "UTC"

    @property
    def good(self) -> bool:
        """Whether what is chosen means something."""
        return self._good

    def preview(self) -> None:
        """Show the fields that count, and say what they mean."""
        how = self._how.value
        self._shown["clock"].set_visibility(how not in ("own", "never"))
        self._shown["weekday"].set_visibility(how == "week")
        self._shown["day"].set_visibility(how == "month")
        self._shown["own"].set_visibility(how == "own")
        self._shown["zone"].set_visibility(how != "never")
        self._words.set_visibility(how != "never")
        self._good = True
        if how != "never":
            try:
                cron, zone = check_cron(self.cron), check_timezone(self.zone)
                now = time.time()
                following = moment_in_words(next_time(cron, zone, now), zone, now)
                self._words.text = f"{in_words(cron)}. Next: {following}."
            except RagloomError as error:
                self._words.text = f"{error.message} {error.fix}"
                self._good = False
        self._words.classes(
            add="" if self._good else "rl-danger", remove="rl-danger" if self._good else ""
        )
        self.changed()
