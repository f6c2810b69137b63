"""What came of refreshes of sources, in few words."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.sources.views import RefreshView, SourceView
from storage.source_tables import Source
from storage.sources import SourceRepository
from tests.services.source_server import Site

if TYPE_CHECKING:
    from app.services.container import Services


def allowed(folder: Path, site: Site) -> dict[str, Any]:
    """Settings under which the folder and the site may be read."""
    return {"import_roots": [folder], "http_allow_private": [site.place]}


async def names(services: Services, kb: str) -> set[str]:
    return {document.filename for document in (await services.knowledge.documents(kb)).items}


async def refreshed(services: Services, source: SourceView, **how: Any) -> RefreshView:
    kb, id_ = source.knowledge_base_id, source.source_id
    await services.sources.refresh(kb, id_, **how)
    return await ended(services, source)


async def ended(services: Services, source: SourceView) -> RefreshView:
    view = await services.sources.wait(source.knowledge_base_id, source.source_id, 60)
    assert view.refresh is not None
    assert view.refresh.status != "running"
    return view.refresh


def told(report: RefreshView) -> dict[str, int]:
    counts = report.model_dump(
        include={"added", "changed", "unchanged", "removed", "gone", "failed"}
    )
    return {name: number for name, number in counts.items() if number}


def touch(path: Path, text: str) -> None:
    """Write a file so that its time differs, however coarse the clock of the disk is."""
    path.write_text(text)
    later = time.time() + 5
    os.utime(path, (later, later))


def number_of(repository: SourceRepository, source: SourceView) -> int:
    row: Source = repository.get(source.source_id)
    return row.refreshes
