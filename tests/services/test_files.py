"""Originals: read and drawn in guarded processes, with errors in plain words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.engine.problems import RagloomError
from app.engine.values import Document
from app.services.knowledge.files import FileService
from app.settings import load_settings
from storage.blobs import Blobs

PDF = Path(__file__).parents[2] / "app" / "demo" / "documents" / "handbook.pdf"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest_asyncio.fixture
async def files(tmp_path: Path, blobs: Blobs) -> AsyncIterator[FileService]:
    service = FileService(blobs, tmp_path / "cache", load_settings(environ={}, parse_workers=1))
    yield service
    await service.close()


def document(blobs: Blobs, filename: str, data: bytes) -> Document:
    return Document(document_id="d", filename=filename, blob=blobs.put_bytes(data), size=len(data))


async def test_extract_fills_the_document_in(files: FileService, blobs: Blobs) -> None:
    source = document(blobs, "handbook.pdf", PDF.read_bytes())
    read = await files.extract(source.model_copy(update={"metadata": {"team": "a"}}), {})
    assert read.media_type == "application/pdf"
    assert read.pages
    assert read.language == "en"
    assert read.title
    assert read.metadata["team"] == "a"
    assert any(block.boxes for block in read.blocks)


async def test_unreadable_files_say_why(files: FileService, blobs: Blobs) -> None:
    with pytest.raises(RagloomError) as caught:
        await files.extract(document(blobs, "x.pdf", b"%PDF-1.4 rubbish"), {})
    assert caught.value.code == "damaged"
    assert caught.value.fix
    gone = document(blobs, "gone.txt", b"gone").model_copy(update={"blob": "0" * 64})
    with pytest.raises(RagloomError) as caught:
        await files.extract(gone, {})
    assert caught.value.code == "not_found"


async def test_pages_are_drawn_once(files: FileService, blobs: Blobs) -> None:
    sha = blobs.put_bytes(PDF.read_bytes())
    image = await files.page_image(sha, 1, width=700)
    assert image.read_bytes().startswith(b"\x89PNG")
    written = image.stat().st_mtime_ns
    assert (await files.page_image(sha, 1, width=800)).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("data", "page", "code"),
    [(PDF.read_bytes(), 99, "not_found"), (b"plain text", 1, "no_page_image")],
)
async def test_pages_that_cannot_be_drawn(
    files: FileService, blobs: Blobs, data: bytes, page: int, code: str
) -> None:
    with pytest.raises(RagloomError) as caught:
        await files.page_image(blobs.put_bytes(data), page)
    assert caught.value.code == code
    assert list((files._cache / "pages").glob("*")) == []
