from __future__ import annotations

from typing import Any

import pytest

from storage.database import Database
from storage.errors import NotFound
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
    # What was committed before the cancellation arrived is in, and says so.
    ended = jobs.finish(running.id, change="added", chunks_created=2, processing_time=0)
    assert ended.status == "success"
    assert jobs.open_tasks(corpus.kb) == []


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
    ):
        with pytest.raises(NotFound):
            missing()
    assert jobs.latest_task("no") is None
    jobs.release("no")
