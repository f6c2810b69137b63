"""Reasons why no file can go on, and how long a job waits over one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Codes of errors of the place, not of the file: every other file would meet the same.
PAUSING = frozenset(
    {
        "storage_full",
        "storage_read_only",
        "model_unavailable",
        "provider_unreachable",
        "provider_timeout",
        "provider_rate_limit",
        "pipeline_missing",
    }
)
#: Those that keep even this from being written down.
STORAGE = frozenset({"storage_full", "storage_read_only"})


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds a job waits before it tries again: doubled each time nothing went well in between."""

    first_s: float = 5.0
    longest_s: float = 600.0
    #: Between attempts to write to a database that takes no writes; the last one repeats.
    writing_s: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Blocked:
    """The database takes no writes: every job waits, though no row can say so."""

    reason: Mapping[str, Any]
    since: float
    retry_at: float
