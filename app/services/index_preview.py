"""What indexing a document would change, found out without writing anything."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from app.engine.context import IndexPreview, IndexReport
from app.engine.values import Chunk, Document
from app.services.models import ModelService
from app.services.threads import call
from storage import ids, tables
from storage.knowledge import KnowledgeRepository

#: Chunks of a stored version that are compared at most.
_MOST = 1_000_000


async def preview(
    repository: KnowledgeRepository,
    models: ModelService,
    row: tables.KnowledgeBase,
    document: Document,
    chunks: Sequence[Chunk],
    ref: str,
) -> IndexReport:
    """Compare `chunks` with what `ref` of a knowledge base holds of the document.

    A chunk is the same where its text and the text that is embedded are; it has changed where
    other chunks take its place between two that are the same. Raises NotFound.
    """
    model = await models.vector_name(row.config["embedding_model"])
    return await call(_compare, repository, row.id, model, document, chunks, ref)


def _compare(
    repository: KnowledgeRepository,
    kb_id: str,
    model: str,
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
    texts = {ids.text_hash(text): text for text in (c.embed_text or c.content for c in chunks)}
    missing = texts.keys() - repository.known_vectors(model, list(texts))
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
            tokens=_tokens([texts[key] for key in missing]),
        ),
    )


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
