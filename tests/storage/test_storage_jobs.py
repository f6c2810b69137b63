from __future__ import annotations

from typing import Any

import pytest

from storage.database import Database
from storage.errors import Conflict, NotFound, TaskGone
from storage.jobs import MAX_ATTEMPTS, JobRepository
from storage.tables import Task
from tests.storage.corpus import Corpus

ERROR = {"code": "bad_file", "message": "It is empty.", "fix": "Choose another."}


@pytest.fixture
def jobs(db: Database) -> JobRepository:
    return JobRepository(db)


def files(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "filename": name,
            "blob": f"sha of {name}",
            "size": 3,
            "media_type": "text/plain",
            "processing": {"chunk_size": 10},
            **more,
        }
        for name in names
    ]


def claim(jobs: JobRepository) -> Task:
    task = jobs.claim()
    assert task is not None
    return task


def test_a_job_is_worked_off_file_by_file(jobs: JobRepository, corpus: Corpus) -> None:
    job = jobs.create(corpus.kb, files("a", "b"), "main", "ada")
    assert (job.status, job.author) == ("queued", "ada")
    first = claim(jobs)
    assert (first.filename, first.status, first.attempts) == ("a", "running", 1)
    assert first.processing == {"chunk_size": 10}
    assert first.document_id == corpus.knowledge.ensure_document(corpus.kb, "a").id
    assert jobs.job(job.id).status == "running"
    jobs.progress(first.id, "embed", 3, 10)
    assert (jobs.task(first.id).stage, jobs.task(first.id).done) == ("embed", 3)
    done = jobs.finish(first.id, change="added", chunks_created=4, processing_time=0.5)
    assert (done.status, done.change, done.chunks_created) == ("success", "added", 4)
    assert jobs.job(job.id).status == "running"
    second = claim(jobs)
    assert jobs.claim() is None
    failed = jobs.fail(second.id, ERROR, processing_time=0.1)
    assert (failed.status, failed.error) == ("error", ERROR)
    job = jobs.job(job.id)
    assert job.status == "completed"
    assert job.finished_at is not None
    assert [task.filename for task in jobs.tasks(job.id)] == ["a", "b"]
    assert [task.filename for task in jobs.open_tasks(corpus.kb)] == ["b"]


def test_a_refused_file_is_recorded_with_its_reason(jobs: JobRepository, corpus: Corpus) -> None:
    job = jobs.create(corpus.kb, files("a", error=ERROR))
    assert job.status == "failed"
    assert jobs.claim() is None
    [task] = jobs.tasks(job.id)
    assert task.error == ERROR


def test_jobs_are_taken_oldest_first(jobs: JobRepository, corpus: Corpus) -> None:
    for name in ("a", "b", "c"):
        jobs.create(corpus.kb, files(name))
    assert [claim(jobs).filename for _ in range(3)] == ["a", "b", "c"]


def test_jobs_take_turns_and_their_files_keep_their_order(
    jobs: JobRepository, corpus: Corpus
) -> None:
    """The fewest at work first, then who waited longest; a new job waits for no other."""
    jobs.create(corpus.kb, files(*(f"big{n}" for n in range(6))))
    taken = [claim(jobs) for _ in range(2)]
    jobs.create(corpus.kb, files("small0", "small1"))
    taken += [claim(jobs) for _ in range(3)]
    assert [task.filename for task in taken] == ["big0", "big1", "small0", "small1", "big2"]
    # Turn by turn, with one place to work at.
    for task in taken:
        jobs.finish(task.id, change="added", chunks_created=1, processing_time=0)
    jobs.create(corpus.kb, files("later0", "later1"))
    order = []
    while (task := jobs.claim()) is not None:
        order.append(task.filename)
        jobs.finish(task.id, change="added", chunks_created=1, processing_time=0)
    assert order == ["later0", "big3", "later1", "big4", "big5"]


def test_an_earlier_upload_of_a_name_goes_first_in_the_turn_of_the_later_one(
    jobs: JobRepository, corpus: Corpus
) -> None:
    first = jobs.create(corpus.kb, files("x", "y", "z", "a"))
    second = jobs.create(corpus.kb, files("a"))
    assert claim(jobs).filename == "x"
    early = claim(jobs)
    assert (early.filename, early.job_id) == ("a", first.id)
    assert claim(jobs).filename == "y"
    jobs.finish(early.id, change="added", chunks_created=1, processing_time=0)
    late = claim(jobs)
    assert (late.filename, late.job_id) == ("a", second.id)


def test_two_uploads_of_one_name_are_processed_one_after_the_other(
    jobs: JobRepository, corpus: Corpus
) -> None:
    jobs.create(corpus.kb, files("a"))
    jobs.create(corpus.kb, files("a", "b"))
    first = claim(jobs)
    assert claim(jobs).filename == "b"
    assert jobs.claim() is None
    jobs.finish(first.id, change="added", chunks_created=1, processing_time=0)
    second = claim(jobs)
    assert (second.filename, second.id != first.id) == ("a", True)
    assert jobs.latest_task(second.document_id) == second


def test_what_a_dead_process_left_is_taken_up_until_it_killed_too_often(
    jobs: JobRepository, corpus: Corpus
) -> None:
    job = jobs.create(corpus.kb, files("killer"))
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert claim(jobs).attempts == attempt
        assert jobs.recover() == 1
    assert jobs.claim() is None
    [task] = jobs.tasks(job.id)
    assert task.status == "error"
    assert task.error is not None
    assert task.error["code"] == "worker_crashed"
    assert jobs.job(job.id).status == "failed"
    jobs.retry(task.id)
    assert jobs.job(job.id).status == "queued"
    assert claim(jobs).attempts == 1


def test_a_last_chance_is_given_only_where_asked_for(jobs: JobRepository, corpus: Corpus) -> None:
    jobs.create(corpus.kb, files("suspect"))
    for _ in range(MAX_ATTEMPTS - 1):
        assert jobs.claim(last_chances=False) is not None
        jobs.recover()
    assert jobs.claim(last_chances=False) is None
    assert claim(jobs).attempts == MAX_ATTEMPTS


def test_a_released_task_was_never_tried(jobs: JobRepository, corpus: Corpus) -> None:
    jobs.create(corpus.kb, files("a"))
    for _ in range(MAX_ATTEMPTS + 1):
        jobs.release(claim(jobs).id)
    assert jobs.recover() == 0
    assert claim(jobs).attempts == 1


def test_a_cancelled_job_stays_cancelled(jobs: JobRepository, corpus: Corpus) -> None:
    job = jobs.create(corpus.kb, files("a", "b", "c"))
    finished = claim(jobs)
    jobs.finish(finished.id, change="added", chunks_created=1, processing_time=0)
    running = claim(jobs)
    assert jobs.cancel(job.id) == [running.id]
    assert [task.status for task in jobs.tasks(job.id)] == ["success", "cancelled", "cancelled"]
    assert jobs.fail(running.id, ERROR).status == "cancelled"
    jobs.progress(running.id, "embed", 1, 2)
    assert jobs.task(running.id).stage == ""
    assert jobs.job(job.id).status == "cancelled"
    ended = jobs.finish(running.id, change="added", chunks_created=2, processing_time=0)
    assert ended.status == "cancelled"
    assert jobs.open_tasks(corpus.kb) == []


def test_a_paused_job_begins_nothing_until_it_is_resumed(
    jobs: JobRepository, corpus: Corpus
) -> None:
    job = jobs.create(corpus.kb, files("a", "b"))
    running = claim(jobs)
    assert jobs.pause(job.id) == [running.id]
    assert jobs.job(job.id).status == "paused"
    assert jobs.claim() is None
    jobs.release(running.id)
    assert jobs.claim() is None
    assert jobs.next_retry() is None
    jobs.recover()
    assert jobs.job(job.id).status == "paused"
    assert jobs.resume(job.id).status == "queued"
    assert claim(jobs).attempts == 1
    jobs.cancel(job.id)
    assert jobs.pause(job.id) == []
    assert jobs.job(job.id).status == "cancelled"


def test_other_jobs_go_on_while_one_is_paused(jobs: JobRepository, corpus: Corpus) -> None:
    paused = jobs.create(corpus.kb, files("a", "b"))
    jobs.create(corpus.kb, files("b"))
    jobs.pause(paused.id)
    later = claim(jobs)
    assert later.filename == "b"
    assert jobs.claim() is None
    jobs.finish(later.id, change="added", chunks_created=1, processing_time=0)
    # The upload that came later is in: the earlier one of that name must not go over it.
    jobs.resume(paused.id)
    assert [task.status for task in jobs.tasks(paused.id)] == ["queued", "cancelled"]


def test_a_job_is_paused_for_longer_each_time_it_does_not_get_further(
    jobs: JobRepository, corpus: Corpus
) -> None:
    job = jobs.create(corpus.kb, files("a", "b", "c"))

    def suspend() -> float:
        task, held = jobs.suspend(claim(jobs).id, ERROR, first_s=100, longest_s=300)
        assert (task.status, task.attempts) == ("queued", 0)
        assert (held.status, held.reason) == ("paused", ERROR)
        assert held.retry_at is not None
        assert jobs.next_retry() == held.retry_at
        assert held.paused_at is not None
        return held.retry_at - held.paused_at

    assert suspend() == pytest.approx(100)
    assert jobs.claim() is None
    jobs.retry_paused_now()
    assert suspend() == pytest.approx(200)
    jobs.retry_paused_now()
    assert suspend() == pytest.approx(300)
    jobs.resume(job.id)
    # Each of them was the reason once; one is tried alone until one goes well.
    probe = claim(jobs)
    assert (probe.filename, jobs.claim()) == ("a", None)
    jobs.finish(probe.id, change="added", chunks_created=1, processing_time=0)
    assert (jobs.job(job.id).pauses, jobs.job(job.id).reason) == (0, None)
    assert {claim(jobs).filename for _ in range(2)} == {"b", "c"}


def test_several_files_that_fail_together_pause_their_job_once(
    jobs: JobRepository, corpus: Corpus
) -> None:
    job = jobs.create(corpus.kb, files("a", "b", "c"))
    for task in (claim(jobs), claim(jobs)):
        jobs.suspend(task.id, ERROR, first_s=100, longest_s=300)
    assert jobs.job(job.id).pauses == 1
    jobs.retry_paused_now()
    # The file that was not tried yet goes first.
    assert claim(jobs).filename == "c"


def test_the_failed_files_of_a_job_are_tried_again(jobs: JobRepository, corpus: Corpus) -> None:
    job = jobs.create(corpus.kb, [*files("a", "b"), *files("c", error=ERROR, blob="")])
    jobs.fail(claim(jobs).id, ERROR)
    jobs.finish(claim(jobs).id, change="added", chunks_created=1, processing_time=0)
    assert jobs.job(job.id).status == "completed"
    [again] = jobs.retry_failed(job.id)
    assert [task.status for task in jobs.tasks(job.id)] == ["queued", "success", "error"]
    assert claim(jobs).id == again
    assert jobs.retry_failed(job.id) == []
    assert jobs.counts([job.id]) == {job.id: {"running": 1, "success": 1, "error": 1}}


def test_nothing_is_tried_again_for_a_branch_that_is_gone(
    jobs: JobRepository, corpus: Corpus
) -> None:
    corpus.knowledge.create_branch(corpus.kb, "other")
    job = jobs.create(corpus.kb, files("a"), "other")
    task = claim(jobs)
    jobs.fail(task.id, ERROR)
    gone = corpus.knowledge.delete_branch(corpus.kb, "other")
    for again in (lambda: jobs.retry(task.id), lambda: jobs.retry_failed(job.id)):
        with pytest.raises(Conflict, match="“other”, which was deleted") as refused:
            again()
        assert "make a branch “other”" in refused.value.fix
    assert (jobs.job(job.id).status, jobs.task(task.id).status) == ("failed", "error")
    corpus.knowledge.create_branch(corpus.kb, "other", gone.commit_id)
    assert jobs.retry_failed(job.id) == [task.id]


def test_a_task_ends_with_the_transaction_that_commits_its_document(
    db: Database, jobs: JobRepository, corpus: Corpus
) -> None:
    job = jobs.create(corpus.kb, files("a", "b"))
    task = claim(jobs)
    finish = jobs.finishing(task, 0)
    with db.write() as session:
        finish(session, "added", 4)
    done = jobs.task(task.id)
    assert (done.status, done.change, done.chunks_created) == ("success", "added", 4)
    cancelled = claim(jobs)
    jobs.cancel(job.id)
    with pytest.raises(TaskGone), db.write() as session:
        jobs.finishing(cancelled, 0)(session, "added", 1)
    assert jobs.task(cancelled.id).status == "cancelled"


def test_jobs_are_listed_newest_first(jobs: JobRepository, corpus: Corpus) -> None:
    first, second = (jobs.create(corpus.kb, files(name)) for name in "ab")
    jobs.cancel(first.id)
    assert [job.id for job in jobs.list()[0]] == [second.id, first.id]
    assert [job.id for job in jobs.list(statuses=["cancelled"])[0]] == [first.id]
    assert jobs.list(corpus.kb, limit=1, offset=1)[1] == 2
    assert jobs.list("kb_other") == ([], 0)


def test_many_files_are_recorded_together(jobs: JobRepository, corpus: Corpus) -> None:
    names = [f"folder/{n}.txt" for n in range(1_000)]
    job = jobs.create(corpus.kb, files(*names, "folder/1.txt"))
    tasks = jobs.tasks(job.id)
    assert [task.filename for task in tasks] == [*names, "folder/1.txt"]
    assert tasks[1].document_id == tasks[-1].document_id
    assert len({task.document_id for task in tasks}) == 1_000
    assert [claim(jobs).filename for _ in range(3)] == names[:3]


def test_a_failed_document_can_be_given_up(jobs: JobRepository, corpus: Corpus) -> None:
    jobs.create(corpus.kb, files("a"))
    task = claim(jobs)
    jobs.fail(task.id, ERROR)
    assert jobs.dismiss(task.document_id) == [task.id]
    assert jobs.open_tasks(corpus.kb) == []
    assert jobs.dismiss(task.document_id) == []


def test_only_the_newest_upload_of_a_document_counts(jobs: JobRepository, corpus: Corpus) -> None:
    jobs.create(corpus.kb, files("a"))
    jobs.fail(claim(jobs).id, ERROR)
    jobs.create(corpus.kb, files("a"))
    jobs.finish(claim(jobs).id, change="added", chunks_created=1, processing_time=0)
    assert jobs.open_tasks(corpus.kb) == []


def test_originals_in_the_queue_are_in_use(jobs: JobRepository, corpus: Corpus) -> None:
    jobs.create(corpus.kb, files("a"))
    assert corpus.knowledge.used_blobs(["sha of a", "other"]) == {"sha of a"}


def test_unknown_ids_are_not_found(jobs: JobRepository) -> None:
    for missing in (
        lambda: jobs.create("kb_no", files("a")),
        lambda: jobs.job("no"),
        lambda: jobs.task("no"),
        lambda: jobs.cancel("no"),
        lambda: jobs.retry("no"),
        lambda: jobs.fail("no", ERROR),
        lambda: jobs.pause("no"),
        lambda: jobs.resume("no"),
        lambda: jobs.retry_failed("no"),
    ):
        with pytest.raises(NotFound):
            missing()
    assert jobs.latest_task("no") is None
    jobs.release("no")
