"""The history of a workflow: its revisions, their names, what changed between them, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from app.engine.graph import Graph
from app.engine.problems import InvalidWorkflow
from app.services.clock import iso
from app.services.threads import call
from app.services.views import Page, View
from app.services.workflows.diff import GraphDiff, diff_graphs

if TYPE_CHECKING:
    from storage.tables import WorkflowRevision
    from storage.workflows import WorkflowRepository

#: Saves of one author that follow each other within this time are one stretch of work.
STRETCH_S = 300.0
_LONGEST_STRETCH_S = 3_600.0


class RevisionView(View):
    """One saved state of a workflow."""

    number: int
    #: What people call it; empty for one that was only saved.
    name: str = ""
    author: str
    message: str
    created_at: str
    node_count: int
    #: The revision whose graph this one brought back.
    restored_from: int | None = None
    #: How many nodes and wires differ from the revision before, by kind of change.
    summary: dict[str, int] | None = None


class RevisionGraph(RevisionView):
    """One saved state of a workflow with its graph, the file `ragloom/1`."""

    graph: dict[str, Any]


class RevisionDiff(View):
    """What changed from one revision to another."""

    from_revision: int
    to_revision: int
    equal: bool
    diff: GraphDiff
    #: What happened to nodes and wires by their ids, as the canvas marks them.
    marks: dict[str, dict[str, str]]


class HistoryService:
    """Every save stays; going back is one more save."""

    def __init__(self, workflows: WorkflowRepository) -> None:
        self._workflows = workflows

    async def list(
        self, workflow_id: str, limit: int = 50, offset: int = 0, *, named: bool = False
    ) -> Page[RevisionView]:
        """Saved states, newest first; with `named` only those that somebody named."""
        rows, total = await call(self._workflows.revisions, workflow_id, limit, offset, named=named)
        return Page(items=[_view(row, size) for row, size in rows], total=total)

    async def get(self, workflow_id: str, number: int) -> RevisionGraph:
        """One saved state. Raises NotFound."""
        row = await call(self._workflows.revision, workflow_id, number)
        view = _view(row, len(row.graph.get("nodes", ())))
        return RevisionGraph(**view.model_dump(), graph=row.graph)

    async def name(
        self, workflow_id: str, number: int, name: str | None = None, message: str | None = None
    ) -> RevisionView:
        """Name a revision, or say what it is about; None leaves that as it is."""
        await call(self._workflows.name_revision, workflow_id, number, name, message)
        return RevisionView(**(await self.get(workflow_id, number)).model_dump(exclude={"graph"}))

    async def restore(
        self,
        workflow_id: str,
        number: int,
        author: str = "",
        base_revision: int | None = None,
    ) -> RevisionGraph:
        """Bring the graph of a revision back as the newest one; returns that.

        Raises NotFound, and Conflict when `base_revision` is given and is not the newest.
        """
        _, row = await call(
            self._workflows.restore,
            workflow_id,
            number,
            author,
            f"Version {number} restored",
            base_revision,
        )
        view = _view(row, len(row.graph.get("nodes", ())))
        return RevisionGraph(**view.model_dump(), graph=row.graph)

    async def diff(
        self, workflow_id: str, from_revision: int, to_revision: int | None = None
    ) -> RevisionDiff:
        """What changed between two revisions; `to_revision` is the newest if left out."""
        return await call(self._diff, workflow_id, from_revision, to_revision)

    def _diff(self, workflow_id: str, from_revision: int, to_revision: int | None) -> RevisionDiff:
        if to_revision is None:
            to_revision = self._workflows.get(workflow_id)[0].revision
        before, after = (
            Graph.parse(self._workflows.revision(workflow_id, number).graph)
            for number in (from_revision, to_revision)
        )
        diff = diff_graphs(before, after)
        return RevisionDiff(
            from_revision=from_revision,
            to_revision=to_revision,
            equal=diff.empty,
            diff=diff,
            marks=diff.marks(),
        )


def summarise(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int]:
    """How two stored graphs differ, in numbers."""
    try:
        return diff_graphs(Graph.parse(before), Graph.parse(after)).counts()
    except InvalidWorkflow:  # one of them is of a form that is not read any more
        return {}


def stretches(revisions: Sequence[RevisionView]) -> Stretches:
    """Revisions, newest first, in groups that a list can fold: one author at work.

    A revision that was named, restored or explained stands alone.
    """
    groups: Stretches = []
    for revision in revisions:
        last = groups[-1][-1] if groups else None
        if (
            last is not None
            and _plain(last)
            and _plain(revision)
            and last.author == revision.author
            and _seconds(last) - _seconds(revision) <= STRETCH_S
            and _seconds(groups[-1][0]) - _seconds(revision) <= _LONGEST_STRETCH_S
        ):
            groups[-1].append(revision)
        else:
            groups.append([revision])
    return groups


#: `list` names a method above.
Stretches = list[list[RevisionView]]


def _plain(revision: RevisionView) -> bool:
    return not (revision.name or revision.message or revision.restored_from)


def _seconds(revision: RevisionView) -> float:
    return datetime.fromisoformat(revision.created_at).timestamp()


def _view(row: WorkflowRevision, node_count: int) -> RevisionView:
    return RevisionView(
        number=row.number,
        name=row.name,
        author=row.author,
        message=row.message,
        created_at=iso(row.created_at),
        node_count=node_count,
        restored_from=row.restored_from,
        summary=row.summary,
    )
