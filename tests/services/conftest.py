"""Small documents and shortcuts for tests of the services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.services.ingest import IncomingFile
from app.services.views import JobView
from app.settings import load_settings

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
    """Services over a data folder, closed at the end."""
    from app.services.container import Services

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
