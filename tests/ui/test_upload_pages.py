"""Uploads on the page of a knowledge base: progress, pauses, failures, passwords."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nicegui import ui
from nicegui.elements.upload_files import SmallFileUpload
from nicegui.testing import User, UserInteraction
from sqlmodel import col, update
from visitor import visiting

from app.services.ingestion.pauses import Pauses
from app.services.ingestion.uploads import IncomingFile
from app.services.views import JobProgress, JobView
from app.ui.pages.knowledge.upload_jobs import words
from storage.tables import Task

if TYPE_CHECKING:
    from app.services.container import Services


@pytest.fixture
async def user(services: Services) -> AsyncIterator[User]:
    """A browserless visitor of the pages."""
    async with visiting(services) as visitor:
        yield visitor


def file(name: str, text: str = "") -> IncomingFile:
    return IncomingFile(name, data=f"# {name}\n\n{text or 'Some text.'}".encode())


async def test_a_paused_job_tells_why_and_goes_on_when_told_to(
    user: User, services: Services
) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    services.ingest._workers.pauses = Pauses(first_s=600, longest_s=600)
    await user.open(f"/knowledge/{kb}")
    config = services.repository.get(kb).config
    services.repository.update(kb, config={**config, "embedding_model": "gone/no-such-model"})
    job = await services.ingest.submit(kb, [file(f"{letter}.md") for letter in "abcdefghij"])
    await user.should_see("“gone/no-such-model” is not on this machine")
    await user.should_see("no file counts as failed")
    await user.should_see("0 of 10 files in")
    # The top bar counts all of them, and says more once somebody looks.
    await user.should_not_see("10 files waiting")
    (bar,) = user.find(marker="jobs").elements
    async with asyncio.timeout(60):
        while "0 of 10 files" not in {getattr(e, "text", "") for e in bar.descendants()}:
            await asyncio.sleep(0.02)
    (menu,) = (child for child in bar.descendants() if isinstance(child, ui.menu))
    menu.open()
    await user.should_see("10 files waiting")
    menu.close()
    services.repository.update(kb, config=config)
    user.find(kind=ui.button, content="Go on now").click()
    assert (await services.ingest.wait(job.job_id, 60)).status == "completed"
    await user.should_not_see("is not on this machine")

    # Opened while a job is under way, the page tells at its end what had failed before.
    services.repository.update(kb, config={**config, "embedding_model": "gone/no-such-model"})
    job = await services.ingest.submit(kb, [file("broken.md"), file("k.md")])
    async with asyncio.timeout(60):
        while (await services.ingest.job(job.job_id)).status != "paused":
            await asyncio.sleep(0.02)
    with services.repository.db.write() as session:
        broken = update(Task).where(col(Task.filename) == "broken.md")
        session.exec(broken.values(status="error", error={"code": "x", "message": "It broke."}))
    await user.open(f"/knowledge/{kb}")
    await user.should_see("is not on this machine")
    services.repository.update(kb, config=config)
    user.find(kind=ui.button, content="Go on now").click()
    await user.should_see("1 of 2 files in · 1 failed", retries=100)
    await user.should_see("Try these again")


async def test_an_encrypted_file_asks_for_its_password_in_place(
    user: User, services: Services, shared_data: Path
) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    await user.open(f"/knowledge/{kb}")
    locked = shared_data / "hostile-docs" / "r6-user-password.pdf"
    files = [IncomingFile("locked.pdf", path=locked), file("a.md"), IncomingFile("b.pdf", b"%PDF")]
    job = await services.ingest.submit(kb, files)
    await user.should_see("It is encrypted.")
    await user.should_see("1 of 3 files in · 1 failed · 1 locked")
    user.find(kind=ui.input, content="Password").type("wrong")
    user.find(kind=ui.button, content="Open").click()
    await user.should_see("That is not its password.")
    user.find(kind=ui.input, content="Password").type("asdfzxcv")
    user.find(kind=ui.button, content="Open").click()
    await user.should_see("2 of 3 files in · 1 failed")
    await user.should_not_see("not its password")
    user.find(kind=ui.button, content="Try these again").click()
    # The job was over before, and is again once the file has failed anew.
    async with asyncio.timeout(60):
        while True:
            done = await services.ingest.wait(job.job_id, 60)
            if "queued" not in (ended := [result.status for result in done.results]):
                break
            await asyncio.sleep(0.02)
    assert ended == ["success", "success", "error"]

    # A file tried once more says nothing of the others that came with it.
    kb = (await services.knowledge.create("Quay")).knowledge_base_id
    files = [IncomingFile("locked.pdf", path=locked), IncomingFile("b.pdf", b"%PDF")]
    job = await services.ingest.wait((await services.ingest.submit(kb, files)).job_id, 60)
    # What needs somebody leads to the files, from another tab too and without leaving the page.
    await user.open(f"/knowledge/{kb}?tab=Search")
    (words,) = user.find(marker="show-locked").elements
    user.find(marker="show-locked").click()
    await user.should_see("locked.pdf")
    await user.should_not_see("b.pdf")
    user.find(marker="show-error").click()
    await user.should_see("b.pdf")
    await user.should_not_see("locked.pdf")
    assert user.find(marker="show-locked").elements == {words}
    await user.should_see("1 failed document")
    await services.ingest.give_password(kb, job.results[0].document_id, "wrong")
    await user.should_see("That is not its password.")
    await user.should_not_see("1 failed · 1 locked")
    await services.ingest.give_password(kb, job.results[0].document_id, "asdfzxcv")
    await user.should_not_see("1 locked document", retries=100)
    await user.should_see("1 failed document")
    await user.should_not_see("1 of 2 files in")


async def test_files_to_ask_that_cannot_be_read_say_what_can_be_done(
    user: User, services: Services, shared_data: Path
) -> None:
    await user.open("/begin")
    (zone,) = user.find(marker="begin-upload").elements
    locked = (shared_data / "hostile-docs" / "r6-user-password.pdf").read_bytes()
    with user:
        await zone.handle_uploads(
            [
                SmallFileUpload("notes.md", "text/markdown", b"# Notes\n\nThe tide is at noon."),
                SmallFileUpload("locked.pdf", "application/pdf", locked),
                SmallFileUpload("odd.bin", "", b"\x00\x01\x02" * 50),
            ]
        )
    await user.should_see("Ask the others", retries=100)
    await user.should_see("Open the knowledge base")
    await user.should_see("odd.bin")
    user.find(kind=ui.button, content="Give its password").click()
    await user.should_see("Password of locked.pdf")
    user.find(kind=ui.input, content="Password").type("x" * 1_001).trigger("keydown.enter")
    await user.should_see("A password has 1 to 1,000 characters.")
    user.find(kind=ui.button, content="Give its password").click()
    await user.should_see("Password of locked.pdf")
    user.find(kind=ui.input, content="Password").type("asdfzxcv").trigger("keydown.enter")
    await user.should_not_see("Give its password", retries=100)
    await user.should_see("Ask the others", retries=100)
    user.find(kind=ui.button, content="Ask the others").click()
    async with asyncio.timeout(60):
        while not (made := (await services.workflows.list(limit=5, offset=0)).items):
            await asyncio.sleep(0.02)
    assert [workflow.name for workflow in made] == ["Ask notes"]


def test_jobs_in_words() -> None:
    def job(**progress: float | None) -> JobView:
        return JobView(
            job_id="j",
            knowledge_base_id="k",
            status="running",
            created_at="",
            progress=JobProgress.model_validate(progress),
        )

    assert words([job(total=1)]) == "0 of 1 file in"
    one, other = job(total=30, done=10, files_per_s=1.5), job(total=10, done=1, failed=1)
    assert words([one, other]) == "11 of 40 files in · 1 failed · 1.5 files/s · about 19 s left"
    assert (
        words([job(total=9, done=6, failed=3, locked=2)]) == "6 of 9 files in · 1 failed · 2 locked"
    )
    assert words([job(total=1, eta_s=200)]) == "0 of 1 file in · about 3 min left"


def _offers(select: ui.select, word: str) -> bool:
    return isinstance(select.options, dict) and word in select.options.values()


async def test_what_others_take_in_and_remove_is_followed(user: User, services: Services) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    await user.open(f"/knowledge/{kb}")
    files = [file("a.md", "The tide is high at noon on Fridays."), IncomingFile("b.pdf", b"%PDF")]
    job = await services.ingest.submit(kb, files)
    ended = await services.ingest.wait(job.job_id, 60)
    await user.should_see("More of a.md")
    await user.should_see("“b.pdf” is named .pdf")
    async with asyncio.timeout(60):
        while not any(_offers(select, "English") for select in user.find(kind=ui.select).elements):
            await asyncio.sleep(0.02)
    for result in ended.results:
        await services.knowledge.delete_document(kb, result.document_id)
    await user.should_not_see("“b.pdf” is named .pdf")
    await user.should_not_see("More of a.md")


async def test_a_cancelled_upload_can_be_taken_in_after_all(user: User, services: Services) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    services.ingest._workers.pauses = Pauses(first_s=600, longest_s=600)
    config = services.repository.get(kb).config
    services.repository.update(kb, config={**config, "embedding_model": "gone/no-such-model"})
    await user.open(f"/knowledge/{kb}")
    job = await services.ingest.submit(kb, [file(f"{letter}.md") for letter in "abc"])
    await user.should_see("“gone/no-such-model” is not on this machine")
    services.repository.update(kb, config=config)
    for button in user.find(kind=ui.button, content="Cancel").elements:
        UserInteraction(user, {button}, None).click()  # those of other jobs are not shown
    await user.should_see("3 files cancelled.")
    assert (await services.ingest.job(job.job_id)).status == "cancelled"
    user.find(kind=ui.button, content="Undo").click()
    await user.should_see("More of c.md")
    done = await services.ingest.wait(job.job_id, 60)
    assert [result.status for result in done.results] == ["success"] * 3


async def test_a_cancelled_file_that_cannot_come_back_is_told_and_the_others_do(
    user: User, services: Services
) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    services.ingest._workers.pauses = Pauses(first_s=600, longest_s=600)
    config = services.repository.get(kb).config
    services.repository.update(kb, config={**config, "embedding_model": "gone/no-such-model"})
    await user.open(f"/knowledge/{kb}")
    job = await services.ingest.submit(kb, [file(f"{letter}.md") for letter in "abc"])
    await user.should_see("“gone/no-such-model” is not on this machine")
    services.repository.update(kb, config=config)
    for button in user.find(kind=ui.button, content="Cancel").elements:
        UserInteraction(user, {button}, None).click()
    await user.should_see("3 files cancelled.")
    with services.repository.db.write() as session:
        session.exec(update(Task).where(col(Task.filename) == "b.md").values(blob=""))
    user.find(kind=ui.button, content="Undo").click()
    await user.should_see("b.md cannot be tried again: its file was not kept.")
    await user.should_see("2 of 3 files taken in after all.")
    done = await services.ingest.wait(job.job_id, 60)
    assert [result.status for result in done.results] == ["success", "cancelled", "success"]


async def test_documents_are_found_by_author_and_day(user: User, services: Services) -> None:
    kb = (await services.knowledge.create("Harbour")).knowledge_base_id
    about = "---\nauthor: {}\ndate: {}\n---\n\n# On {}\n\nWhat is said of the harbour.\n"
    files = [
        IncomingFile("old.md", about.format("Ada", "1843-07-10", "engines").encode()),
        IncomingFile("new.md", about.format("Grace", "2024-05-02", "ships").encode()),
    ]
    job = await services.ingest.submit(kb, files)
    await services.ingest.wait(job.job_id, 60)

    def days() -> list[ui.input]:
        fields = user.find(kind=ui.input).elements
        return sorted((f for f in fields if f.props.get("type") == "date"), key=lambda f: f.id)

    await user.open(f"/knowledge/{kb}")
    await user.should_see("old.md")
    (more,) = user.find(kind=ui.button, content="More filters").elements
    assert more.props["aria-expanded"] == "false"

    async def fold() -> str:
        user.find(kind=ui.button, content="More filters").click()
        await user.should_see("old.md")  # folded, they filter nothing
        assert "rl-hidden" not in more.classes
        return str(more.props["aria-expanded"])

    assert await fold() == "true"
    user.find(kind=ui.input, content="Author").type("grace")
    await user.should_not_see("old.md")
    assert [await fold(), await fold()] == ["false", "true"]
    user.find(kind=ui.input, content="Author").type("grace")
    await user.should_not_see("old.md")
    await user.should_see("new.md")
    days()[1].value = "2000-01-01"
    await user.should_see("No such document")
    user.find(kind=ui.button, content="Show all documents").click()
    await user.should_see("old.md")
    assert not any(field.value for field in days())
    await user.open(f"/knowledge/{kb}?tab=Search&q=harbour")
    await user.should_see("2 passages")
    days()[0].value = "2024-05-02"
    await user.should_see("1 passage")
