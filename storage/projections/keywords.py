"""Words in tantivy: one index for each knowledge base, scored by BM25."""

from __future__ import annotations

import logging
import math
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from storage.errors import full_index_as_error
from storage.projections import analysis

log = logging.getLogger(__name__)

#: (chunk id, version id, text)
Entry = tuple[str, str, str]
#: Weight of a (field, term), given the weight that the index itself would give it.
Reweigh = Callable[[str, str, float], float]

#: tantivy's least; the writer lives only as long as a batch.
_WRITER_BYTES = 15_000_000
_MOST_QUERY_TERMS = 128


class BM25Index:
    """One tantivy index, in a folder or in memory. Not for two writers at once."""

    def __init__(self, path: Path | None = None) -> None:
        import tantivy

        builder = tantivy.SchemaBuilder()
        for name in ("chunk_id", "version_id"):
            builder.add_text_field(
                name, stored=name == "chunk_id", tokenizer_name="raw", index_option="basic"
            )
        for name in (analysis.WORDS, analysis.PIECES):
            builder.add_text_field(name, tokenizer_name=name, index_option="freq")
        self._schema = builder.build()
        # Opens what is there; a folder written with another schema is an error.
        self._index = tantivy.Index(self._schema, path=None if path is None else str(path))
        self._index.register_tokenizer(analysis.WORDS, analysis.words_analyzer())
        self._index.register_tokenizer(analysis.PIECES, analysis.pieces_analyzer())
        self._index.config_reader(reload_policy="manual")
        self._index.reload()

    def apply(self, remove: Collection[str], add: Iterable[Entry]) -> None:
        """Remove versions, then add chunks, replacing those of the same versions. Durable."""
        import tantivy

        entries = list(add)
        writer = self._index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        for version in {*remove, *(version for _, version, _ in entries)}:
            writer.delete_documents_by_term("version_id", version)
        for chunk_id, version_id, raw in entries:
            text = analysis.clean(raw)
            document = tantivy.Document()
            document.add_text("chunk_id", chunk_id)
            document.add_text("version_id", version_id)
            document.add_text(analysis.WORDS, analysis.words_of(text))
            if found := analysis.pieces(text):
                document.add_text(analysis.PIECES, " ".join(found))
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def query(
        self,
        text: str,
        n: int,
        *,
        field: str | None = None,
        among: Collection[str] = (),
        reweigh: Reweigh | None = None,
    ) -> list[tuple[str, float]]:
        """The `n` best chunks and their BM25 scores; any text will do.

        With `field` (chunk_id or version_id), only chunks with one of the values `among`.
        """
        import tantivy

        searcher = self._index.searcher()
        terms = analysis.query_terms(text, _MOST_QUERY_TERMS)
        if not terms or not searcher.num_docs:
            return []
        clauses = []
        for name, term in terms:
            clause = tantivy.Query.term_query(self._schema, name, term, "freq")
            if reweigh is not None:
                own = self.idf(name, term)
                clause = tantivy.Query.boost_query(clause, reweigh(name, term, own) / own)
            clauses.append((tantivy.Occur.Should, clause))
        query = tantivy.Query.boolean_query(clauses)
        if field is not None:
            members = tantivy.Query.term_set_query(self._schema, field, list(among))
            query = tantivy.Query.boolean_query(
                [
                    (tantivy.Occur.Must, query),
                    (tantivy.Occur.Must, tantivy.Query.const_score_query(members, 0.0)),
                ]
            )
        hits = searcher.search(query, n, count=False).hits
        return [(searcher.doc(address)["chunk_id"][0], score) for score, address in hits]

    def idf(self, field: str, term: str) -> float:
        """Inverse document frequency, ln(1 + (N - n + 0.5) / (n + 0.5)), as tantivy has it."""
        searcher = self._index.searcher()
        with_term = searcher.doc_freq(field, term)
        return math.log1p((searcher.num_docs - with_term + 0.5) / (with_term + 0.5))

    def count(self) -> int:
        """Chunks in the index."""
        return int(self._index.searcher().num_docs)


class KeywordIndex:
    """The indexes of all knowledge bases, in folders named after them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: dict[str, BM25Index] = {}
        self._lock = threading.Lock()

    def apply(self, kb_id: str, remove: Collection[str], add: Iterable[Entry]) -> None:
        """Remove versions, then add chunks. Durable on return."""
        with full_index_as_error(self._path):
            self._index(kb_id).apply(remove, add)

    def query(
        self,
        kb_id: str,
        text: str,
        n: int,
        *,
        field: str | None = None,
        among: Collection[str] = (),
    ) -> list[tuple[str, float]]:
        """The `n` best chunks and their BM25 scores, best first."""
        return self._index(kb_id).query(text, n, field=field, among=among)

    def idf(self, kb_id: str, field: str, term: str) -> float | None:
        """Inverse document frequency of a term; None where nothing is indexed."""
        index = self._index(kb_id)
        return index.idf(field, term) if index.count() else None

    def count(self, kb_id: str) -> int:
        """Chunks of a knowledge base."""
        return self._index(kb_id).count()

    def sound(self, kb_id: str) -> bool:
        """Whether the index of a knowledge base can be opened and searched."""
        try:
            self._index(kb_id).query("the", 1)
        except Exception:
            log.warning("the keyword index of %s is damaged", kb_id, exc_info=True)
            return False
        return True

    def bases(self) -> set[str]:
        """Knowledge bases that have an index."""
        return {path.name for path in self._path.glob("*") if path.is_dir()}

    def drop(self, kb_id: str) -> None:
        """Remove the index of a knowledge base."""
        with self._lock:
            self._open.pop(kb_id, None)
            shutil.rmtree(self._path / kb_id, ignore_errors=True)

    def close(self) -> None:
        """Let go of all indexes; everything applied is on disk already."""
        with self._lock:
            self._open.clear()

    def _index(self, kb_id: str) -> BM25Index:
        with self._lock:
            index = self._open.get(kb_id)
            if index is None:
                folder = self._path / kb_id
                folder.mkdir(parents=True, exist_ok=True)
                index = self._open[kb_id] = BM25Index(folder)
            return index


def temporary_index(entries: Sequence[Entry]) -> BM25Index:
    """An index in memory."""
    index = BM25Index()
    index.apply((), entries)
    return index
