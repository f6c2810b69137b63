"""Embedding the documents of a knowledge base anew, with other models, on a branch.

What a branch is to be embedded by is written down with it, so work that was broken off goes on with
the next server. The work itself is in `reembed_copies`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

from pydantic import Field

from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.ingestion.embeddings import Embeddings, checked_models
from app.services.ingestion.pauses import PAUSING, Patience, Pauses
from app.services.ingestion.reembed_copies import Copying, Work
from app.services.knowledge.indexer import Indexer
from app.services.models import DEFAULT_EMBEDDER, ModelService
from app.services.problems import explain, in_own_words
from app.services.threads import call
from app.services.views import View
from storage.errors import NotFound
from storage.knowledge import KnowledgeRepository
from storage.merging import MAIN

log = logging.getLogger(__name__)

RUNNING = "running"

_Place = tuple[str, str]


class ReembeddingView(View):
    """How far a branch is embedded by the models that were asked for."""

    knowledge_base_id: str
    branch: str
    embedding_model: str
    language_models: dict[str, str] = {}
    #: “paused” goes on by itself; “stopped” and “failed” when they are asked for again.
    status: Literal["running", "paused", "completed", "failed", "stopped"]
    documents: int = Field(0, description="Documents on the branch.")
    done: int = Field(0, description="Those of them that are embedded by these models.")
    embedded: int = Field(0, description="Texts embedded since this server took it up.")
    error: dict[str, Any] | None = Field(
        None, description="Why it failed or is paused: code, message, fix."
    )
    resumes_at: str | None = Field(None, description="When a paused one goes on by itself.")
    started_at: str | None = None
    finished_at: str | None = None


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
        self._embeddings = embeddings
        self._copying = Copying(repository, indexer, embeddings)
        self._work: dict[_Place, Work] = {}
        self._lock = asyncio.Lock()
        self.pauses = Pauses()
        self._patience = Patience(lambda: None)

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

        Asked again, it goes on where it was; so does the next server. Later uploads to the branch
        use these models. On `main` the settings of the knowledge base follow at the end. Raises
        NotFound, Conflict, ModelUnavailable, RagloomError “conflict” while the branch is embedded
        by other models.
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
                work = Work(base, branch, models, author, time.time())
                with in_own_words():
                    await call(self._prepare, work, start_from)
                self._begin(work)
            elif known.models != models:
                raise RagloomError(
                    f"The branch “{branch}” is being embedded by "
                    f"{known.models['embedding_model']} just now.",
                    code="conflict",
                    fix="Wait for it, stop it, or name another branch.",
                )
            else:
                known.again.set()
        return await self.get(base.id, branch)

    async def recover(self) -> None:
        """Go on with what an earlier server was at."""
        for kb_id, branch, noted in await call(self._repository.reembeddings, RUNNING):
            await self._take_up(kb_id, branch, noted)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """No embedding anew begins in here, but what is noted for `take_up` meanwhile."""
        async with self._lock:
            yield

    async def take_up(self, kb_id: str, branch: str) -> None:
        """Begin with what was noted, within `held`."""
        noted = await call(self._repository.reembedding, kb_id, branch)
        if noted is not None and noted["status"] == RUNNING:
            await self._take_up(kb_id, branch, noted)

    async def _take_up(self, kb_id: str, branch: str, noted: Mapping[str, Any]) -> None:
        base = await call(self._repository.get, kb_id)
        author, started_at = noted["author"], noted["started_at"]
        self._begin(Work(base, branch, noted["models"], author, started_at))

    async def get(self, kb: str, branch: str) -> ReembeddingView:
        """How far a branch is. Raises NotFound where nobody asked for it."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        noted = await call(self._repository.reembedding, base.id, branch)
        if noted is None:
            raise NotFound("branch that was embedded anew", branch)
        embedding = await self._embeddings.chosen(noted["models"])
        others, documents = await call(
            self._repository.embedded_otherwise, base.id, branch, embedding
        )
        stopped_late = noted["status"] == "stopped" and not others
        view = ReembeddingView(
            knowledge_base_id=base.id,
            branch=branch,
            status="completed" if stopped_late else noted["status"],
            documents=documents,
            done=documents - len(others),
            error=noted["error"],
            started_at=iso(noted["started_at"]),
            finished_at=None if noted["finished_at"] is None else iso(noted["finished_at"]),
            **noted["models"],
        )
        if known is None:
            return view
        values: dict[str, Any] = {"embedded": known.embedded}
        if known.running and known.retry_at is not None:
            values |= {"status": "paused", "error": known.error, "resumes_at": iso(known.retry_at)}
        return view.model_copy(update=values)

    async def stop(self, kb: str, branch: str) -> ReembeddingView:
        """Leave it as far as it is; the branch can be used, and gone on with. Raises NotFound."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        if known is not None and known.task is not None and known.running:
            known.task.cancel()
            await asyncio.wait([known.task])
            if known.task.cancelled():
                await self._note(known, status="stopped", finished_at=time.time())
        return await self.get(base.id, branch)

    async def wait(self, kb: str, branch: str) -> ReembeddingView:
        """Return once it no longer runs."""
        base = await call(self._repository.find, kb)
        known = self._work.get((base.id, branch))
        if known is not None and known.task is not None:
            await asyncio.wait([known.task])
        return await self.get(base.id, branch)

    async def close(self) -> None:
        """Stop all; the next server goes on with them."""
        tasks = [work.task for work in self._work.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, work: Work) -> None:
        self._work[work.base.id, work.branch] = work
        work.task = asyncio.create_task(self._run(work), name=f"reembed {work.base.id}")

    def _prepare(self, work: Work, start_from: str) -> None:
        kb_id, branch = work.base.id, work.branch
        if self._repository.head(kb_id, branch) is None:
            self._repository.create_branch(kb_id, branch, start_from, work.models)
        else:
            self._repository.set_branch_models(kb_id, branch, work.models)
        noted = beginning(work.author, work.started_at)
        self._repository.note_reembedding(kb_id, branch, **noted, models=work.models)

    async def _run(self, work: Work) -> None:
        failures = 0
        while True:
            before = work.embedded
            try:
                with in_own_words():
                    await self._copying.run(work)
                break
            except Exception as error:
                report = explain(error)
                work.error = report.data()
                log.warning("Embedding anew stopped: %s", report.sentence())
                if report.code not in PAUSING:
                    break
            failures = 0 if work.embedded > before else failures + 1
            await self._rest(work, failures)
        status = "completed" if work.error is None else "failed"
        await self._note(work, status=status, error=work.error, finished_at=time.time())

    async def _rest(self, work: Work, failures: int) -> None:
        """Wait until what keeps it may be over, longer each time that nothing was embedded."""
        pauses = self.pauses
        pause = min(pauses.longest_s, pauses.first_s * 2 ** min(failures, 30))
        work.again.clear()
        work.retry_at = time.time() + pause
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await work.again.wait()
        work.retry_at = work.error = None

    async def _note(self, work: Work, **values: Any) -> None:
        def write() -> None:
            self._repository.note_reembedding(work.base.id, work.branch, **values)

        await self._patience.insist("note how far a branch is", write, self.pauses.writing_s)


def beginning(author: str, started_at: float) -> dict[str, Any]:
    """What is noted of an embedding anew that begins, beside its models."""
    return {
        "status": RUNNING,
        "author": author,
        "started_at": started_at,
        "finished_at": None,
        "error": None,
    }
