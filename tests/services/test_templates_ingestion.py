"""Every template that fills a knowledge base, on a real file; each can be its pipeline."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.engine.graph import Graph
from app.services.container import Services
from app.services.ingestion.kb_pipeline import check_pipeline
from app.services.ingestion.trials import can_try
from app.services.ingestion.uploads import IncomingFile
from app.services.views import ChunkView
from app.services.workflows import templates
from tests.services.conftest import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "app" / "demo" / "documents"
SHARED = ROOT.parent / "shared" / "data"
FILLING = [t.id for t in templates.templates() if "ingestion" in t.tags]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("templates") / "data") as services:
        yield services


async def filled(
    services: Services, template_id: str, path: Path
) -> tuple[list[ChunkView], dict[str, Any]]:
    """Upload a file through the template as a pipeline; its chunks, and the version's metadata."""
    kb = (await services.knowledge.create(f"Shelf {uuid.uuid4()}")).knowledge_base_id
    view = await services.workflows.create(templates.copy_of(templates.get(template_id), [kb]))
    await services.pipelines.use(kb, view.workflow_id)
    job = await services.ingest.submit(kb, [IncomingFile(path.name, data=path.read_bytes())])
    (result,) = (await services.ingest.wait(job.job_id, 120)).results
    assert result.status == "success", result.error
    page = await services.knowledge.chunks(kb, result.document_id, limit=1_000)
    document = await services.knowledge.document(kb, result.document_id)
    assert page.total == result.chunks_created > 0
    return list(page.items), document.metadata


@pytest.mark.parametrize("template_id", FILLING)
async def test_a_template_that_fills_can_be_a_pipeline_and_be_tried(
    house: Services, template_id: str
) -> None:
    graph = Graph.parse(templates.copy_of(templates.get(template_id), ["Somewhere"]))
    assert check_pipeline(graph, house.registry) == []
    assert can_try(graph)
    problems = await house.workflows.validate(graph.dump())
    assert not problems, problems


async def test_plain(house: Services) -> None:
    chunks, metadata = await filled(house, "fill-knowledge-base", DEMO / "node-guide.docx")
    assert all(chunk.content.strip() for chunk in chunks)
    assert metadata["quality"]["checked"] >= len(chunks)


async def test_several_languages(house: Services, tmp_path: Path) -> None:
    path = SHARED / "same-text-14-formats" / "eng_spa_mult.docx"
    if not path.is_file():
        pytest.skip("the shared files are not here")
    chunks, _ = await filled(house, "fill-in-several-languages", path)
    assert {chunk.language for chunk in chunks} == {"en", "es"}
    for chunk in chunks:
        spanish, english = "derechos" in chunk.content, "rights" in chunk.content
        if spanish != english:  # one paragraph of the file is in both
            assert chunk.language == ("es" if spanish else "en"), chunk.content
    assert sum(c.language == "en" for c in chunks) >= 2


@pytest.mark.timeout(300)
async def test_scans(house: Services) -> None:
    path = SHARED / "docling-docs" / "ocr" / "ocr_test.pdf"
    if find_spec("rapidocr") is None or not path.is_file():
        pytest.skip("text recognition or the shared files are not here")
    chunks, metadata = await filled(house, "fill-from-scans", path)
    assert "Docling bundles PDF document conversion" in " ".join(chunks[0].content.split())
    assert metadata["pages_read_by_ocr"] == [1]


async def test_technical_documents(house: Services, tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    code = "```python\ndef answer(question):\n    return question.upper()\n```\n\n"
    broken = "```python\ndef answer(question)\n    return (question\n```\n\n"
    words = "The server keeps every chunk with its embedding, and searches them by cosine. " * 4
    path.write_text(
        f"# Guide\n\n{words}\n\n{code}\n## Errors\n\n{words[::1]}Once more.\n\n{broken}"
    )
    chunks, metadata = await filled(house, "fill-with-technical-documents", path)
    assert any("def answer(question):\n    return question.upper()" in c.content for c in chunks)
    assert metadata["quality"]["counts"].get("code_syntax", 0) >= 1
    assert not any("summary" in c.metadata for c in chunks), "no model is chosen"


async def test_questions_and_answers(house: Services) -> None:
    chunks, metadata = await filled(house, "fill-with-questions-and-answers", DEMO / "faq.html")
    assert metadata["source"] == "faq"
    assert metadata["file"] == "faq.html"
    assert sum(chunk.content.count("?") == 1 for chunk in chunks) > 3
