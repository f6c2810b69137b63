"""What is checked and decided before a source is kept: its location, its times, its names."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from app.engine.problems import RagloomError
from app.services.automation.cron import check_cron, check_timezone, next_time
from app.services.ingestion.uploads import safe_filename
from app.services.sources.folder import Roots
from app.services.sources.web import place_of
from app.services.threads import call
from app.services.web import WebService
from app.services.web_address import parse_url
from storage.source_tables import Source

#: Sources of one knowledge base.
MAX_PER_BASE = 100
_MAX_LOCATION = 4_000


async def checked_location(kind: str, location: str, roots: Roots, web: WebService) -> str:
    """The location in its plain form. Raises RagloomError where it cannot be used."""
    if len(location) > _MAX_LOCATION:
        raise RagloomError(
            f"A location has at most {_MAX_LOCATION:,} characters.", code="bad_location"
        )
    if kind == "folder":
        return await call(_folder, location, roots)
    url = str(parse_url(location))
    await web.check_address(url)
    return url


def _folder(location: str, roots: Roots) -> str:
    roots.check(location)
    # As it was written, not where its links lead: that may change, and is checked each time.
    return os.path.abspath(os.path.expanduser(location.strip()))


async def checked_times(
    cron: str, timezone: str, *, enabled: bool
) -> tuple[str, str, float | None]:
    """Expression, time zone and next time. Raises BadSchedule."""
    zone = check_timezone(timezone)
    if not cron.strip():
        return "", zone, None
    plain = await call(check_cron, cron)
    return plain, zone, next_time(plain, zone, time.time()) if enabled else None


def check_room(others: Sequence[Source], kind: str, location: str) -> None:
    """Raise RagloomError where there are too many sources, or the same one already."""
    if len(others) >= MAX_PER_BASE:
        raise RagloomError(
            f"The knowledge base has {MAX_PER_BASE} sources already.",
            code="too_many",
            fix="Remove one that is not needed any more.",
        )
    for other in others:
        if (other.kind, other.location) == (kind, location):
            raise RagloomError(
                f"{location} is a source of this knowledge base already: “{other.name}”.",
                code="conflict",
                fix="Refresh that one, or change what it takes.",
            )


def short_name(name: str) -> str:
    """A name in one line."""
    return " ".join(name.split())[:200]


def default_name(kind: str, location: str) -> str:
    """What a source is called when nobody named it."""
    if kind == "folder":
        return short_name(os.path.basename(location) or location)
    path = parse_url(location).path.strip("/")
    return short_name(
        f"{place_of(location)}/{path}" if path and kind == "url" else place_of(location)
    )


def free_prefix(location: str, others: Sequence[Source]) -> str:
    """What the names of a folder's files begin with: its own name, apart from other sources'."""
    taken = {other.prefix for other in others}
    wished = safe_filename(os.path.basename(location) or "files")
    found, number = wished, 1
    while found in taken:
        number += 1
        found = f"{wished} {number}"
    return found
