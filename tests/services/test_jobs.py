"""Jobs steered by people and by the state of the place: pause, go on, cancel, try again."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
import time
import uuid
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.documents.extract import register_extractor
from app.documents.extract.options import ExtractOptions
from app.documents.model import Block, ExtractedDocument
from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.pauses import Pauses
from app.services.ingestion.service import IncomingFile
from app.services.views import JobView, TaskView
from storage.errors import NotFound
from tests.services.conftest import FACTS, Fill, opened, text_files
from tests.services.openai_server import openai_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPE = "text/x-slow"


def slowly(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Say which process reads, and read until a file “go” lies beside the one named."""
    place = Path(path.read_text().split()[-1])
    place.write_text(str(os.getpid()))
    while not place.with_name("go").exists():
        time.sleep(0.02)
    return ExtractedDocument(
        media_type=TYPE, blocks=(Block(kind="paragraph", text="Read slowly."),)
    )


@pytest.fixture(scope="module", autouse=True)
def slow_files() -> None:
    register_extractor(TYPE, slowly, extensions=(".slow",))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("jobs") / "data") as services:
        services.ingest._workers.pauses = Pauses(first_s=0.05, longest_s=0.2)
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    """An empty knowledge base of its own."""
    return (await services.knowledge.create(f"Jobs {uuid.uuid4()}")).knowledge_base_id


async def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives, once it gives something."""
    async with asyncio.timeout(60):
        while not (found := condition()):
            await asyncio.sleep(0.01)
    return found


async def reach(services: Services, job_id: str, status: str) -> JobView:
    async with asyncio.timeout(60):
        async for view in services.ingest.watch_jobs(job_id=job_id):
            if view.status == status:
                return view
    raise AssertionError(f"never {status}")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def slow_job(services: Services, kb: str, place: Path) -> tuple[JobView, int]:
    """A job whose file is being read, and the process that reads it."""
    file = IncomingFile("a.slow", data=f"tell {place}".encode())
    job = await services.ingest.submit(kb, [file])
    return job, int(await until(lambda: place.exists() and place.read_text()))


async def test_a_cancel_ends_the_parse_and_nothing_is_committed(
    services: Services, kb: str, tmp_path: Path
) -> None:
    job, pid = await slow_job(services, kb, tmp_path / "pid")
    assert is_alive(pid)
    assert (await services.ingest.brief(job.job_id)).progress.stages == {"extract": 1}
    cancelled = await services.ingest.cancel(job.job_id)
    assert (cancelled.status, cancelled.progress.cancelled) == ("cancelled", 1)
    assert (cancelled.progress.stages, cancelled.progress.eta_s) == ({}, None)
    assert (cancelled.results[0].status, cancelled.results[0].stage) == ("cancelled", "")
    await until(lambda: not is_alive(pid))
    (tmp_path / "go").touch()
    # Others are read meanwhile, by a new process.
    await services.ingest.wait((await services.ingest.submit(kb, text_files(FACTS))).job_id, 60)
    stats = await services.knowledge.stats(kb)
    assert (stats.document_count, stats.pending_documents) == (len(FACTS), 0)
    with pytest.raises(RagloomError, match="cancelled and cannot be paused"):
        await services.ingest.pause(job.job_id)


async def test_a_commit_that_comes_after_the_cancel_is_undone(services: Services, kb: str) -> None:
    commit = services.repository.commit_document
    held, loop, go = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

    def late(*args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(held.set)
        go.wait(30)
        return commit(*args, **kwargs)

    services.repository.commit_document = late  # type: ignore[method-assign]
    try:
        job = await services.ingest.submit(kb, text_files(FACTS))
        await asyncio.wait_for(held.wait(), 60)
        await services.ingest.cancel(job.job_id)
    finally:
        services.repository.commit_document = commit  # type: ignore[method-assign]
        go.set()
    await services.ingest.wait(
        (await services.ingest.submit(kb, [IncomingFile("x.md", data=b"# X\n\nText.")])).job_id, 60
    )
    assert (await services.knowledge.stats(kb)).document_count == 1


async def test_a_paused_job_waits_for_a_person(services: Services, kb: str, tmp_path: Path) -> None:
    job, pid = await slow_job(services, kb, tmp_path / "pid")
    paused = await services.ingest.pause(job.job_id)
    assert (paused.status, paused.reason, paused.resumes_at) == ("paused", None, None)
    assert paused.results[0].status == "queued"
    await until(lambda: not is_alive(pid))
    # Others are not held up.
    other = await services.ingest.submit(kb, text_files(FACTS))
    await services.ingest.wait(other.job_id, 60)
    assert (await services.ingest.brief(job.job_id)).status == "paused"
    assert [j.job_id for j in (await services.ingest.jobs(kb, ["paused"])).items] == [job.job_id]
    (tmp_path / "go").touch()
    await services.ingest.resume(job.job_id)
    done = await services.ingest.wait(job.job_id, 60)
    assert (done.status, done.results[0].status) == ("completed", "success")
    with pytest.raises(RagloomError, match="cannot be resumed"):
        await services.ingest.resume(job.job_id)


async def test_a_small_upload_does_not_wait_for_all_of_a_large_one(
    services: Services, kb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers, jobs = services.ingest.limits.workers, services.ingest._jobs
    claim, claimed = jobs.claim, []

    def noted(**how: Any) -> Any:
        task = claim(**how)
        if task is not None:
            claimed.append(task.job_id)
        return task

    places = [tmp_path / f"pid{n}" for n in range(workers)]
    held = [IncomingFile(f"{n}.slow", data=f"tell {p}".encode()) for n, p in enumerate(places)]
    more = text_files({f"{n}.md": f"# Part {n}\n\nOf many." for n in range(20)})
    large = await services.ingest.submit(kb, [*held, *more])
    await until(lambda: jobs.counts([large.job_id])[large.job_id].get("running") == workers)
    monkeypatch.setattr(jobs, "claim", noted)
    small = await services.ingest.submit(kb, text_files({"small.md": "# Small\n\nAlone."}))
    (tmp_path / "go").touch()
    assert (await services.ingest.wait(small.job_id, 60)).status == "completed"
    assert (await services.ingest.wait(large.job_id, 90)).progress.done == len(held) + len(more)
    # Those at work when it came go on; of what is begun after that, it is among the first.
    assert small.job_id in claimed[:workers]


async def test_a_pause_outlives_the_server(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as services:
        kb = (await services.knowledge.create("Docs")).knowledge_base_id
        job, _ = await slow_job(services, kb, tmp_path / "pid")
        await services.ingest.pause(job.job_id)
    (tmp_path / "go").touch()
    async with opened(tmp_path / "data") as services:
        assert (await services.ingest.brief(job.job_id)).status == "paused"
        await services.ingest.resume(job.job_id)
        assert (await services.ingest.wait(job.job_id, 60)).status == "completed"


async def test_only_what_failed_is_tried_again(services: Services, kb: str) -> None:
    files = [*text_files(FACTS), IncomingFile("broken.pdf", data=b"%PDF-1.7 rubbish")]
    job = await services.ingest.submit(kb, files)
    done = await services.ingest.wait(job.job_id, 60)
    assert (done.progress.total, done.progress.done, done.progress.failed) == (4, 3, 1)
    again = await services.ingest.retry_failed(job.job_id)
    assert [r.status for r in again.results][:3] == ["success"] * 3
    ended = await services.ingest.wait(job.job_id, 60)
    assert ended.results[3].error is not None
    assert ended.results[3].error["code"] == "damaged"
    good = await services.ingest.submit(kb, text_files({"good.md": "# Good\n\nAll is well."}))
    await services.ingest.wait(good.job_id, 60)
    with pytest.raises(RagloomError, match="none failed"):
        await services.ingest.retry_failed(good.job_id)


async def test_a_failed_file_is_tried_again_with_other_settings_in_its_own_job(
    services: Services, kb: str
) -> None:
    job = await services.ingest.submit(kb, [IncomingFile("cut.pdf", data=b"%PDF-1.7")])
    [failed] = (await services.ingest.wait(job.job_id, 60)).results
    with pytest.raises(RagloomError) as refused:
        await services.ingest.retry(kb, failed.document_id, {"chunk_size": -1})
    assert refused.value.code == "invalid_config"
    again = await services.ingest.retry(kb, failed.document_id, {"ocr": "auto"})
    assert again.job_id == job.job_id
    await services.ingest.wait(job.job_id, 60)
    task = services.ingest._jobs.task(failed.task_id)
    assert (task.processing["ocr"], task.status) == ("auto", "error")


async def test_files_and_progress_are_told_side_by_side(services: Services, kb: str) -> None:
    job = await services.ingest.submit(kb, text_files(FACTS))
    seen = [view async for view in services.ingest.follow(job.job_id)]
    assert {v.filename for v in seen if isinstance(v, TaskView) and v.status == "success"} == set(
        FACTS
    )
    last = [v for v in seen if isinstance(v, JobView)][-1]
    assert (last.status, last.progress.done, last.results) == ("completed", 3, [])


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    yield
    import litellm

    litellm.in_memory_llm_clients_cache.flush_cache()


@pytest.mark.usefixtures("key")
async def test_a_provider_that_is_away_pauses_the_job_until_it_is_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bound to no server the port answers nobody, and nobody else is given it meanwhile.
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    with openai_server(port) as url:
        monkeypatch.setenv("OPENAI_API_BASE", url)
        created = await services.knowledge.create(
            f"Remote {uuid.uuid4()}", config={"embedding_model": "openai/tiny-embed"}
        )
        kb = created.knowledge_base_id
        first = await services.ingest.submit(kb, text_files({"a.md": "# A\n\nFirst."}))
        assert (await services.ingest.wait(first.job_id, 60)).status == "completed"
    job = await services.ingest.submit(kb, text_files(FACTS))
    paused = await reach(services, job.job_id, "paused")
    assert paused.reason is not None
    assert paused.reason["code"] == "provider_unreachable"
    assert "secret-key" not in str(paused.reason)
    assert paused.progress.failed == 0
    with openai_server(port):
        done = await services.ingest.wait(job.job_id, 90)
    place.close()
    assert {r.status for r in done.results} == {"success"}


async def test_a_model_that_is_gone_pauses_the_job_and_says_how_to_get_it(
    services: Services, kb: str
) -> None:
    config = services.repository.get(kb).config
    services.repository.update(kb, config={**config, "embedding_model": "gone/no-such-model"})
    job = await services.ingest.submit(kb, text_files(FACTS))
    paused = await reach(services, job.job_id, "paused")
    assert paused.reason is not None
    assert paused.reason["code"] == "model_unavailable"
    assert "folder" in paused.reason["fix"]
    services.repository.update(kb, config=config)
    done = await services.ingest.wait(job.job_id, 60)
    assert {r.status for r in done.results} == {"success"}


async def test_documents_are_processed_anew_with_settings_that_apply(
    services: Services, kb: str, fill: Fill
) -> None:
    texts = {name: " ".join(f"Sentence {n} of {name}." for n in range(80)) for name in ("a", "b")}
    first = await fill(kb, {f"{name}.txt": text for name, text in texts.items()})
    one = first.results[0].document_id
    job = await services.ingest.reprocess(kb, [one], {"chunk_size": 32, "chunk_overlap": 0}, "ann")
    done = await services.ingest.wait(job.job_id, 60)
    assert (job.kind, [r.change for r in done.results]) == ("reprocess", ["updated"])
    assert done.results[0].chunks_created > first.results[0].chunks_created
    again = await services.ingest.reprocess(kb, None, {"chunk_size": 32, "chunk_overlap": 0})
    changes = {r.filename: r.change for r in (await services.ingest.wait(again.job_id, 60)).results}
    assert changes == {"a.txt": "unchanged", "b.txt": "updated"}
    with pytest.raises(NotFound):
        await services.ingest.reprocess(kb, ["doc_none"])
    with pytest.raises(RagloomError, match="chunk_sice"):
        await services.ingest.reprocess(kb, None, {"chunk_sice": 3})


async def test_an_encrypted_file_takes_its_password_which_is_kept_nowhere(
    services: Services, kb: str, shared_data: Path
) -> None:
    path = shared_data / "hostile-docs" / "r6-user-password.pdf"
    job = await services.ingest.submit(kb, [IncomingFile("locked.pdf", path=path)])
    result = (await services.ingest.wait(job.job_id, 60)).results[0]
    assert result.error is not None
    assert result.error["code"] == "encrypted"
    for shown in (await services.ingest.job(job.job_id), await services.ingest.brief(job.job_id)):
        assert (shown.progress.failed, shown.progress.locked) == (1, 1)
    wrong = await services.ingest.give_password(kb, result.document_id, "wr0ng-pass-phrase")
    failed = (await services.ingest.wait(wrong.job_id, 60)).results[0]
    assert failed.error is not None
    assert failed.error["code"] == "wrong_password"
    right = await services.ingest.give_password(kb, result.document_id, "asdfzxcv")
    done = (await services.ingest.wait(right.job_id, 60)).results[0]
    assert (done.status, done.error) == ("success", None)
    with pytest.raises(RagloomError, match="waits for no password"):
        await services.ingest.give_password(kb, result.document_id, "asdfzxcv")
    assert services.ingest._workers._passwords == {}
    for file in services.folder.path.glob("ragloom.db*"):
        assert b"wr0ng-pass-phrase" not in file.read_bytes()


def archive(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return held.getvalue()


async def test_a_zip_becomes_its_files(services: Services, kb: str) -> None:
    inner = archive({"deep.txt": b"Deep down."})
    data = archive(
        {
            "notes/a.md": b"# A\n\nThe first note.",
            "notes/b.txt": b"",
            "../outside.txt": b"Nothing leaves the folder.",
            "inner.zip": inner,
            "__MACOSX/._a.md": b"litter",
        }
    )
    files = [IncomingFile("papers/pack.zip", data=data), *text_files({"x.md": "# X\n\nText."})]
    job = await services.ingest.submit(kb, files)
    done = await services.ingest.wait(job.job_id, 60)
    results = {r.filename: r for r in done.results}
    assert set(results) == {
        "papers/pack.zip/notes/a.md",
        "papers/pack.zip/notes/b.txt",
        "papers/pack.zip/outside.txt",
        "papers/pack.zip/inner.zip/deep.txt",
        "x.md",
    }
    bad = results.pop("papers/pack.zip/notes/b.txt")
    assert bad.error is not None
    assert bad.error["code"] == "empty"
    assert {r.status for r in results.values()} == {"success"}
    assert list((services.folder.path / "uploads").glob("unpack-*")) == []


async def test_a_zip_that_cannot_be_opened_is_one_error(services: Services, kb: str) -> None:
    many = archive({f"{n}.txt": b"x" for n in range(1_100)})
    job = await services.ingest.submit(kb, [IncomingFile("many.zip", data=many)])
    [result] = job.results
    assert result.error is not None
    assert (result.filename, result.error["code"]) == ("many.zip", "unsafe")
    assert (await services.ingest.submit(kb, [IncomingFile("e.zip", data=archive({}))])).results[
        0
    ].status == "error"
