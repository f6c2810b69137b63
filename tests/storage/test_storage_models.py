"""Several embedding models in one knowledge base: who embeds what, and what searches see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sqlalchemy import event

from storage.embedding import Embedding, Model, Share
from storage.errors import ModelMismatch, VectorsMissing
from storage.ids import text_hash
from storage.model_use import Copy
from storage.tables import Chunk, DocumentVersion
from tests.storage.corpus import DIM, MODEL, Corpus, Stores, embed

OTHER = "test/other"
TWO = Embedding(Model("words", MODEL), (("de", Model("other", OTHER)),))


def turned(text: str) -> np.ndarray:
    """The vector of another model, with half the dimensions."""
    vector = embed(text)[: DIM // 2]
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def put(corpus: Corpus, name: str, passages: dict[str, str | None], embedding: Embedding) -> None:
    """Commit a document of (text, language) with the vectors of its models."""
    share = Share.of(embedding, "en")
    makers: dict[str, Callable[[str], np.ndarray]] = {MODEL: embed, OTHER: turned}
    vectors: dict[str, dict[str, np.ndarray]] = {MODEL: {}, OTHER: {}}
    for text, language in passages.items():
        model = share.vectors(language)
        vectors[model][text_hash(text)] = makers[model](text)
    document = corpus.knowledge.ensure_document(corpus.kb, name)
    version = DocumentVersion(
        id="", document_id=document.id, knowledge_base_id=corpus.kb, content_hash=name,
        config_hash=embedding.key, embedding_model=embedding.model.vectors,
        models=embedding.data(), language="en", created_at=0,
    )  # fmt: skip
    chunks = [
        Chunk(id="", version_id="", document_id="", ordinal=0, content=text, text_hash="",
              language=language)
        for text, language in passages.items()
    ]  # fmt: skip
    corpus.knowledge.commit_document(
        corpus.kb, "main", version, chunks, vectors[MODEL], MODEL, others={OTHER: vectors[OTHER]}
    )


@pytest.fixture
def mixed(corpus: Corpus) -> Corpus:
    put(corpus, "both.txt", {"red apple": "en", "roter apfel": "de", "some apple": None}, TWO)
    corpus.put("plain.txt", ["green apple", "yellow banana"])
    put(corpus, "german.txt", {"apfel": "de"}, TWO)
    return corpus


@contextmanager
def counted(corpus: Corpus) -> Iterator[list[str]]:
    """SQL statements made inside."""
    said: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement != "BEGIN":
            said.append(statement)

    event.listen(corpus.knowledge.db.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(corpus.knowledge.db.engine, "before_cursor_execute", note)


def test_the_model_of_a_language() -> None:
    every = Embedding(Model("a", "a1"), (("*", Model("b", "b1")), ("en", Model("c", "c1"))))
    assert [every.of(language).name for language in ("en", "de", None)] == ["c", "b", "b"]
    assert {model.name for model in every.models} == {"b", "c"}
    assert [TWO.of(language).vectors for language in ("de", "en", None)] == [OTHER, MODEL, MODEL]
    assert [model.vectors for model in TWO.models] == [MODEL, OTHER]
    for embedding in (every, TWO, Embedding(Model("a", "a1"))):
        again = Embedding.stored(embedding.model.vectors, embedding.data())
        assert again == embedding
    assert len({every.key, TWO.key, Embedding(Model("", MODEL)).key}) == 3
    assert Embedding(Model("x", "a1")).key == "a1"


@pytest.mark.parametrize("indexed", [True, False])
def test_each_model_finds_its_own_chunks(mixed: Corpus, stores: Stores, indexed: bool) -> None:
    if indexed:
        stores.projector.catch_up(mixed.kb)
    commit = mixed.head()
    assert {model.vectors for model in mixed.knowledge.models_at(commit)} == {MODEL, OTHER}
    assert mixed.knowledge.models_at(commit, ["de"]) == [Model("", MODEL), Model("other", OTHER)]

    def find(
        query: str, model: str, vector: np.ndarray, languages: tuple[str, ...] = ()
    ) -> set[str]:
        among = mixed.knowledge.candidates(commit, None, languages)
        hits = stores.search.semantic(mixed.kb, commit, model, vector, 10, among)
        return set(mixed.texts(hits))

    words = {"red apple", "some apple", "green apple", "yellow banana"}
    for _ in range(2):
        assert find("apple", MODEL, embed("apple")) == words
        assert find("apfel", OTHER, turned("apfel")) == {"roter apfel", "apfel"}
        assert find("apfel", OTHER, turned("apfel"), ("de",)) == {"roter apfel", "apfel"}
        assert find("apple", MODEL, embed("apple"), ("en",)) == {"red apple", "some apple"}


def test_indexes_hold_one_collection_for_each_model(mixed: Corpus, stores: Stores) -> None:
    stores.projector.catch_up(mixed.kb)
    assert stores.projector.vectors.count(mixed.kb, MODEL) == 4
    assert stores.projector.vectors.count(mixed.kb, OTHER) == 2
    assert mixed.knowledge.model_counts(mixed.knowledge.version_ids(mixed.head())) == {
        MODEL: 4, OTHER: 2,
    }  # fmt: skip
    assert stores.projector.reconcile_all() == []
    stores.projector.rebuild(mixed.kb, "vectors")
    assert stores.projector.vectors.count(mixed.kb, OTHER) == 2
    mixed.remove("german.txt")
    stores.projector.catch_up(mixed.kb)
    assert stores.projector.vectors.count(mixed.kb, OTHER) == 1
    assert mixed.knowledge.index_bytes(mixed.kb) > 5 * 4 * DIM / 2


def test_a_text_of_two_models_is_found_by_the_one_of_its_chunk(
    mixed: Corpus, stores: Stores
) -> None:
    mixed.knowledge.keep_vectors(OTHER, {text_hash("green apple"): turned("green apple")})
    commit = mixed.head()
    hits = stores.search.semantic(mixed.kb, commit, OTHER, turned("green apple"), 10)
    assert "green apple" not in mixed.texts(hits)
    ids = [id for id, _ in hits]
    assert set(mixed.knowledge.nearby_vectors(ids)) == set(ids)


def test_a_search_with_one_model_asks_no_more_than_it_must(corpus: Corpus, stores: Stores) -> None:
    """The cursor of the index, and nothing else: the rest is known from the search before."""
    for number in range(3):
        corpus.put(f"{number}.txt", [f"apple number {number}", f"pear number {number}"])
    stores.projector.catch_up(corpus.kb)
    commit = corpus.head()
    for _ in range(2):
        stores.search.semantic(corpus.kb, commit, MODEL, embed("apple"), 2)
        corpus.knowledge.models_at(commit)
    with counted(corpus) as said:
        corpus.knowledge.models_at(commit)
        assert stores.search.semantic(corpus.kb, commit, MODEL, embed("apple"), 2)
    assert len(said) == 1
    assert "projection_cursor" in said[0]


def test_vectors_of_another_length_are_told(corpus: Corpus, stores: Stores) -> None:
    corpus.put("a.txt", ["red apple"])
    stores.projector.catch_up(corpus.kb)
    for filters in (None, {"filename": "a.txt"}):
        among = corpus.knowledge.candidates(corpus.head(), filters)
        with pytest.raises(ModelMismatch, match="64") as caught:
            stores.search.semantic(corpus.kb, corpus.head(), MODEL, turned("apple"), 1, among)
        assert caught.value.code == "model_mismatch"
        assert "reembed" in caught.value.fix


def test_each_chunk_must_have_a_vector_of_its_model(corpus: Corpus) -> None:
    corpus.knowledge.keep_vectors(MODEL, {text_hash("apfel"): embed("apfel")})
    document = corpus.knowledge.ensure_document(corpus.kb, "a.txt")
    version = DocumentVersion(
        id="", document_id=document.id, knowledge_base_id=corpus.kb, content_hash="a",
        config_hash="a", embedding_model=MODEL, models=TWO.data(), created_at=0,
    )  # fmt: skip
    chunk = Chunk(
        id="", version_id="", document_id="", ordinal=0, content="apfel", text_hash="",
        language="de",
    )  # fmt: skip
    with pytest.raises(VectorsMissing, match=OTHER):
        corpus.knowledge.commit_document(corpus.kb, "main", version, [chunk], {}, MODEL)


def test_copies_take_the_place_of_their_originals_in_one_commit(
    corpus: Corpus, stores: Stores
) -> None:
    texts = {f"{n}.txt": [f"apple number {n}", f"pear number {n}"] for n in range(3)}
    for name, lines in texts.items():
        corpus.put(name, lines)
    knowledge = corpus.knowledge
    knowledge.create_branch(corpus.kb, "other", models={"embedding_model": "other"})
    assert knowledge.branch_models(corpus.kb, "other") == {"embedding_model": "other"}
    assert knowledge.branch_models(corpus.kb, "main") is None
    target = Embedding(Model("other", OTHER))
    every = [text for lines in texts.values() for text in lines]
    knowledge.keep_vectors(OTHER, {text_hash(text): turned(text) for text in every})
    versions = knowledge.versions(sorted(knowledge.version_ids(corpus.head("other"))))
    corpus.put("0.txt", ["changed meanwhile"], ref="other")
    copies = []
    for version in versions:
        rows, _ = knowledge.chunks(version.id)
        fields = version.model_dump() | {"embedding_model": OTHER, "models": target.data()}
        copies.append(
            Copy(
                version.id,
                DocumentVersion(**fields | {"config_hash": target.key}),
                [Chunk(**row.model_dump()) for row in rows],
            )
        )
    commit = knowledge.commit_copies(corpus.kb, "other", copies, "tester", "Embed anew")
    assert commit is not None
    assert len(commit.summary["changed"]) == 2
    assert knowledge.commit_copies(corpus.kb, "other", copies, "tester", "Embed anew") is None
    stores.projector.catch_up(corpus.kb)
    hits = stores.search.semantic(corpus.kb, commit.id, OTHER, turned("apple number 1"), 10)
    assert corpus.texts(hits)[0] == "apple number 1"
    assert len(hits) == 4
    on_main = stores.search.semantic(corpus.kb, corpus.head(), MODEL, embed("apple number 1"), 10)
    assert len(on_main) == 6
