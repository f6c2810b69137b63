"""Runs by what is known of them: workflow, status, trigger, and any words in what went in or out."""

from __future__ import annotations

import json

from sqlalchemy import String, cast, func, or_
from sqlalchemy.orm import defer
from sqlmodel import col, select

from storage.database import Database
from storage.tables import Run

_Runs = list[Run]


def find_runs(
    db: Database,
    *,
    workflow_id: str | None = None,
    status: str | None = None,
    trigger: str | None = None,
    text: str = "",
    limit: int = 50,
    offset: int = 0,
) -> tuple[_Runs, int]:
    """Runs, newest first, without their graphs; and how many. `text` is any part of them."""
    query = select(Run)
    for column, wanted in (
        (col(Run.workflow_id), workflow_id),
        (col(Run.status), status),
        (col(Run.trigger), trigger),
    ):
        if wanted:
            query = query.where(column == wanted)
    if text:
        # JSON is kept with everything but ASCII escaped.
        escaped = json.dumps(text)[1:-1]
        found = [col(Run.workflow_name).icontains(text, autoescape=True), col(Run.id) == text]
        for data in (col(Run.input_data), col(Run.outputs), col(Run.error)):
            found.append(cast(data, String).icontains(escaped, autoescape=True))
        query = query.where(or_(*found))
    count = select(func.count()).select_from(query.with_only_columns(col(Run.id)).subquery())
    page = (
        query.options(defer(col(Run.graph)))  # type: ignore[arg-type]
        .order_by(col(Run.started_at).desc(), col(Run.id))
        .limit(limit)
        .offset(offset)
    )
    with db.read() as session:
        return list(session.exec(page).all()), session.exec(count).one()
