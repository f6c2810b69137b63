"""Small documents and shortcuts for tests of the services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.services.ingestion.service import IncomingFile
from app.services.views import JobView
from app.settings import load_settings
from tests.services.running import migrated
from tests.services.word_models import Words, given

if TYPE_CHECKING:
    from app.services.container import Services

FACTS = {
    "tides.md": "# Tides\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n\n"
    "## Boats\n\nFishing boats leave Lowick two hours before the tide turns.\n",
    "bread.md": "# Bread\n\nSourdough rises for twelve hours in a cool kitchen.\n\n"
    "The starter (a culture of wild yeast) is fed with rye flour every morning.\n",
    "engines.txt": "The two-stroke engine burns oil together with petrol.\n\n"
    "Its part number is XK-4471-B and it weighs eleven kilograms.\n",
}


@asynccontextmanager
async def opened(folder: Path, **flags: Any) -> AsyncIterator[Services]:
    """Services over a data folder, closed at the end; a new one holds an empty database."""
    from app.services.container import Services

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "ragloom.db").exists():
        (folder / "ragloom.db").write_bytes(migrated())
    settings = load_settings(environ={}, data=folder, demo=False, port=0, **flags)
    services = await Services.open(settings, background=False)
    try:
        yield services
    finally:
        await services.close()


Fill = Callable[..., Awaitable[JobView]]


def text_files(contents: dict[str, str]) -> list[IncomingFile]:
    """Incoming files with these names and texts."""
    return [IncomingFile(name, data=text.encode()) for name, text in contents.items()]


@pytest.fixture
def fill(services: Services) -> Fill:
    """Put texts into a knowledge base and wait for them."""

    async def fill(
        kb: str, contents: dict[str, str] | None = None, config: dict[str, Any] | None = None
    ) -> JobView:
        job = await services.ingest.submit(kb, text_files(contents or FACTS), config)
        return await services.ingest.wait(job.job_id, 60)

    return fill


@pytest.fixture(scope="module")
def words() -> Iterator[dict[str, Words]]:
    """Models of other packages, of two lengths."""
    from app.documents.embed import _embedders, register_embedder

    found = {name: Words(f"{name}-v1", dim) for name, dim in (("words-a", 32), ("words-b", 48))}
    for name, model in found.items():
        register_embedder(name, partial(given, model))
    yield found
    for name in found:
        _embedders._items.pop(name)


@pytest.fixture
def forgotten(words: dict[str, Words]) -> None:
    """The models remember nothing of the tests before."""
    for model in words.values():
        model.seen.clear()
        model.asked.clear()
