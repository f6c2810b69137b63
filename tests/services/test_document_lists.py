"""Lists of documents that are filtered, windows on their chunks, and what needs somebody."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import date
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from pypdf import PdfWriter

from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from app.services.knowledge.document_lists import document_filters
from app.services.views import SearchConfig
from storage.errors import NotFound
from tests.documents.pdfs import line, simple_pdf
from tests.services.conftest import FACTS, Fill, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

GERMAN = "Der Hafen von Lowick hat freitags um zwölf Uhr die höchste Flut, sagt der Hafenmeister. "


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    config = {"chunk_size": 16, "chunk_overlap": 0}
    return (await services.knowledge.create(f"Docs {uuid.uuid4()}", "", config)).knowledge_base_id


async def test_documents_are_filtered_by_status_and_language(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb, {**FACTS, "hafen.txt": GERMAN * 3})
    secret = PdfWriter(BytesIO(simple_pdf(line(72, 720, "What is said of the harbour."))))
    secret.encrypt("lowick")
    kept = BytesIO()
    secret.write(kept)
    broken = [
        IncomingFile("secret.pdf", data=kept.getvalue()),
        IncomingFile("broken.pdf", data=b"%PDF-1.7 nothing"),
        IncomingFile("bread.md", data=b"\x00"),
    ]
    job = await services.ingest.submit(kb, broken)
    await services.ingest.wait(job.job_id, 60)

    async def names(**wanted: Any) -> list[str]:
        page = await services.knowledge.documents(kb, **wanted)
        assert page.total == len(page.items)
        return [document.filename for document in page.items]

    assert sorted(await names(status="error")) == ["bread.md", "broken.pdf", "secret.pdf"]
    assert await names(status="error", locked=True) == ["secret.pdf"]
    assert sorted(await names(status="error", locked=False)) == ["bread.md", "broken.pdf"]
    assert await names(status="ready") == ["engines.txt", "hafen.txt", "tides.md"]
    assert await names(language="de") == ["hafen.txt"]
    assert await names(language="de", status="error") == []
    assert await names(status="queued") == []
    assert len(await names()) == 6
    health = (await services.knowledge.health([kb, "kb_none"]))[kb]
    assert (health.failed, health.locked, health.pending, health.paused) == (3, 1, 0, 0)
    assert (await services.knowledge.stats(kb)).failed_documents == health.failed
    assert health.size > 0
    [locked] = (await services.knowledge.documents(kb, text="secret")).items
    job = await services.ingest.give_password(kb, locked.document_id, "lowick")
    await services.ingest.wait(job.job_id, 60)
    health = (await services.knowledge.health([kb]))[kb]
    assert (health.failed, health.locked) == (2, 0)


async def test_documents_are_filtered_by_author_and_date(
    services: Services, kb: str, fill: Fill
) -> None:
    about = "---\nauthor: {}\ndate: {}\n---\n\n# On {}\n\nWhat is said of the harbour.\n"
    mail = "From: Ada Lovelace <ada@example.org>\nTo: b@example.org\nSubject: Tides\n"
    mail += "Date: Wed, 01 May 2024 23:30:00 +0000\n\nThe tide is high at noon.\n"
    await fill(
        kb,
        {
            "old.md": about.format("Ada Lovelace", "1843-07-10", "engines"),
            "new.md": about.format("Grace Hopper", "2024-05-02", "ships"),
            "note.eml": mail,
            **FACTS,
        },
    )

    async def names(*wanted: Any) -> list[str]:
        filters = document_filters(*wanted)
        page = await services.knowledge.documents(kb, filters=filters)
        assert page.total == len(page.items)
        config = SearchConfig(k=50, filters=filters)
        found = await services.search.search(kb, "harbour tide", config)
        # A search takes the same filters.
        assert {c.document_name for c in found.results} == {d.filename for d in page.items}
        return [document.filename for document in page.items]

    assert await names("ada") == ["note.eml", "old.md"]
    assert await names("", date(2024, 5, 1)) == ["new.md", "note.eml"]
    assert await names("", None, date(2024, 5, 1)) == ["note.eml", "old.md"]
    assert await names("ada", date(2024, 5, 1), date(2024, 5, 1)) == ["note.eml"]
    assert await names("", date(2024, 5, 2), date.max) == ["new.md"]
    assert await names("nobody") == []
    # What failed has neither.
    await services.ingest.wait(
        (await services.ingest.submit(kb, [IncomingFile("b.pdf", data=b"%PDF-1.7 no")])).job_id, 60
    )
    assert await names("ada") == ["note.eml", "old.md"]


async def test_chunks_are_read_by_number_and_found_by_place(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb)
    found = await services.knowledge.documents(kb, text="tides")
    place = (kb, found.items[0].document_id)
    whole = await services.passages.window(*place, 0, 50)
    assert whole.total == len(whole.items) > 1
    some = await services.passages.window(*place, 1, 1)
    assert [p.ordinal for p in some.items] == [1]
    last = whole.items[-1]
    assert last.start is not None
    assert await services.passages.number_at(*place, last.start + 3) == last.ordinal
    assert await services.passages.number_of(*place, last.chunk_id) == (last.ordinal, True)
    # A citation from before leads to what stands there now.
    done = await services.corrections.change(*place, last.chunk_id, content="Something new")
    assert await services.passages.number_of(*place, last.chunk_id) == (last.ordinal, False)
    first = whole.items[0].chunk_id
    assert await services.passages.number_of(*place, first) == (0, True)
    assert await services.passages.number_of(*place, "0" * 32) == (None, False)
    now = (await services.passages.window(*place, last.ordinal, 1)).items[0]
    assert (now.chunk_id, now.source) == (done.chunks[0].chunk_id, last.content)
    with pytest.raises(NotFound):
        await services.passages.window(kb, "doc_none", 0, 10)


async def test_chunks_of_a_page_are_those_with_a_box_on_it(services: Services, kb: str) -> None:
    data = simple_pdf(
        line(60, 700, "The first page tells of the tides of a harbour."),
        line(60, 700, "The second page tells of sourdough bread."),
    )
    job = await services.ingest.submit(kb, [IncomingFile("pages.pdf", data=data)])
    done = await services.ingest.wait(job.job_id, 60)
    document = done.results[0].document_id
    for page, word in ((1, "tides"), (2, "bread")):
        found = await services.passages.on_page(kb, document, page)
        assert [word in p.content for p in found.items] == [True]
        hidden = await services.corrections.change(
            kb, document, found.items[0].chunk_id, disabled=True
        )
        again = await services.passages.on_page(kb, document, page)
        assert [(p.chunk_id, p.disabled) for p in again.items] == [
            (hidden.chunks[0].chunk_id, True)
        ]
    assert (await services.passages.on_page(kb, document, 3)).items == []
