"""The branches of a knowledge base: what there is, and deleting one that nobody needs any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.ingestion.reembed import ReembedService
from app.services.knowledge.indexer import Indexer
from app.services.threads import call
from app.services.views import BranchView, DeletedBranch, Page
from storage import tables
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository
from storage.merging import MAIN
from storage.workflows import WorkflowRepository

_Views = list[BranchView]
#: Names that an error lists.
_LISTED = 5


class BranchService:
    """Lists and deletes branches; `kb` is an id or a name."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        workflows: WorkflowRepository,
        reembedding: ReembedService,
        indexer: Indexer,
    ) -> None:
        self._repository = repository
        self._workflows = workflows
        self._reembedding = reembedding
        self._indexer = indexer

    async def list(self, kb: str, limit: int | None = None, offset: int = 0) -> Page[BranchView]:
        """Branches by name, `main` first; all of them without a limit. Raises NotFound."""

        def read() -> Page[BranchView]:
            row = self._repository.find(kb)
            refs = sorted(self._repository.branches(row.id), key=lambda ref: ref.name != MAIN)
            asked = refs[offset:][:limit]
            return Page(items=self._views(row.id, asked), total=len(refs))

        return await call(read)

    async def get(self, kb: str, branch: str) -> BranchView:
        """One branch. Raises NotFound."""

        def read() -> BranchView:
            row = self._repository.find(kb)
            return self._views(row.id, [self._repository.branch(row.id, branch)])[0]

        return await call(read)

    async def delete(self, kb: str, branch: str) -> DeletedBranch:
        """Take a branch away; if it is being embedded anew, that is stopped.

        Raises NotFound, Conflict for `main` and while files are on their way to it, RagloomError
        “conflict” while workflows name it.
        """
        row = await call(self._repository.find, kb)
        async with self._reembedding.held():
            # First: what is refused stops nothing, and `gone` tells whether one was under way.
            seen: dict[str, int] = {}
            unused = partial(self._check_unused, row, branch, seen)
            if branch != MAIN:
                # Every graph is read before; while others wait, only those saved since.
                await call(self._repository.branch, row.id, branch)
                await call(unused)
            gone = await call(self._repository.delete_branch, row.id, branch, unused)
            with contextlib.suppress(NotFound):
                await self._reembedding.stop(row.id, branch)
        self._indexer.touch(row.id)
        return DeletedBranch(
            branch=gone.name,
            commit=gone.commit_id,
            models=gone.models,
            reembedding=gone.reembedding,
        )

    async def bring_back(self, kb: str, deleted: DeletedBranch) -> None:
        """Undo a deletion; if it was being embedded anew, that goes on.

        Raises Conflict where there is another branch of that name by now.
        """
        row = await call(self._repository.find, kb)
        async with self._reembedding.held():
            await call(
                self._repository.create_branch,
                row.id, deleted.branch, deleted.commit, deleted.models, deleted.reembedding,
            )  # fmt: skip
            await self._reembedding.take_up(row.id, deleted.branch)
        self._indexer.touch(row.id)

    def _views(self, kb_id: str, refs: Sequence[tables.Ref]) -> _Views:
        main = self._repository.manifest(self._repository.branch(kb_id, MAIN).commit_id)
        copies = [ref for ref in refs if ref.name != MAIN]
        taken_over = self._repository.taken_over(kb_id, copies)
        views = []
        for ref in refs:
            documents = self._repository.manifest(ref.commit_id)
            views.append(
                BranchView(
                    branch=ref.name,
                    commit=ref.commit_id,
                    updated_at=iso(ref.updated_at),
                    **self._repository.models_of(kb_id, ref.name),
                    document_count=len(documents),
                    only_here=len(documents.keys() - main.keys()),
                    in_use=ref.name == MAIN,
                    taken_over=ref.name in taken_over,
                )
            )
        return views

    def _check_unused(self, row: tables.KnowledgeBase, branch: str, seen: dict[str, int]) -> None:
        """No workflow may fail later because the branch is gone.

        `seen` has ids and revisions of those that do not name it; it is added to.
        """
        found = self._workflows.newest(seen)
        names = [
            workflow.name
            for workflow, newest in found
            if any(_names(config, row, branch) for config in _configs(newest.graph))
        ]
        seen.update((workflow.id, newest.number) for workflow, newest in found)
        if names:
            listed = ", ".join(f"“{name}”" for name in names[:_LISTED])
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            raise RagloomError(
                f"“{branch}” is searched or filled by {listed}{more}.",
                code="conflict",
                fix="Choose another branch in the settings of their nodes first.",
            )


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
