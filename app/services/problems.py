"""The one place where an exception becomes what a page, REST or the command line shows."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.engine.problems import Problem, RagloomError
from app.engine.unfit import unfit

log = logging.getLogger(__name__)

#: Process exit codes: 1 for what went wrong on the way, 2 for how it was called.
EXIT_FAILED, EXIT_USAGE, EXIT_IN_USE, EXIT_NOT_FOUND, EXIT_DISK, EXIT_MODEL = 1, 2, 3, 4, 5, 6

_BAD_REQUEST = (422, EXIT_USAGE)
#: code -> (HTTP status, exit code)
_OUTCOMES: dict[str, tuple[int, int]] = {
    "not_found": (404, EXIT_NOT_FOUND),
    "conflict": (409, EXIT_FAILED),
    "merge_conflict": (409, EXIT_FAILED),
    "name_taken": (409, EXIT_FAILED),
    "workflow_in_use": (409, EXIT_FAILED),
    "model_mismatch": (409, EXIT_MODEL),
    "data_folder_in_use": (409, EXIT_IN_USE),
    "port_in_use": (409, EXIT_IN_USE),
    "not_running": (409, EXIT_FAILED),
    "storage_full": (507, EXIT_DISK),
    "storage_read_only": (507, EXIT_DISK),
    "too_large": (413, EXIT_USAGE),
    "too_many_files": (413, EXIT_USAGE),
    "unsupported_type": (415, EXIT_USAGE),
    "unauthorized": (401, EXIT_FAILED),
    "forbidden": (403, EXIT_FAILED),
    "not_ready": (503, EXIT_FAILED),
    "busy": (429, EXIT_FAILED),
    "timeout": (504, EXIT_FAILED),
    "provider_timeout": (504, EXIT_FAILED),
    "provider_rate_limit": (429, EXIT_FAILED),
    "provider_unreachable": (502, EXIT_FAILED),
    "provider_error": (502, EXIT_FAILED),
    "model_unavailable": (422, EXIT_MODEL),
    "cancelled": (409, EXIT_FAILED),
    "internal_error": (500, EXIT_FAILED),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What went wrong, for whoever asked."""

    code: str
    message: str
    fix: str = ""
    #: Problems or places as JSON data.
    details: list[dict[str, Any]] = field(default_factory=list)
    http_status: int = 500
    exit_code: int = EXIT_FAILED

    def data(self) -> dict[str, Any]:
        """{"code", "message", "fix"}: what tasks, steps and runs keep."""
        return {"code": self.code, "message": self.message, "fix": self.fix}

    def sentence(self) -> str:
        """Message and fix in one line."""
        return f"{self.message} {self.fix}".strip()


def explain(error: BaseException) -> Report:
    """Turn any exception into a report; what nobody foresaw is logged with its traceback."""
    if isinstance(error, RagloomError):
        details = [_problem(problem) for problem in error.problems]
        if error.details:
            details.append({key: _plain(value) for key, value in error.details.items()})
        return _report(error.code, error.message, error.fix, details)
    if isinstance(error, ValidationError):
        return _validation(error)
    if speaks_for_itself(error):
        return _own_words(error)
    for kind, (code, message, fix) in _BUILT_IN.items():
        if isinstance(error, kind):
            return _report(code, message, fix)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _report("storage_full", "The disk is full.", "Free some space and try again.")
    log.error("unforeseen error", exc_info=error)
    return _report(
        "internal_error",
        f"Something went wrong inside Ragloom ({type(error).__name__}).",
        "The log of the server says where; please report it.",
    )


_BUILT_IN: dict[type[BaseException], tuple[str, str, str]] = {
    TimeoutError: ("timeout", "It took longer than allowed.", "Raise the limit or try again."),
    asyncio.CancelledError: ("cancelled", "It was cancelled.", "Start it again when you want it."),
}


def _own_words(error: Any) -> Report:
    current = getattr(error, "current", None)
    details = [{"current": current}] if isinstance(current, int | str) else []
    return _report(error.code, error.message, error.fix, details)


@contextmanager
def in_own_words() -> Iterator[None]:
    """Let errors of storage and documents through as RagloomError, which nodes may raise."""
    try:
        yield
    except RagloomError:
        raise
    except Exception as error:
        if not speaks_for_itself(error):
            raise
        report = explain(error)
        raise RagloomError(report.message, code=report.code, fix=report.fix) from error


def speaks_for_itself(error: BaseException) -> bool:
    """Whether it says what happened and what to do: errors of storage, documents and services carry
    code, message and fix without sharing a base class."""
    return all(isinstance(getattr(error, name, None), str) for name in ("code", "message", "fix"))


def _report(code: str, message: str, fix: str, details: Sequence[dict[str, Any]] = ()) -> Report:
    status, exit_code = _OUTCOMES.get(code, _BAD_REQUEST)
    return Report(code, message, fix, list(details), status, exit_code)


def _validation(error: ValidationError) -> Report:
    details = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"])
        details.append(
            {
                "code": item["type"],
                "place": place,
                "message": unfit(item),
                "found": _plain(item["input"]),
            }
        )
    said = "; ".join(
        f"{d['place']}: {d['message']}" if d["place"] else d["message"] for d in details
    )
    return _report("invalid_input", f"The input does not fit: {said}.", "", details)


def _problem(problem: Problem) -> dict[str, Any]:
    return problem.model_dump(mode="json", exclude_none=True, exclude_defaults=True) | {
        "severity": problem.severity
    }


def _plain(value: Any) -> Any:
    """JSON data for a value of any kind, cut where it is long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if len(value) <= 200 else value[:199] + "…"
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:50]]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in list(value.items())[:50]}
    return _plain(str(value))
