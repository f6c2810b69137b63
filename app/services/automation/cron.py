"""Times of schedules: cron expressions with a time zone, checked, computed and put in words."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from zoneinfo import ZoneInfo

from app.engine.problems import RagloomError

_SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CRON_DAYS = {**{str(i): _DAYS[i - 1] for i in range(1, 8)}, "0": "Sunday"}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
#: Clocks are put back by two hours at most (Troll); what comes twice is over that much later.
_LONGEST_TWICE_S = 3 * 3600.0
_CLOCK = r"(?P<m>\d+) (?P<h>\d+)"
_WORDS = (
    (r"\* \* \* \* \*", "Every minute"),
    (r"\*/(?P<m>\d+) \* \* \* \*", "Every {m} minutes"),
    (r"0 \* \* \* \*", "Every hour"),
    (r"(?P<m>\d+) \* \* \* \*", "Every hour, {m} minutes past"),
    (rf"{_CLOCK} \* \* \*", "Every day at {clock}"),
    (rf"{_CLOCK} \* \* (1-5|MON-FRI)", "Monday to Friday at {clock}"),
    (rf"{_CLOCK} \* \* (?P<w>[0-7])", "Every {weekday} at {clock}"),
    (rf"{_CLOCK} (?P<d>\d+) \* \*", "On day {d} of each month at {clock}"),
)
_HELP = (
    "Write five fields: minute, hour, day of month, month, day of week; such as “0 9 * * 1-5” "
    "for nine o'clock from Monday to Friday."
)


class BadSchedule(RagloomError):
    """A cron expression or a time zone that means nothing."""

    code = "bad_schedule"


def check_cron(text: str) -> str:
    """The expression in its plain form. Raises BadSchedule."""
    plain = " ".join(_SHORTCUTS.get(text.strip().lower(), text).split())
    if len(plain) > 200 or len(plain.split()) != 5:
        raise BadSchedule(f"“{text[:100]}” is no time to repeat.", fix=_HELP)
    from croniter import croniter  # type: ignore[import-untyped]

    if not croniter.is_valid(plain):
        wrong = [
            f"“{field[:40]}” is no {name}"
            for place, (name, field) in enumerate(zip(_FIELDS, plain.split(), strict=True))
            if not croniter.is_valid(" ".join(["*"] * place + [field] + ["*"] * (4 - place)))
        ]
        said = "; ".join(wrong) or f"“{text[:100]}” is no time to repeat"
        raise BadSchedule(f"{said}.", fix=_HELP)
    next_time(plain, "UTC", 0.0)
    return plain


def check_timezone(name: str) -> str:
    """The name of a time zone. Raises BadSchedule."""
    _zone(name)
    return name


def next_time(cron: str, timezone: str, after: float) -> float:
    """The first time after `after` (seconds since the epoch) at which the schedule is due.

    Where clocks are put forward, a time that does not exist comes just after. Where they are put
    back, a time of day that comes twice counts once, but what is due every hour, or every few
    minutes, goes on through both. Raises BadSchedule when there is no such time.
    """
    zone = _zone(timezone)
    at = _after(cron, zone, after)
    if _is_for_every_hour(cron):
        # Time that passes, other than the clock on the wall, has no hour twice. It is told as the
        # wall will tell it after the hour that comes twice, should that be near.
        soon = datetime.fromtimestamp(after + _LONGEST_TWICE_S, zone).utcoffset() or timedelta()
        passing = after
        while (passing := _after(cron, fixed_zone(soon), passing)) < at:
            if _is_due(cron, datetime.fromtimestamp(passing, zone)):
                return passing
    return at


def _is_for_every_hour(cron: str) -> bool:
    from croniter import croniter

    # However it is written: “*/1” and “0-23” become “*” too.
    return bool(croniter.expand(cron)[0][1] == ["*"])


def _after(cron: str, zone: tzinfo, after: float) -> float:
    from croniter import CroniterError, croniter

    # Walk along the wall clock, which is what people mean by “every day at nine”.
    wall = datetime.fromtimestamp(after, zone).replace(tzinfo=None)
    times = croniter(cron, wall, max_years_between_matches=8)
    try:
        for _ in range(200):
            at: float = times.get_next(datetime).replace(tzinfo=zone).timestamp()
            if at > after:
                return at
    except CroniterError:
        pass
    raise BadSchedule(f"“{cron}” never comes.", fix=_HELP)


def _is_due(cron: str, moment: datetime) -> bool:
    from croniter import croniter

    return bool(croniter.match(cron, moment.replace(tzinfo=None)))


def in_words(cron: str) -> str:
    """What a schedule means, for the common ones; else the expression itself."""
    for pattern, words in _WORDS:
        found = re.fullmatch(pattern, cron)
        if found is not None:
            parts = found.groupdict()
            parts["clock"] = f"{int(parts.get('h') or 0):02}:{int(parts.get('m') or 0):02}"
            parts["weekday"] = _CRON_DAYS.get(parts.get("w") or "", "")
            return words.format(**parts)
    return f"At “{cron}”"


def moment_in_words(at: float, timezone: str, now: float) -> str:
    """When something is, as people say it: “in 5 minutes”, “tomorrow at 09:00”.

    In UTC where the time zone was lost, and says so.
    """
    zone: tzinfo = UTC
    named = " UTC"
    with suppress(BadSchedule):
        zone, named = _zone(timezone), ""
    then, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    seconds = at - now
    if 0 <= seconds < 60:
        return "in less than a minute"
    if 0 <= seconds < 3600:
        minutes = round(seconds / 60)
        return f"in {minutes} minute{'s' if minutes != 1 else ''}"
    clock = then.strftime("%H:%M") + named
    if then.date() == today.date():
        return f"today at {clock}"
    if then.date() == (today + timedelta(days=1)).date():
        return f"tomorrow at {clock}"
    if 0 <= seconds < 6 * 86_400:
        return f"on {_DAYS[then.weekday()]} at {clock}"
    return f"on {then.day} {then.strftime('%B %Y')} at {clock}"


def _zone(name: str) -> tzinfo:
    if name == "UTC":  # there even on machines without a database of time zones
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown names, folders, and paths that lead away
        raise BadSchedule(
            f"There is no time zone “{name[:100]}”.",
            fix="Use a name such as Europe/Berlin, America/New_York or UTC.",
        ) from None
