"""File names made safe, limits kept, bytes stored once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.engine.problems import RagloomError
from app.services.ingestion.uploads import IncomingFile, UploadLimits, safe_filename, store
from app.services.threads import call
from storage.blobs import Blobs


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\docs\\a.txt", "docs/a.txt"),
        ("/abs/./b.md", "abs/b.md"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("  spaced .txt ", "spaced .txt"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("bad\udcff.txt", "bad?.txt"),
    ],
)
def test_safe_filename(given: str, kept: str) -> None:
    assert safe_filename(given) == kept


def test_long_names_keep_their_extension() -> None:
    name = safe_filename("ü" * 300 + ".pdf")
    assert len(name.encode()) <= 255
    assert name.endswith(".pdf")


async def test_bytes_paths_and_streams_are_stored_alike(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    limits = UploadLimits(100, 1_000, 10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello")

    async def stream() -> AsyncIterator[bytes]:
        yield b"hel"
        yield b"lo"

    shas = {
        (await store(IncomingFile("a.txt", data=b"hello"), blobs, limits)).blob,
        (await store(IncomingFile("a.txt", path=path), blobs, limits)).blob,
        (await store(IncomingFile("a.txt", chunks=stream()), blobs, limits)).blob,
    }
    assert len(shas) == 1
    assert blobs.read(shas.pop()) == b"hello"
    assert limits.used == 15


async def test_refusals_are_results_of_their_own(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    limits = UploadLimits(file_bytes=10, request_bytes=15, files=3)

    async def code(file: IncomingFile) -> str | None:
        stored = await store(file, blobs, limits)
        return None if stored.error is None else stored.error["code"]

    assert await code(IncomingFile("big.txt", data=b"x" * 11)) == "too_large"
    assert await code(IncomingFile("empty.txt", data=b"")) == "empty"
    assert await code(IncomingFile("none.txt", path=tmp_path / "none")) == "unreadable"
    assert await code(IncomingFile("ok.txt", data=b"x" * 10)) is None
    full = await store(IncomingFile("more.txt", data=b"x" * 6), blobs, limits)
    assert full.error is not None
    assert "together" in full.error["message"]


def test_the_number_of_files_is_limited() -> None:
    limits = UploadLimits(10, 10, 2)
    limits.check_count(2)
    for count, wanted in ((0, "no_files"), (3, "too_many_files")):
        with pytest.raises(RagloomError) as caught:
            limits.check_count(count)
        assert caught.value.code == wanted


async def test_streams_that_need_threads_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """More of them at once than there are threads: each reads its pieces in one, as folders do."""
    gate = asyncio.Event()
    begun = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        if begun == 8:
            gate.set()
        await gate.wait()
        yield await call(bytes, b"text")

    limits, blobs = UploadLimits(100, 10_000, 100), Blobs(tmp_path)
    files = [IncomingFile(f"{n}.txt", chunks=pieces()) for n in range(40)]
    async with asyncio.timeout(30):
        stored = await asyncio.gather(*(store(file, blobs, limits) for file in files))
    assert {file.size for file in stored} == {4}
