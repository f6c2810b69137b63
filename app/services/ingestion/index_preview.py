"""What indexing a document would change, found out without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from app.engine.context import IndexPreview, IndexReport
from app.engine.values import Chunk, Document
from app.services.ingestion.embeddings import Embeddings
from app.services.threads import call
from storage import ids, tables
from storage.embedding import Embedding
from storage.knowledge import KnowledgeRepository

#: Chunks of a stored version that are compared at most.
_MOST = 1_000_000


async def preview(
    repository: KnowledgeRepository,
    embeddings: Embeddings,
    row: tables.KnowledgeBase,
    document: Document,
    chunks: Sequence[Chunk],
    ref: str,
) -> IndexReport:
    """Compare `chunks` with what `ref` of a knowledge base holds of the document.

    A chunk is the same where its text and the text that is embedded are; it has changed where
    other chunks take its place between two that are the same. Raises NotFound.
    """
    embedding = await embeddings.of_branch(row.id, ref)
    return await call(_compare, repository, row.id, embedding, document, chunks, ref)


def _compare(
    repository: KnowledgeRepository,
    kb_id: str,
    embedding: Embedding,
    document: Document,
    chunks: Sequence[Chunk],
    ref: str,
) -> IndexReport:
    commit = repository.resolve(kb_id, ref)
    known = repository.find_document(kb_id, document.filename)
    version = repository.manifest(commit.id).get(known.id) if known else None
    before: Sequence[tables.Chunk] = ()
    if version is not None:
        before, _ = repository.chunks(version, _MOST)
    same, changed, added, removed = counts(
        [(c.content, c.embed_text) for c in before], [(c.content, c.embed_text) for c in chunks]
    )
    missing = _unknown(repository, embedding, chunks)
    different = changed or added or removed
    return IndexReport(
        document_id=known.id if known else document.document_id,
        filename=document.filename,
        change="added" if version is None else "updated" if different else "unchanged",
        chunks=len(chunks),
        embedded=len(missing),
        commit=commit.id,
        preview=IndexPreview(
            same=same,
            changed=changed,
            added=added,
            removed=removed,
            to_embed=len(missing),
            tokens=_tokens(missing),
        ),
    )


def _unknown(
    repository: KnowledgeRepository, embedding: Embedding, chunks: Sequence[Chunk]
) -> list[str]:
    """Texts that the model of their language has not embedded yet."""
    by_model: dict[str, dict[str, str]] = {}
    for chunk in chunks:
        text = chunk.content if chunk.embed_text is None else chunk.embed_text
        by_model.setdefault(embedding.of(chunk.language).vectors, {})[ids.text_hash(text)] = text
    return [
        text
        for model, texts in by_model.items()
        for known in [repository.known_vectors(model, list(texts))]
        for key, text in texts.items()
        if key not in known
    ]


def counts(
    before: Sequence[tuple[str, str | None]], after: Sequence[tuple[str, str | None]]
) -> tuple[int, int, int, int]:
    """How many are the same, changed, added and removed, in their order."""
    same = changed = added = removed = 0
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        old, new = a2 - a1, b2 - b1
        if kind == "equal":
            same += old
            continue
        changed += min(old, new)
        added += max(0, new - old)
        removed += max(0, old - new)
    return same, changed, added, removed


def _tokens(texts: Sequence[str]) -> int:
    from app.documents.tokens import TokenIndex, default_tokenizer

    tokenizer = default_tokenizer()
    return sum(len(TokenIndex(text, tokenizer)) for text in texts)
