from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func
from sqlmodel import select

from storage import manifests, tables
from storage.database import Database
from storage.errors import Conflict, NotFound, VectorsMissing
from storage.ids import content_id, text_hash
from storage.knowledge import KnowledgeRepository
from storage.lru import Lru
from storage.tables import IndexLog, ManifestBucket
from tests.storage.corpus import DIM, MODEL, Corpus, embed


def test_a_new_knowledge_base_has_an_empty_commit(knowledge: KnowledgeRepository) -> None:
    base = knowledge.create("docs", "what we know", {"embedding_model": MODEL}, ["a warning"])
    assert knowledge.get(base.id).config == {"embedding_model": MODEL}
    assert knowledge.find("docs").id == knowledge.find(base.id).id == base.id
    commit = knowledge.resolve(base.id, "main")
    assert knowledge.head(base.id) == commit
    assert knowledge.manifest(commit.id) == {}
    assert knowledge.counts(commit.id) == (0, 0)
    assert [ref.name for ref in knowledge.branches(base.id)] == ["main"]


def test_names_are_unique(knowledge: KnowledgeRepository) -> None:
    first, second = knowledge.create("a"), knowledge.create("b")
    with pytest.raises(Conflict):
        knowledge.create("a")
    with pytest.raises(Conflict):
        knowledge.update(second.id, name="a")
    assert knowledge.update(first.id, name="c", description="d").name == "c"
    assert [base.name for base in knowledge.list()[0]] == ["c", "b"]
    assert knowledge.list(limit=1, offset=1)[0][0].name == "b"


def test_what_does_not_exist_is_not_found(knowledge: KnowledgeRepository, corpus: Corpus) -> None:
    for missing in (
        lambda: knowledge.get("kb_no"),
        lambda: knowledge.find("no"),
        lambda: knowledge.update("kb_no", name="x"),
        lambda: knowledge.delete("kb_no"),
        lambda: knowledge.resolve(corpus.kb, "no"),
        lambda: knowledge.resolve(corpus.kb, "abcdef"),
        lambda: knowledge.manifest("no"),
        lambda: knowledge.document(corpus.kb, "no"),
        lambda: knowledge.version("no"),
        lambda: knowledge.chunk("no"),
        lambda: knowledge.chunks("no"),
        lambda: knowledge.ensure_document("kb_no", "a"),
        lambda: knowledge.remove_document(corpus.kb, "main", "no", "", ""),
        lambda: corpus.put("a", ["x"], ref="no"),
    ):
        with pytest.raises(NotFound) as raised:
            missing()
        assert raised.value.message


def test_a_document_and_its_chunks_come_back_as_they_were_put(corpus: Corpus) -> None:
    knowledge = corpus.knowledge
    commit, change = corpus.put(
        "guide.pdf",
        ["one", "two"],
        facts={"pages": 2, "language": "en", "title": "Guide", "meta": {"author": "Ada"}},
        chunk_facts=[{"page": 1, "headings": ["A", "B"]}, {"page": 2, "boxes": [{"x0": 1.5}]}],
    )
    assert change == "added"
    assert commit.summary == {"added": [knowledge.ensure_document(corpus.kb, "guide.pdf").id]}
    [(document, version)], total = knowledge.documents_at(commit.id)
    assert (document.filename, version.pages, version.meta, total) == (
        "guide.pdf",
        2,
        {"author": "Ada"},
        1,
    )
    chunks, total = knowledge.chunks(version.id)
    assert total == version.chunk_count == 2
    assert [(chunk.ordinal, chunk.page, chunk.headings) for chunk in chunks] == [
        (0, 1, ["A", "B"]),
        (1, 2, []),
    ]
    assert chunks[1].boxes == [{"x0": 1.5}]
    assert knowledge.chunk(chunks[0].id).content == "one"
    assert [c.id for c in knowledge.chunks_by_ids([chunks[1].id, "no", chunks[0].id])] == [
        chunks[1].id,
        chunks[0].id,
    ]
    assert knowledge.counts(commit.id) == (1, 2)
    assert knowledge.languages(commit.id) == {"en": 1}
    assert list(knowledge.iter_texts(commit.id)) == [(c.id, c.content) for c in chunks]
    assert knowledge.index_bytes(corpus.kb) == len("onetwo") + 2 * DIM * 4


def test_vectors_come_back_bit_by_bit_and_are_shared_by_equal_texts(corpus: Corpus) -> None:
    knowledge = corpus.knowledge
    corpus.put("a", ["same words", "other"])
    assert knowledge.known_vectors(MODEL, [text_hash("same words"), "no"]) == {
        text_hash("same words")
    }
    assert knowledge.known_vectors("another", [text_hash("same words")]) == set()
    commit, _ = corpus.put("b", ["same words"], vectors={})
    [(_, version)], _ = knowledge.documents_at(commit.id, text="b")
    [chunk], _ = knowledge.chunks(version.id)
    for found in (
        knowledge.chunk_vectors([chunk.id], MODEL)[chunk.id],
        knowledge.load_vectors(MODEL, [text_hash("same words")])[text_hash("same words")],
        knowledge.version_vectors([version.id], MODEL)[1][0],
    ):
        assert np.array_equal(found, embed("same words"))
    assert knowledge.version_vectors([], MODEL)[1].shape == (0, 0)


def test_a_chunk_without_a_vector_is_refused_and_nothing_is_kept(corpus: Corpus) -> None:
    before = corpus.head()
    with pytest.raises(VectorsMissing) as refused:
        corpus.put("a", ["never embedded"], vectors={})
    assert refused.value.text_hashes == [text_hash("never embedded")]
    assert corpus.head() == before


def test_the_same_version_again_changes_nothing(corpus: Corpus) -> None:
    first, _ = corpus.put("a", ["x", "y"])
    again, change = corpus.put("a", ["x", "y"])
    assert (again.id, change) == (first.id, "unchanged")
    assert corpus.knowledge.commits(corpus.kb)[1] == 2
    updated, change = corpus.put("a", ["z"])
    assert change == "updated"
    assert list(updated.summary) == ["changed"]
    back, change = corpus.put("a", ["x", "y"])
    assert change == "updated"
    assert corpus.knowledge.manifest(back.id) == corpus.knowledge.manifest(first.id)
    assert back.manifest_id == first.manifest_id


def test_commits_are_named_by_their_content(corpus: Corpus) -> None:
    root = corpus.head()
    commit, _ = corpus.put("a", ["x"])
    assert commit.parents == [root]
    assert commit.id == content_id(
        {
            "knowledge_base": corpus.kb,
            "parents": [root],
            "author": "tester",
            "message": "Add a",
            "created_at": commit.created_at,
            "manifest": commit.manifest_id,
        }
    )
    manifest = corpus.knowledge.manifest(commit.id)
    with corpus.knowledge.db.read() as session:
        stored = session.get_one(tables.Manifest, commit.manifest_id)
        buckets = session.exec(select(ManifestBucket)).all()
    assert content_id(stored.buckets) == stored.id
    assert all(content_id(bucket.entries) == bucket.id for bucket in buckets)
    assert len(manifest) == 1


def test_history_is_newest_first_and_paged(corpus: Corpus) -> None:
    made = [corpus.head(), *(corpus.put(f"f{i}", [f"t{i}"])[0].id for i in range(5))]
    commits, total = corpus.knowledge.commits(corpus.kb)
    assert [commit.id for commit in commits] == made[::-1]
    assert total == 6
    page, total = corpus.knowledge.commits(corpus.kb, "main", 2, 1)
    assert [commit.id for commit in page] == made[3:5][::-1]
    assert [c.id for c in corpus.knowledge.commits(corpus.kb, made[2])[0]] == made[2::-1]
    assert corpus.knowledge.resolve(corpus.kb, made[2][:12]).id == made[2]


def test_a_commit_writes_only_the_bucket_that_changed(corpus: Corpus) -> None:
    for i in range(100):
        corpus.put(f"f{i}", ["same"])
    with _statements(corpus.knowledge.db) as seen:
        corpus.put("f7", ["changed"])
    written = [
        parameters
        for statement, parameters in seen
        if statement.startswith("INSERT INTO manifest_bucket")
    ]
    assert len(written) == 1


def test_a_branch_costs_one_row(corpus: Corpus) -> None:
    corpus.put("a", ["x"])
    before = _rows(corpus.knowledge.db)
    ref = corpus.knowledge.create_branch(corpus.kb, "draft")
    after = _rows(corpus.knowledge.db)
    assert ref.commit_id == corpus.head("draft") == corpus.head()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "ref": 1
    }


@pytest.mark.parametrize("name", ["", "-x", "a b", "deadbeef", "x" * 101, "main"])
def test_a_bad_or_taken_branch_name_is_refused(corpus: Corpus, name: str) -> None:
    with pytest.raises(Conflict):
        corpus.knowledge.create_branch(corpus.kb, name)


def test_branches_move_apart(corpus: Corpus) -> None:
    corpus.put("a", ["x"])
    corpus.knowledge.create_branch(corpus.kb, "draft")
    corpus.put("a", ["draft of x"], ref="draft")
    corpus.remove("a")
    knowledge = corpus.knowledge
    assert knowledge.counts(corpus.head()) == (0, 0)
    assert knowledge.counts(corpus.head("draft")) == (1, 1)


def test_the_log_follows_what_the_heads_of_branches_hold(corpus: Corpus) -> None:
    corpus.put("a", ["one"])
    first = corpus.head()
    corpus.knowledge.create_branch(corpus.kb, "old")
    corpus.put("a", ["two"])
    # The branch still holds the first version, so nothing is removed.
    assert [op for op, _ in _log(corpus)] == ["add", "add"]
    corpus.remove("a", ref="old")
    assert [op for op, _ in _log(corpus)] == ["add", "add", "remove"]
    # A branch from an old commit brings back what no head held any more.
    corpus.knowledge.create_branch(corpus.kb, "revived", first[:10])
    assert _log(corpus)[-1] == _log(corpus)[0]
    # What another branch holds is not added once more.
    corpus.put("a", ["two"], ref="old")
    assert len(_log(corpus)) == 4


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["main", "side"]),
            st.integers(0, 12).map(lambda i: f"doc {i}"),
            st.one_of(st.none(), st.sampled_from(["a", "b", "c"])),
        ),
        max_size=40,
    )
)
def test_manifests_equal_a_dict_after_any_edits(
    knowledge: KnowledgeRepository, steps: list[tuple[str, str, str | None]]
) -> None:
    corpus = Corpus(knowledge, name=f"kb {time.time_ns()}")
    knowledge.create_branch(corpus.kb, "side")
    models: dict[str, dict[str, str]] = {"main": {}, "side": {}}
    past: list[tuple[str, dict[str, str]]] = []
    for ref, filename, content in steps:
        model = models[ref]
        if content is not None:
            commit, change = corpus.put(filename, [f"{filename} {content}"], ref=ref)
            expected = "added" if filename not in model else "updated"
            assert change == ("unchanged" if model.get(filename) == content else expected)
            model[filename] = content
        elif filename in model:
            commit = corpus.remove(filename, ref)
            del model[filename]
        else:
            continue
        past.append((commit.id, dict(model)))
    fresh = KnowledgeRepository(knowledge.db)
    for commit_id, model in past:
        assert _texts(fresh, commit_id) == {f"{name} {content}" for name, content in model.items()}
    # The log, replayed, is what the heads hold.
    held: set[str] = set()
    for op, version in _log(corpus):
        (held.add if op == "add" else held.discard)(version)
    assert held == set().union(*(fresh.version_ids(corpus.head(ref)) for ref in models))


def test_slots_are_part_of_what_is_stored() -> None:
    assert manifests.SLOTS == 64
    assert [manifests.slot_of(id) for id in ("doc_1", "doc_2", "doc_3")] == ["1c", "1a", "1a"]


def test_documents_are_listed_by_name_and_found_by_text(corpus: Corpus) -> None:
    for name in ("b.txt", "A.txt", "100%.txt", "c_d.txt"):
        commit, _ = corpus.put(name, [name], facts={"title": f"Title of {name}"})
    listed = corpus.knowledge.documents_at
    assert [document.filename for document, _ in listed(commit.id)[0]] == [
        "100%.txt",
        "A.txt",
        "b.txt",
        "c_d.txt",
    ]
    assert [d.filename for d, _ in listed(commit.id, limit=1, offset=2)[0]] == ["b.txt"]
    assert listed(commit.id, text="%")[1] == 1
    assert listed(commit.id, text="C_D")[1] == 1
    assert listed(commit.id, text="title of")[1] == 4


def test_a_deleted_knowledge_base_leaves_no_row_behind(corpus: Corpus) -> None:
    knowledge = corpus.knowledge
    empty = _rows(knowledge.db)
    other = Corpus(knowledge, name="other")
    other.put("a", ["shared", "its own"])
    alone = _rows(knowledge.db)
    corpus.put("a", ["shared", "only here"])
    corpus.put("b", ["more"])
    corpus.put("b", ["changed"])
    knowledge.create_branch(corpus.kb, "side")
    knowledge.delete(corpus.kb)
    kept = _rows(knowledge.db)
    assert kept["vector"] == alone["vector"] == 2
    assert {name: count for name, count in kept.items() if count > alone[name]} == {}
    assert kept["knowledge_base"] == empty["knowledge_base"] == 1
    assert knowledge.counts(other.head()) == (1, 2)


def test_used_blobs_are_originals_of_versions(corpus: Corpus) -> None:
    commit, _ = corpus.put("a", ["x"])
    [(_, version)], _ = corpus.knowledge.documents_at(commit.id)
    assert corpus.knowledge.used_blobs([version.content_hash, "no"]) == {version.content_hash}


def test_a_commit_takes_as_many_statements_for_100_chunks_as_for_one(corpus: Corpus) -> None:
    counts = []
    for n in (1, 100):
        with _statements(corpus.knowledge.db) as seen:
            corpus.put(f"{n} chunks", [f"{n} {i}" for i in range(n)])
        counts.append(len(seen))
    assert counts[0] == counts[1] < 30


def _texts(knowledge: KnowledgeRepository, commit_id: str) -> set[str]:
    return {content for _, content in knowledge.iter_texts(commit_id)}


def _log(corpus: Corpus) -> list[tuple[str, str]]:
    with corpus.knowledge.db.read() as session:
        query = select(IndexLog.op, IndexLog.version_id).where(
            IndexLog.knowledge_base_id == corpus.kb
        )
        return [tuple(row) for row in session.exec(query.order_by(IndexLog.seq))]  # type: ignore


def _rows(db: Database) -> dict[str, int]:
    with db.read() as session:
        return {
            name: session.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in tables.SQLModel.metadata.tables.items()
        }


class _statements:
    def __init__(self, db: Database) -> None:
        self._engine = db.engine
        self.seen: list[tuple[str, object]] = []

    def __enter__(self) -> list[tuple[str, object]]:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self.seen

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        self.seen.append((statement, parameters))


def test_a_cache_holds_few_heavy_values_or_many_light_ones() -> None:
    cache: Lru[str, str] = Lru(3, len, 10)
    for key, value in (("a", "aaa"), ("b", "bbb"), ("c", "cc"), ("d", "d")):
        cache.put(key, value)
    assert [cache.peek(key) for key in "abcd"] == [None, "bbb", "cc", "d"]
    cache.put("b", "bbbbbbbb")  # heavier than before: eleven together
    assert [cache.peek(key) for key in "bcd"] == ["bbbbbbbb", None, "d"]
    cache.put("e", "e" * 50)
    assert [cache.peek(key) for key in "bde"] == [None, None, "e" * 50]
    cache.put("f", "f")
    assert [cache.peek(key) for key in "ef"] == [None, "f"]
