"""What nodes may touch: knowledge bases, models and files, on top of services and storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.engine.context import IndexReport, Pages, SearchOutcome, SearchRequest, Workflows
from app.engine.values import Chunk, Document
from app.services.ingestion.embeddings import Embeddings
from app.services.ingestion.versions import Origin, VersionWriter
from app.services.knowledge.files import FileService
from app.services.knowledge.indexer import Indexer
from app.services.knowledge.lexicon import Lexicon, Lexicons
from app.services.knowledge.search import SearchService
from app.services.models import ModelService
from app.services.problems import in_own_words
from app.services.threads import call
from app.services.web import WebService
from storage import tables
from storage.knowledge import KnowledgeRepository

if TYPE_CHECKING:
    import numpy as np


class WorldKnowledge:
    """Knowledge bases as nodes see them."""

    def __init__(
        self,
        repository: KnowledgeRepository,
        search: SearchService,
        models: ModelService,
        indexer: Indexer,
        origin: Origin | None = None,
        lexicons: Lexicons | None = None,
        embeddings: Embeddings | None = None,
    ) -> None:
        #: Decides by which model chunks are embedded.
        self.embeddings = embeddings or Embeddings(repository, models)
        self._repository = repository
        self._search = search
        self._models = models
        self._indexer = indexer
        self._origin = origin or Origin()
        #: Writes what nodes index, and what people correct.
        self.versions = VersionWriter(repository, self.embeddings, indexer, self._origin)
        # Shared by every view of the same world.
        self._lexicons = lexicons or Lexicons(repository)

    def bound(self, origin: Origin) -> WorldKnowledge:
        """The same knowledge bases, on behalf of somebody."""
        return WorldKnowledge(
            self._repository,
            self._search,
            self._models,
            self._indexer,
            origin,
            self._lexicons,
            self.embeddings,
        )

    def trying(self) -> WorldKnowledge:
        """The same knowledge bases, where indexing writes nothing and tells what it would do."""
        return self.bound(replace(self._origin, dry=True))

    async def resolve(self, kb: str, ref: str = "main") -> tuple[str, str]:
        """Return (knowledge base id, commit id)."""
        with in_own_words():
            row, commit = await call(self._at, kb, ref)
        return row.id, commit.id

    async def search(self, kb: str, request: SearchRequest) -> SearchOutcome:
        """Search `kb`."""
        with in_own_words():
            return await self._search.run(kb, request)

    async def vectors(self, kb: str, chunk_ids: Sequence[str]) -> np.ndarray:
        """Stored unit vectors of chunks, shape (n, dim), float32; zeros where there is none.

        Of chunks by several models, those by another model than most are zeros.
        """
        import numpy as np

        with in_own_words():
            found = await call(self._repository.nearby_vectors, list(chunk_ids))
        if not found:
            return np.zeros((len(chunk_ids), 0), dtype=np.float32)
        zero = np.zeros_like(next(iter(found.values())))
        return np.stack([found.get(chunk_id, zero) for chunk_id in chunk_ids])

    async def glossary(self, kb: str, ref: str = "main") -> Mapping[str, str]:
        """Acronym -> expansion as defined in the documents."""
        return (await self._lexicon(kb, ref)).glossary()

    async def vocabulary(self, kb: str, ref: str = "main") -> Mapping[str, int]:
        """Lower-cased word -> number of chunks that hold it."""
        return (await self._lexicon(kb, ref)).words

    async def index(
        self,
        kb: str,
        document: Document,
        chunks: Sequence[Chunk],
        *,
        ref: str = "main",
        processing: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> IndexReport:
        """Embed what is new and commit the document's version to `ref`, in one transaction."""
        with in_own_words():
            return await self.versions.index(kb, document, chunks, ref, processing, progress)

    async def touch(self, kb: str) -> None:
        """Bring the indexes of a knowledge base up to what was committed."""
        self._indexer.touch((await call(self._repository.find, kb)).id)

    async def _lexicon(self, kb: str, ref: str) -> Lexicon:
        with in_own_words():
            row, commit = await call(self._at, kb, ref)
        return await self._lexicons.at(row.id, commit.id)

    def _at(self, kb: str, ref: str) -> tuple[tables.KnowledgeBase, tables.Commit]:
        row = self._repository.find(kb)
        return row, self._repository.resolve(row.id, ref)


@dataclass(frozen=True, slots=True)
class ServiceWorld:
    """Serves the engine's `World`."""

    knowledge: WorldKnowledge
    models: ModelService
    files: FileService
    web: WebService = field(default_factory=WebService)
    #: Stored workflows, for nodes that run one; None where there are none.
    workflows: Workflows | None = None
    #: Pages as files; None where none are fetched.
    pages: Pages | None = None

    def trying(self) -> ServiceWorld:
        """The same world, where indexing writes nothing and tells what it would do."""
        return replace(self, knowledge=self.knowledge.trying())

    def bound(self, origin: Origin) -> ServiceWorld:
        """The same world, on behalf of somebody."""
        files = self.files if origin.password is None else self.files.unlocked(origin.password)
        return replace(self, knowledge=self.knowledge.bound(origin), files=files)
