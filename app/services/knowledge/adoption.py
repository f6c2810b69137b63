"""Having a branch be what is searched and shown by default, and going back to an earlier state."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from app.engine.problems import RagloomError
from app.services.ingestion.embeddings import checked_models
from app.services.ingestion.reembed import ReembeddingView, ReembedService, beginning
from app.services.knowledge.indexer import Indexer
from app.services.models import ModelService
from app.services.rows import commit_view
from app.services.threads import call
from app.services.views import CommitView, View
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository
from storage.merging import MAIN, Move, Side

__all__ = ["MAIN", "Adoption", "AdoptionService", "Side"]


class Adoption(View):
    """What `main` is by now."""

    commit: CommitView = Field(description="The commit that `main` is at.")
    before: str = Field(description="The commit that it was at: restore it to go back.")
    reembedding: ReembeddingView | None = Field(
        None, description="Where documents came to main meanwhile that are being embedded anew."
    )


class AdoptionService:
    """Moves `main`; every move is a commit, and can be taken back by another one."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        reembedding: ReembedService,
        models: ModelService,
        indexer: Indexer,
    ) -> None:
        self._repository = repository
        self._reembedding = reembedding
        self._models = models
        self._indexer = indexer

    async def adopt(
        self, kb: str, branch: str, *, prefer: Side | None = None, author: str = ""
    ) -> Adoption:
        """Merge a branch into `main`, which takes its models along.

        What came to `main` since the branch began stays, and is embedded anew by those models; so
        is what was under way. Raises NotFound, ModelUnavailable, RagloomError “conflict” while
        either is embedded anew or the branch is not wholly so, MergeConflict where a document was
        changed on both and nobody is preferred.
        """
        base = await call(self._repository.find, kb)
        if branch == MAIN:
            raise RagloomError(
                "main is what is used already.", code="conflict", fix="Name another branch."
            )
        async with self._reembedding.held():
            await self._check_still(base.id, MAIN)
            await self._check_still(base.id, branch, wholly=True)
            models = await call(self._repository.branch_models, base.id, branch)
            await self._check_models(models)
            message = f"Use “{branch}” from now on"
            noted = beginning(author, time.time())
            moved = await call(
                self._repository.adopt, base.id, branch, author, message,
                prefer=prefer, reembedding=noted,
            )  # fmt: skip
            self._indexer.touch(base.id)
            if models is None:
                return _adoption(moved)
            await self._reembedding.take_up(base.id, MAIN)
        return _adoption(moved, await self._reembedding.get(base.id, MAIN))

    async def is_used(self, kb: str, branch: str) -> bool:
        """Whether there is nothing to take over from a branch. Raises NotFound."""
        base = await call(self._repository.find, kb)

        def read() -> bool:
            ref = self._repository.branch(base.id, branch)
            return bool(self._repository.taken_over(base.id, [ref]))

        return await call(read)

    async def restore(self, kb: str, commit: str, *, author: str = "") -> Adoption:
        """Have `main` hold what it held at a commit, with the models that it had then.

        That it is embedded anew ends. Raises NotFound, ModelUnavailable.
        """
        base = await call(self._repository.find, kb)
        wanted = await call(self._repository.resolve, base.id, commit)
        models = await call(self._models_at, wanted.id)
        await self._check_models(models)
        message = f"Go back to {wanted.id[:8]}: {wanted.message}"
        async with self._reembedding.held():
            with contextlib.suppress(NotFound):
                await self._reembedding.stop(base.id, MAIN)
            moved = await call(
                self._repository.go_back, base.id, wanted, author, message, models=models
            )
        self._indexer.touch(base.id)
        return _adoption(moved)

    async def _check_models(self, models: Mapping[str, Any] | None) -> None:
        """Nothing is moved to models that cannot be used: neither search nor upload would work."""
        if models is not None:
            await checked_models(self._models, models["embedding_model"], models["language_models"])

    async def _check_still(self, kb_id: str, branch: str, *, wholly: bool = False) -> None:
        try:
            view = await self._reembedding.get(kb_id, branch)
        except NotFound:
            return
        if view.status in ("running", "paused"):
            raise RagloomError(
                f"The branch “{branch}” is being embedded anew just now: {view.done} of "
                f"{view.documents} documents.",
                code="conflict",
                fix="Wait for it, or stop it first.",
            )
        if wholly and view.done < view.documents:
            raise RagloomError(
                f"Only {view.done} of {view.documents} documents of the branch “{branch}” are "
                f"embedded by {view.embedding_model}.",
                code="conflict",
                fix="Ask for it once more: it goes on where it was. Then use the branch.",
            )

    def _models_at(self, commit_id: str) -> dict[str, Any] | None:
        """The models of most documents at a commit; None where they do not tell, or are none."""
        shares = self._repository.shares_at(commit_id)
        if not shares:
            return None
        embedding = max(shares, key=lambda share: len(shares[share])).embedding
        if not embedding.model.name:
            return None
        return {
            "embedding_model": embedding.model.name,
            "language_models": {language: model.name for language, model in embedding.languages},
        }


def _adoption(moved: Move, reembedding: ReembeddingView | None = None) -> Adoption:
    return Adoption(
        commit=commit_view(moved.after), before=moved.before.id, reembedding=reembedding
    )
