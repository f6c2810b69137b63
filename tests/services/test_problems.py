"""Every exception becomes a code, a sentence, a status and an exit code in one place."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from app.documents.errors import DocumentError
from app.engine.problems import InvalidWorkflow, ModelUnavailable, Problem, RagloomError
from app.services.problems import explain
from storage.errors import Conflict, DataFolderInUse, NotFound, StorageFull, TooLarge


class _Model(BaseModel):
    port: int


def _validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _Model(port="x")  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("error", "code", "status", "exit_code"),
    [
        (NotFound("document", "d1"), "not_found", 404, 4),
        (Conflict("Changed.", current=7), "conflict", 409, 1),
        (DataFolderInUse(Path("data"), 42, "http://x"), "data_folder_in_use", 409, 3),
        (StorageFull("data"), "storage_full", 507, 5),
        (TooLarge(10), "too_large", 413, 2),
        (OSError(errno.ENOSPC, "no space"), "storage_full", 507, 5),
        (DocumentError("encrypted", "It is encrypted.", "Decrypt it."), "encrypted", 422, 2),
        (ModelUnavailable("No key.", fix="Set it."), "model_unavailable", 422, 6),
        (
            InvalidWorkflow("No.", problems=[Problem(code="cycle", message="c")]),
            "invalid_workflow",
            422,
            2,
        ),
        (RagloomError("Slow.", code="provider_timeout"), "provider_timeout", 504, 1),
        (TimeoutError(), "timeout", 504, 1),
        (_validation_error(), "invalid_input", 422, 2),
    ],
)
def test_known_errors(error: Exception, code: str, status: int, exit_code: int) -> None:
    report = explain(error)
    assert (report.code, report.http_status, report.exit_code) == (code, status, exit_code)
    assert report.message.endswith(".")


def test_details_carry_problems_and_places() -> None:
    problems = [Problem(code="cycle", message="A cycle.", node="a")]
    details = explain(InvalidWorkflow("No.", problems=problems)).details
    assert details == [{"code": "cycle", "message": "A cycle.", "node": "a", "severity": "error"}]
    assert explain(_validation_error()).details[0]["place"] == "port"
    assert explain(Conflict("Changed.", current=7)).details == [{"current": 7}]


def test_the_unforeseen_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        report = explain(KeyError("secret"))
    assert (report.code, report.http_status) == ("internal_error", 500)
    assert "secret" not in report.sentence()
    assert "secret" in caplog.text
