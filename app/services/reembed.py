"""Embedding the documents of a knowledge base anew, with other models, on a branch.

Nothing is parsed again: chunks are copied, with the corrections people made. What a branch is to
be embedded by is written down with it, and what is done can be told from its versions; so work
that was broken off goes on when it is asked for again, and repeats nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from app.engine.problems import RagloomError
from app.services.chunk_edits import EDIT_CONFLICTS
from app.services.clock import iso
from app.services.embeddings import Embeddings, Text, checked_models
from app.services.indexer import Indexer
from app.services.models import DEFAULT_EMBEDDER, ModelService
from app.services.problems import explain, in_own_words
from app.services.threads import call
from app.services.views import View
from storage import ids, tables
from storage.embedding import Embedding
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository
from storage.model_use import Copy

log = logging.getLogger(__name__)

#: Documents of a commit, and the chunks after which no further document joins it.
_BATCH_DOCUMENTS, _BATCH_CHUNKS = 50, 1_000
_ALL_CHUNKS = 1_000_000
MAIN = "main"

_Place = tuple[str, str]


class ReembeddingView(View):
    """How far a branch is embedded by the models that were asked for."""

    knowledge_base_id: str
    branch: str
    embedding_model: str
    language_models: dict[str, str] = {}
    #: “stopped”: ask for it again and it goes on.
    status: Literal["running", "completed", "failed", "stopped"]
    documents: int = Field(0, description="Documents on the branch.")
    done: int = Field(0, description="Those of them that are embedded by these models.")
    embedded: int = Field(0, description="Texts embedded since it was last asked for.")
    error: dict[str, Any] | None = Field(None, description="Where it failed: code, message, fix.")
    started_at: str | None = None
    finished_at: str | None = None


@dataclass
class _Work:
    """One embedding anew, in this process."""

    base: tables.KnowledgeBase
    branch: str
    models: dict[str, Any]
    author: str
    embedded: int = 0
    error: dict[str, Any] | None = None
    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.task is not None and not self.task.done()


class ReembedService:
    """Makes branches whose documents are embedded by other models."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        models: ModelService,
        indexer: Indexer,
        embeddings: Embeddings,
    ) -> None:
        self._repository = repository
        self._models = models
        self._indexer = indexer
        self._embeddings = embeddings
        self._work: dict[_Place, _Work] = {}
        self._lock = asyncio.Lock()

    async def start(
        self,
        kb: str,
        embedding_model: str,
        branch: str,
        *,
        language_models: Mapping[str, str] | None = None,
        start_from: str = MAIN,
        author: str = "",
    ) -> ReembeddingView:
        """Embed every document on `branch` by these models; the branch is made if it is not there.

        Asked again, it goes on where it was. Later uploads to the branch use these models. On
        `main` the settings of the knowledge base follow at the end. Raises NotFound, Conflict,
        ModelUnavailable, RagloomError “reembedding” while the branch is embedded by other models.
        """
        base = await call(self._repository.find, kb)
        languages = dict(sorted((language_models or {}).items()))
        await checked_models(self._models, embedding_model, languages)
        if embedding_model == "default":
            embedding_model = DEFAULT_EMBEDDER
        models = {"embedding_model": embedding_model, "language_models": languages}
        async with self._lock:
            known = self._work.get((base.id, branch))
            if known is None or not known.running:
                with in_own_words():
                    await call(self._prepare, base.id, branch, models, start_from)
                known = self._work[base.id, branch] = _Work(base, branch, models, author)
                known.task = asyncio.create_task(self._run(known), name=f"reembed {base.id}")
            elif known.models != models:
                raise RagloomError(
                    f"The branch “{branch}” is being embedded by "
                    f"{known.models['embedding_model']} just now.",
                    code="conflict",
                    fix="Wait for it, stop it, or name another branch.",
                )
        return await self.get(base.id, branch)

    async def get(self, kb: str, branch: str) -> ReembeddingView:
        """How far a branch is. Raises NotFound where nobody asked for it."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        models = await call(self._repository.branch_models, base.id, branch)
        if known is not None:
            models = known.models
        if models is None:
            raise NotFound("branch that was embedded anew", branch)
        embedding = await self._embeddings.chosen(models)
        others, documents = await call(
            self._repository.embedded_otherwise, base.id, branch, embedding
        )
        view = ReembeddingView(
            knowledge_base_id=base.id,
            branch=branch,
            status="stopped" if others else "completed",
            documents=documents,
            done=documents - len(others),
            **models,
        )
        if known is None:
            return view
        status = "running" if known.running else "failed" if known.error else view.status
        return view.model_copy(
            update={
                "status": status,
                "embedded": known.embedded,
                "error": known.error,
                "started_at": iso(known.started_at),
                "finished_at": None if known.finished_at is None else iso(known.finished_at),
            }
        )

    async def stop(self, kb: str, branch: str) -> ReembeddingView:
        """Leave it as far as it is; the branch can be used, and gone on with. Raises NotFound."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        if known is not None and known.task is not None:
            known.task.cancel()
            await asyncio.wait([known.task])
        return await self.get(base.id, branch)

    async def wait(self, kb: str, branch: str) -> ReembeddingView:
        """Return once it no longer runs."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        if known is not None and known.task is not None:
            await asyncio.wait([known.task])
        return await self.get(base.id, branch)

    async def close(self) -> None:
        """Stop all; each goes on when it is asked for again."""
        tasks = [work.task for work in self._work.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _prepare(self, kb_id: str, branch: str, models: dict[str, Any], start_from: str) -> None:
        if self._repository.head(kb_id, branch) is None:
            self._repository.create_branch(kb_id, branch, start_from, models)
        else:
            self._repository.set_branch_models(kb_id, branch, models)

    async def _run(self, work: _Work) -> None:
        try:
            with in_own_words():
                await self._embed_all(work)
        except Exception as error:
            report = explain(error)
            work.error = report.data()
            log.warning("Embedding anew stopped: %s", report.sentence())
        finally:
            work.finished_at = time.time()

    async def _embed_all(self, work: _Work) -> None:
        kb_id = work.base.id
        embedding = await self._embeddings.chosen(work.models)
        before: list[str] = []
        while True:
            others, _ = await call(
                self._repository.embedded_otherwise, kb_id, work.branch, embedding
            )
            # What is uploaded meanwhile is embedded as it should be already; what stays as it was
            # through a whole round will stay so.
            if not others or others == before:
                break
            before = others
            for batch in await call(self._batches, others):
                await self._embed_batch(work, embedding, batch)
        if work.branch == MAIN and not others:
            await call(self._settle, kb_id, work.models)

    async def _embed_batch(
        self, work: _Work, embedding: Embedding, versions: Sequence[tables.DocumentVersion]
    ) -> None:
        copies = await call(self._copies, versions, embedding)
        texts = [
            Text(
                chunk.content if chunk.embed_text is None else chunk.embed_text,
                chunk.language or copy.version.language,
            )
            for copy in copies
            for chunk in copy.chunks
        ]
        at_first = work.embedded
        known: int | None = None

        def count(done: int, total: int) -> None:
            nonlocal known
            known = done if known is None else known
            work.embedded = at_first + done - known

        await self._embeddings.missing(
            embedding,
            texts,
            batch_size=work.base.config.get("embedding_batch_size"),
            progress=count,
            keep=True,
        )
        what = "a document" if len(copies) == 1 else f"{len(copies)} documents"
        message = f"Embed {what} with {work.models['embedding_model']}"
        await call(
            self._repository.commit_copies, work.base.id, work.branch, copies, work.author, message
        )
        self._indexer.touch(work.base.id)

    def _batches(self, ids: Sequence[str]) -> list[list[tables.DocumentVersion]]:
        return list(_grouped(self._repository.versions(ids)))

    def _copies(
        self, versions: Sequence[tables.DocumentVersion], embedding: Embedding
    ) -> list[Copy]:
        copies = []
        for version in versions:
            chunks, _ = self._repository.chunks(version.id, _ALL_CHUNKS)
            corrections = self._repository.corrections(version.id)
            edits = [*corrections.edits, *version.meta.get(EDIT_CONFLICTS, ())]
            fields = version.model_dump() | {
                "embedding_model": embedding.model.vectors,
                "models": embedding.data(),
                "config_hash": ids.config_hash(version.processing, embedding.key, edits),
                "created_at": time.time(),
            }
            copies.append(
                Copy(
                    version.id,
                    tables.DocumentVersion(**fields),
                    [tables.Chunk(**chunk.model_dump()) for chunk in chunks],
                    corrections,
                )
            )
        return copies

    def _settle(self, kb_id: str, models: Mapping[str, Any]) -> None:
        """The models of `main` are those of the knowledge base."""
        config = self._repository.get(kb_id).config
        self._repository.update(kb_id, config={**config, **models})
        self._repository.set_branch_models(kb_id, MAIN, None)


def _grouped(
    versions: Sequence[tables.DocumentVersion],
) -> Iterator[list[tables.DocumentVersion]]:
    group: list[tables.DocumentVersion] = []
    chunks = 0
    for version in versions:
        group.append(version)
        chunks += version.chunk_count
        if len(group) == _BATCH_DOCUMENTS or chunks >= _BATCH_CHUNKS:
            yield group
            group, chunks = [], 0
    if group:
        yield group
