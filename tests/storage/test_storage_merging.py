"""Taking a branch over into `main`, and going back."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import event
from sqlmodel import col, select

from storage import tables
from storage.errors import Conflict, ModelsMoved, NotFound
from storage.jobs import JobRepository
from storage.knowledge import KnowledgeRepository
from storage.merging import MergeConflict, Side
from storage.tables import IndexLog
from tests.storage.corpus import MODEL, Corpus

OTHER = {"embedding_model": "other", "language_models": {}}


def texts(corpus: Corpus, ref: str = "main") -> set[str]:
    return {content for _, content in corpus.knowledge.iter_texts(corpus.head(ref))}


def held(corpus: Corpus) -> set[str]:
    """What the log of the indexes comes to."""
    found: set[str] = set()
    with corpus.knowledge.db.read() as session:
        query = select(IndexLog.op, IndexLog.version_id).where(
            IndexLog.knowledge_base_id == corpus.kb
        )
        for op, version in session.exec(query.order_by(col(IndexLog.seq))):
            (found.add if op == "add" else found.discard)(version)
    return found


def heads(corpus: Corpus) -> set[str]:
    knowledge = corpus.knowledge
    return set().union(*(knowledge.version_ids(r.commit_id) for r in knowledge.branches(corpus.kb)))


def taken_over(corpus: Corpus) -> set[str]:
    return corpus.knowledge.taken_over(corpus.kb, [corpus.knowledge.branch(corpus.kb, "other")])


def apart(corpus: Corpus) -> None:
    """`main` and `other`, each with changes of its own, some of the same documents."""
    for name in ("kept", "ours", "theirs", "both", "same", "gone here", "gone there", "gone both"):
        corpus.put(name, [f"{name} at first"])
    corpus.knowledge.create_branch(corpus.kb, "other", models=OTHER)
    corpus.put("ours", ["ours on main"])
    corpus.put("new here", ["new here"])
    corpus.put("theirs", ["theirs on other"], ref="other")
    corpus.put("new there", ["new there"], ref="other")
    for ref in ("main", "other"):
        corpus.put("both", [f"both on {ref}"], ref=ref)
        corpus.put("same", ["same on either"], ref=ref)
        corpus.remove("gone both", ref)
    corpus.remove("gone here")
    corpus.remove("gone there", "other")


MERGED = {
    "kept at first", "ours on main", "new here", "theirs on other", "new there", "same on either",
}  # fmt: skip


@pytest.mark.parametrize("prefer", ["branch", "main"])
def test_each_document_is_what_it_is_on_the_side_that_changed_it(
    corpus: Corpus, prefer: Side
) -> None:
    apart(corpus)
    knowledge = corpus.knowledge
    before, config = corpus.head(), knowledge.get(corpus.kb).config
    with pytest.raises(MergeConflict) as caught:
        knowledge.adopt(corpus.kb, "other")
    assert caught.value.filenames == ["both"]
    assert (corpus.head(), knowledge.get(corpus.kb).config) == (before, config)
    assert knowledge.reembedding(corpus.kb, "main") is None

    moved = knowledge.adopt(
        corpus.kb, "other", "ann", "Take it", prefer=prefer, reembedding={"status": "running"}
    )
    assert (moved.before.id, moved.after.id) == (before, corpus.head())
    assert moved.after.parents == [before, corpus.head("other")]
    both = {"both on other" if prefer == "branch" else "both on main"}
    assert texts(corpus) == MERGED | both
    assert held(corpus) == heads(corpus)
    # All of it was written at once, with what is left to do.
    assert knowledge.get(corpus.kb).config == {**config, **OTHER}
    assert knowledge.reembedding(corpus.kb, "main") == {"status": "running", "models": OTHER}
    assert taken_over(corpus)
    again = knowledge.adopt(corpus.kb, "other")
    assert again.before.id == again.after.id == moved.after.id

    back = knowledge.go_back(corpus.kb, moved.before, models={"embedding_model": MODEL})
    assert (back.before.id, back.after.manifest_id) == (moved.after.id, moved.before.manifest_id)
    assert held(corpus) == heads(corpus)
    assert knowledge.get(corpus.kb).config["embedding_model"] == MODEL
    assert knowledge.reembedding(corpus.kb, "main") is None
    assert not taken_over(corpus)
    # What was undone can be taken over once more, and is not taken for old.
    knowledge.adopt(corpus.kb, "other", prefer=prefer)
    assert texts(corpus) == MERGED | both
    for missing in ("nowhere", "main2"):
        with pytest.raises(NotFound):
            knowledge.adopt(corpus.kb, missing)
        with pytest.raises(NotFound):
            knowledge.branch(corpus.kb, missing)


def test_a_merge_of_many_documents_takes_as_many_statements_as_one_of_few(corpus: Corpus) -> None:
    counts = []
    for n in (4, 24):
        base = Corpus(corpus.knowledge, name=f"{n} documents")
        for number in range(n):
            base.put(f"{number}", [f"{number} at first"])
        base.knowledge.create_branch(base.kb, "other", models=OTHER)
        for number in range(n):
            for ref in ("main", "other"):
                base.put(f"{number}", [f"{number} on {ref}"], ref=ref)
        reads = []

        def note(
            _c: object, _k: object, statement: str, *_: object, seen: list[str] = reads
        ) -> None:
            # Manifests are read by their buckets, of which there are 64 at most.
            if statement.startswith("SELECT") and "FROM manifest" not in statement:
                seen.append(statement)

        event.listen(base.knowledge.db.engine, "before_cursor_execute", note)
        base.knowledge.adopt(base.kb, "other", prefer="branch")
        event.remove(base.knowledge.db.engine, "before_cursor_execute", note)
        assert texts(base) == texts(base, "other")
        assert held(base) == heads(base)
        counts.append(len(reads))
    assert counts[0] == counts[1]


def test_who_reads_meets_all_of_it_or_nothing(corpus: Corpus) -> None:
    knowledge = corpus.knowledge
    for number in range(70):
        corpus.put(f"{number}", [f"{number} at first"])
    knowledge.create_branch(corpus.kb, "other", models=OTHER)
    for number in range(70):
        corpus.put(f"{number}", [f"{number} on other"], ref="other")
    old, new = texts(corpus), texts(corpus, "other")
    reader = KnowledgeRepository(knowledge.db)
    ended, seen = threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            place = reader.locate(corpus.kb, "main")
            assert place is not None
            found = {content for _, content in reader.iter_texts(place.commit_id)}
            seen.append((found in (old, new), found == new, place.config))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(10):
            moved = knowledge.adopt(corpus.kb, "other")
            knowledge.go_back(corpus.kb, moved.before, models={"embedding_model": MODEL})
    finally:
        ended.set()
        thread.join()
    assert seen
    for whole, is_new, config in seen:
        assert whole
        assert not config or (config["embedding_model"] == "other") is is_new


def test_what_was_embedded_before_another_model_came_is_not_committed(corpus: Corpus) -> None:
    knowledge = corpus.knowledge
    corpus.put("a", ["one"])
    knowledge.create_branch(corpus.kb, "other", models=OTHER)
    models = knowledge.models_of(corpus.kb, "main")
    assert models == {}
    assert knowledge.models_of(corpus.kb, "other") == {"embedding_model": "other"}
    knowledge.adopt(corpus.kb, "other")
    assert knowledge.models_of(corpus.kb, "main") == {"embedding_model": "other"}
    document = knowledge.ensure_document(corpus.kb, "b")
    version = tables.DocumentVersion(
        id="", document_id=document.id, knowledge_base_id=corpus.kb, content_hash="b",
        config_hash="", embedding_model=MODEL, created_at=time.time(),
    )  # fmt: skip
    head = corpus.head()
    with pytest.raises(ModelsMoved):
        knowledge.commit_document(corpus.kb, "main", version, [], {}, MODEL, models=models)
    assert corpus.head() == head
    models = knowledge.models_of(corpus.kb, "main")
    knowledge.commit_document(corpus.kb, "main", version, [], {}, MODEL, models=models)
    assert corpus.head() != head


def test_a_deleted_branch_leaves_nothing_in_the_indexes_and_can_be_had_again(
    corpus: Corpus,
) -> None:
    apart(corpus)
    knowledge = corpus.knowledge
    on_main, on_other = texts(corpus), texts(corpus, "other")
    gone = knowledge.delete_branch(corpus.kb, "other")
    assert [ref.name for ref in knowledge.branches(corpus.kb)] == ["main"]
    assert held(corpus) == heads(corpus) == knowledge.version_ids(corpus.head())
    assert texts(corpus) == on_main
    with pytest.raises(NotFound):
        knowledge.delete_branch(corpus.kb, "other")
    with pytest.raises(Conflict, match="cannot be deleted"):
        knowledge.delete_branch(corpus.kb, "main")
    knowledge.create_branch(corpus.kb, gone.name, gone.commit_id, gone.models)
    assert texts(corpus, "other") == on_other
    assert knowledge.branch_models(corpus.kb, "other") == OTHER
    assert held(corpus) == heads(corpus)
    # Commits that are not part of main count, too.
    assert knowledge.commit_count(corpus.kb) > knowledge.commits(corpus.kb)[1]


def test_nobody_writes_between_the_look_for_users_of_a_branch_and_its_deletion(
    corpus: Corpus,
) -> None:
    knowledge = corpus.knowledge
    knowledge.create_branch(corpus.kb, "other")
    written = threading.Event()
    there: list[bool] = []

    def write() -> None:
        with knowledge.db.write() as session:
            there.append(session.get(tables.Ref, (corpus.kb, "other")) is not None)
        written.set()

    def in_use() -> None:
        raise Conflict("It is used.", fix="Use another.")

    with pytest.raises(Conflict, match="It is used"):
        knowledge.delete_branch(corpus.kb, "other", in_use)
    writer = threading.Thread(target=write)

    def look() -> None:
        writer.start()
        assert not written.wait(0.3)

    knowledge.delete_branch(corpus.kb, "other", look)
    writer.join()
    assert there == [False]


def test_a_branch_stays_while_files_are_on_their_way_and_takes_none_once_it_is_gone(
    corpus: Corpus,
) -> None:
    knowledge, jobs = corpus.knowledge, JobRepository(corpus.knowledge.db)
    for name in ("other", "third"):
        knowledge.create_branch(corpus.kb, name)
    files = [{"filename": "a", "blob": "ab" * 32}]
    waiting = jobs.create(corpus.kb, files, "other")
    for _ in ("queued", "paused"):
        with pytest.raises(Conflict, match="on their way"):
            knowledge.delete_branch(corpus.kb, "other")
        jobs.pause(waiting.id)
    knowledge.delete_branch(corpus.kb, "third")
    jobs.cancel(waiting.id)
    knowledge.delete_branch(corpus.kb, "other")
    with pytest.raises(NotFound, match="no branch 'other'"):
        jobs.create(corpus.kb, files, "other")
    assert [job.id for job in jobs.list(corpus.kb)[0]] == [waiting.id]
