"""The demo: a handbook in six formats and three workflows, put into a new data folder once.

Seeding is idempotent and marked in the data folder only when all of it is there, so a kill in the middle
is completed at the next start, and what a person deletes afterwards stays deleted.
"""

from __future__ import annotations

import json
import logging
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.engine.problems import RagloomError
from app.services.ingestion.uploads import IncomingFile, UploadLimits, store

if TYPE_CHECKING:
    from app.services.container import Services

log = logging.getLogger(__name__)

KNOWLEDGE_BASE = "Ragloom handbook"
#: In the order they are created; the list of workflows shows the newest change first.
WORKFLOWS = ("fill-the-handbook", "answer-and-check", "ask-the-handbook")
#: The one a first visitor is shown.
FIRST_WORKFLOW = "Ask the handbook"
_MARKER = "demo-seeded"


async def ensure_demo(services: Services) -> None:
    """Create the demo's knowledge base and workflows unless that was completed before."""
    marker = Path(services.settings.data) / _MARKER
    if marker.exists():
        return
    root = resources.files("app") / "demo"
    names = {kb.name for kb in (await services.knowledge.list(limit=200, offset=0)).items}
    if KNOWLEDGE_BASE not in names:
        await services.knowledge.create(
            KNOWLEDGE_BASE, "How Ragloom works, in six file formats: the demo's documents."
        )
    kb = await services.knowledge.get(KNOWLEDGE_BASE)
    files = [
        IncomingFile(filename=file.name, data=file.read_bytes())
        for file in sorted((root / "documents").iterdir(), key=lambda f: f.name)
    ]
    job = await services.ingest.submit(kb.knowledge_base_id, files, None, author="demo")
    existing = {w.name for w in (await services.workflows.list(limit=200, offset=0)).items}
    for name in WORKFLOWS:
        graph = json.loads((root / "workflows" / f"{name}.json").read_text("utf-8"))
        if graph["graph"]["name"] not in existing:
            for node in graph["nodes"]:
                if node["type"] == "files":
                    node["config"]["files"] = await _references(services, files)
            await services.workflows.create(graph, author="demo")
    finished = await services.ingest.wait(job.job_id, timeout_s=300)
    failed = [r for r in finished.results if r.status != "success"]
    if failed:
        raise RagloomError(
            f"The demo's document {failed[0].filename} could not be indexed: "
            f"{failed[0].error_message}",
            code="demo_failed",
            fix="Restart the server to try again, or start it with --no-demo.",
        )
    marker.write_text("The demo was created here; delete this file to create it again.\n", "utf-8")
    log.info("The demo is ready")


async def _references(services: Services, files: list[IncomingFile]) -> list[dict[str, Any]]:
    """The files by name and content hash, as the settings of a node name them."""
    settings = services.settings
    limits = UploadLimits(settings.max_upload_bytes, settings.max_request_bytes, len(files))
    kept = [await store(file, services.folder.blobs, limits) for file in files]
    return [{"filename": file.filename, "blob": file.blob, "size": file.size} for file in kept]
