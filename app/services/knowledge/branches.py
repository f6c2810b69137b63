"""The branches of a knowledge base: what there is, and deleting one that nobody needs any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.ingestion.reembed import ReembedService
from app.services.knowledge.indexer import Indexer
from app.services.threads import call
from app.services.views import BranchView, DeletedBranch, Page
from storage import tables
from storage.errors import NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository
from storage.merging import MAIN
from storage.workflows import WorkflowRepository

_ALL = 10_000
#: Names that an error lists.
_LISTED = 5
_UNDER_WAY = ("queued", "running", "paused")


class BranchService:
    """Lists and deletes branches; `kb` is an id or a name."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        jobs: JobRepository,
        workflows: WorkflowRepository,
        reembedding: ReembedService,
        indexer: Indexer,
    ) -> None:
        self._repository = repository
        self._jobs = jobs
        self._workflows = workflows
        self._reembedding = reembedding
        self._indexer = indexer

    async def list(self, kb: str) -> Page[BranchView]:
        """All branches by name, `main` first. Raises NotFound."""

        def read() -> Page[BranchView]:
            row = self._repository.find(kb)
            refs = sorted(self._repository.branches(row.id), key=lambda ref: ref.name != MAIN)
            return Page(items=[self._view(row.id, ref) for ref in refs], total=len(refs))

        return await call(read)

    async def get(self, kb: str, branch: str) -> BranchView:
        """One branch. Raises NotFound."""
        for view in (await self.list(kb)).items:
            if view.branch == branch:
                return view
        raise NotFound("branch", branch)

    async def delete(self, kb: str, branch: str) -> DeletedBranch:
        """Take a branch away; if it is being embedded anew, that is stopped.

        Raises NotFound, Conflict for `main`, and RagloomError “conflict” while workflows name it
        or files are on their way to it.
        """
        row = await call(self._repository.find, kb)
        async with self._reembedding.held():
            await call(self._check_unused, row, branch)
            with contextlib.suppress(NotFound):
                await self._reembedding.stop(row.id, branch)
            gone = await call(self._repository.delete_branch, row.id, branch)
        self._indexer.touch(row.id)
        return DeletedBranch(
            branch=gone.name,
            commit=gone.commit_id,
            models=gone.models,
            reembedding=gone.reembedding,
        )

    async def bring_back(self, kb: str, deleted: DeletedBranch) -> None:
        """Undo a deletion. Raises Conflict where there is another branch of that name by now."""

        row = await call(self._repository.find, kb)

        def write() -> None:
            self._repository.create_branch(row.id, deleted.branch, deleted.commit, deleted.models)
            if deleted.reembedding is not None:
                self._repository.note_reembedding(row.id, deleted.branch, **deleted.reembedding)

        await call(write)
        self._indexer.touch(row.id)

    def _view(self, kb_id: str, ref: tables.Ref) -> BranchView:
        documents = self._repository.manifest(ref.commit_id)
        main = self._repository.manifest(self._repository.resolve(kb_id, MAIN).id)
        return BranchView(
            branch=ref.name,
            commit=ref.commit_id,
            updated_at=iso(ref.updated_at),
            **self._repository.models_of(kb_id, ref.name),
            document_count=len(documents),
            only_here=len(documents.keys() - main.keys()),
            in_use=ref.name == MAIN,
            taken_over=ref.name != MAIN and self._repository.is_taken_over(kb_id, ref.name),
        )

    def _check_unused(self, row: tables.KnowledgeBase, branch: str) -> None:
        """Nothing may fail later because the branch is gone. `main` is refused by storage."""
        if branch == MAIN:
            return
        jobs, _ = self._jobs.list(row.id, _UNDER_WAY, _ALL)
        if any(job.branch == branch for job in jobs):
            raise _needed(
                f"Files are on their way to “{branch}”.",
                "Wait for them, or cancel their jobs first.",
            )
        found, _ = self._workflows.list(_ALL)
        names = [
            workflow.name
            for workflow, newest in found
            if any(_names(config, row, branch) for config in _configs(newest.graph))
        ]
        if names:
            listed = ", ".join(f"“{name}”" for name in names[:_LISTED])
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise _needed(
                f"“{branch}” is searched or filled by {listed}{more}.",
                "Choose another branch in the settings of their nodes first.",
            )


def _needed(message: str, fix: str) -> RagloomError:
    return RagloomError(message, code="conflict", fix=fix)


def _configs(value: Any) -> Iterator[Mapping[str, Any]]:
    """Settings of all nodes of a graph, those within bodies of nodes too."""
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _configs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _configs(inner)


def _names(config: Mapping[str, Any], row: tables.KnowledgeBase, branch: str) -> bool:
    """Whether settings ask for a branch of a knowledge base, which they name or know by its id."""
    return config.get("ref") == branch and config.get("knowledge_base") in (row.id, row.name)
