"""Workflows and their revisions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from storage.automation_tables import Schedule, Webhook
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.ids import content_id, new_id
from storage.tables import Run, Workflow, WorkflowRevision

_Workflows = list[tuple[Workflow, WorkflowRevision]]
#: How two graphs differ, in numbers, for the list of revisions.
Summarise = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
#: Advisory lock on PostgreSQL: held alone, it keeps graphs from becoming the newest meanwhile.
NEWEST_GRAPHS = 0x7261_676D
_SHA = re.compile(r"\b[0-9a-f]{64}\b")


class WorkflowRepository:
    """Workflows in SQL. Every save is a revision; nothing is overwritten."""

    def __init__(self, db: Database, summarise: Summarise | None = None) -> None:
        """`summarise` is asked once per new revision; what it says is kept with it."""
        self._db = db
        self._summarise = summarise

    def create(
        self,
        name: str,
        description: str = "",
        graph: Mapping[str, Any] | None = None,
        author: str = "",
    ) -> Workflow:
        """Keep a workflow as revision 1."""
        now = time.time()
        workflow = Workflow(
            id=new_id("wf"),
            name=name,
            description=description,
            revision=1,
            created_at=now,
            updated_at=now,
        )
        with self._db.write() as session:
            self._db.hold(session, NEWEST_GRAPHS, alone=False)
            session.add(workflow)
            session.flush()
            session.add(_revision(workflow, graph or {}, author, ""))
        return workflow

    def get(self, workflow_id: str) -> tuple[Workflow, WorkflowRevision]:
        """A workflow and its newest revision; raises NotFound."""
        with self._db.read() as session:
            workflow = _workflow(session, workflow_id)
            return workflow, session.get_one(WorkflowRevision, (workflow_id, workflow.revision))

    def revision(self, workflow_id: str, number: int) -> WorkflowRevision:
        """One revision; raises NotFound."""
        with self._db.read() as session:
            return _revision_of(session, workflow_id, number)

    def list(
        self, limit: int = 50, offset: int = 0, text: str | None = None
    ) -> tuple[_Workflows, int]:
        """Workflows with their newest revisions, last changed first; and how many."""
        query = (
            select(Workflow, WorkflowRevision)
            .join(
                WorkflowRevision,
                (col(WorkflowRevision.workflow_id) == col(Workflow.id))
                & (col(WorkflowRevision.number) == col(Workflow.revision)),
            )
            .where(col(Workflow.deleted_at).is_(None))
        )
        if text:
            query = query.where(
                col(Workflow.name).icontains(text, autoescape=True)
                | col(Workflow.description).icontains(text, autoescape=True)
            )
        page = query.order_by(col(Workflow.updated_at).desc(), col(Workflow.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            rows = session.exec(page.limit(limit).offset(offset)).all()
        return [(workflow, revision) for workflow, revision in rows], total

    def newest(self, known: Mapping[str, int] | None = None) -> _Workflows:
        """Workflows with their newest revisions, last changed first.

        `known` has ids and the revisions that the caller knows: these are left out.
        """
        there = select(Workflow.id, Workflow.revision).where(col(Workflow.deleted_at).is_(None))
        query = (
            select(Workflow, WorkflowRevision)
            .join(
                WorkflowRevision,
                (col(WorkflowRevision.workflow_id) == col(Workflow.id))
                & (col(WorkflowRevision.number) == col(Workflow.revision)),
            )
            .order_by(col(Workflow.updated_at).desc(), col(Workflow.id))
        )
        with self._db.read() as session:
            ids = [id for id, number in session.exec(there) if (known or {}).get(id) != number]
            rows = session.exec(query.where(self._db.among(Workflow.id, ids))).all() if ids else ()
        return [(workflow, revision) for workflow, revision in rows]

    def save(
        self,
        workflow_id: str,
        graph: Mapping[str, Any],
        base_revision: int,
        author: str = "",
        message: str = "",
    ) -> Workflow:
        """Keep a new revision on top of `base_revision`; an equal graph makes none.

        Raises Conflict, with the newest revision as `current`, when somebody saved since.
        """
        with self._db.write() as session:
            self._db.hold(session, NEWEST_GRAPHS, alone=False)
            workflow = _workflow(session, workflow_id, lock=True)
            newest = session.get_one(WorkflowRevision, (workflow_id, workflow.revision))
            if content_id(newest.graph) == content_id(graph):
                return workflow
            if workflow.revision != base_revision:
                raise _conflict(newest, base_revision)
            session.add(self._next(workflow, newest, graph, author, message))
        return workflow

    def restore(
        self,
        workflow_id: str,
        number: int,
        author: str = "",
        message: str = "",
        base_revision: int | None = None,
    ) -> tuple[Workflow, WorkflowRevision]:
        """Keep the graph of an older revision as the newest one; nothing in between is lost.

        An equal graph makes no revision. Raises NotFound, and Conflict when `base_revision` is
        given and is not the newest.
        """
        with self._db.write() as session:
            self._db.hold(session, NEWEST_GRAPHS, alone=False)
            workflow = _workflow(session, workflow_id, lock=True)
            newest = session.get_one(WorkflowRevision, (workflow_id, workflow.revision))
            if base_revision is not None and workflow.revision != base_revision:
                raise _conflict(newest, base_revision)
            old = _revision_of(session, workflow_id, number)
            if content_id(newest.graph) == content_id(old.graph):
                return workflow, newest
            restored = self._next(workflow, newest, old.graph, author, message)
            restored.restored_from = number
            session.add(restored)
        return workflow, restored

    def name_revision(
        self, workflow_id: str, number: int, name: str | None = None, message: str | None = None
    ) -> WorkflowRevision:
        """Give a revision a name or a message; None leaves them as they are. Raises NotFound."""
        with self._db.write() as session:
            row = _revision_of(session, workflow_id, number)
            if name is not None:
                row.name = name
            if message is not None:
                row.message = message
        return row

    def revisions(
        self, workflow_id: str, limit: int = 50, offset: int = 0, *, named: bool = False
    ) -> tuple[_Revisions, int]:
        """Revisions, newest first, each without its graph but with its number of nodes."""
        nodes = func.json_array_length(col(WorkflowRevision.graph)["nodes"])
        mine = col(WorkflowRevision.workflow_id) == workflow_id
        if named:
            mine = mine & (col(WorkflowRevision.name) != "")
        page = (
            select(WorkflowRevision, nodes)
            .where(mine)
            .options(defer(col(WorkflowRevision.graph)))  # type: ignore[arg-type]
            .order_by(col(WorkflowRevision.number).desc())
        )
        count = select(func.count()).select_from(WorkflowRevision).where(mine)
        with self._db.read() as session:
            _workflow(session, workflow_id)
            total = session.exec(count).one()
            rows = session.exec(page.limit(limit).offset(offset)).all()
        return [(row, int(size or 0)) for row, size in rows], total

    def delete(self, workflow_id: str) -> None:
        """Take a workflow away; `bring_back` undoes that until `purge` removes it."""
        with self._db.write() as session:
            _workflow(session, workflow_id, lock=True).deleted_at = time.time()

    def bring_back(self, workflow_id: str) -> Workflow:
        """Undo a deletion; raises NotFound where nothing is left to bring back."""
        with self._db.write() as session:
            self._db.hold(session, NEWEST_GRAPHS, alone=False)
            workflow = session.get(Workflow, workflow_id, with_for_update=True)
            if workflow is None:
                raise NotFound("workflow", workflow_id)
            workflow.deleted_at = None
        return workflow

    def purge(self, older_than_s: float) -> Sequence[str]:
        """Remove what was deleted that long ago with its revisions, schedules and webhooks.

        Runs stay, each with its own graph. Returns the ids of what went.
        """
        gone = col(Workflow.deleted_at) < time.time() - older_than_s
        with self._db.write() as session:
            ids = session.exec(select(Workflow.id).where(gone)).all()
            session.exec(
                update(Run).where(self._db.among(Run.workflow_id, ids)).values(workflow_id=None)
            )
            for table in (Schedule, Webhook, WorkflowRevision):
                session.exec(delete(table).where(self._db.among(table.workflow_id, ids)))
            session.exec(delete(Workflow).where(self._db.among(Workflow.id, ids)))
        return ids

    def used_blobs(self, shas: Collection[str]) -> set[str]:
        """Those of `shas` that a revision of a workflow names, or the input of a kept run."""
        found: set[str] = set()
        with self._db.read() as session:
            for column in (col(WorkflowRevision.graph), col(Run.input_data)):
                for data in session.exec(select(column).execution_options(yield_per=100)):
                    found.update(_SHA.findall(json.dumps(data)))
        return found.intersection(shas)

    def _next(
        self,
        workflow: Workflow,
        newest: WorkflowRevision,
        graph: Mapping[str, Any],
        author: str,
        message: str,
    ) -> WorkflowRevision:
        workflow.revision += 1
        workflow.updated_at = time.time()
        described = graph.get("graph", {})
        workflow.name = described.get("name") or workflow.name
        workflow.description = described.get("description", workflow.description)
        made = _revision(workflow, graph, author, message)
        if self._summarise is not None:
            made.summary = self._summarise(newest.graph, graph)
        return made


_Revisions = list[tuple[WorkflowRevision, int]]


def _conflict(newest: WorkflowRevision, base_revision: int) -> Conflict:
    return Conflict(
        f"The workflow is at revision {newest.number}; this change was made to "
        f"revision {base_revision}.",
        newest,
    )


def _revision_of(session: Session, workflow_id: str, number: int) -> WorkflowRevision:
    row = session.get(WorkflowRevision, (workflow_id, number))
    if row is None:
        raise NotFound("workflow revision", f"{workflow_id}/{number}")
    return row


def _workflow(session: Session, workflow_id: str, *, lock: bool = False) -> Workflow:
    workflow = session.get(Workflow, workflow_id, with_for_update=lock or None)
    if workflow is None or workflow.deleted_at is not None:
        raise NotFound("workflow", workflow_id)
    return workflow


def _revision(
    workflow: Workflow, graph: Mapping[str, Any], author: str, message: str
) -> WorkflowRevision:
    return WorkflowRevision(
        workflow_id=workflow.id,
        number=workflow.revision,
        graph=dict(graph),
        author=author,
        message=message,
        created_at=workflow.updated_at,
    )
