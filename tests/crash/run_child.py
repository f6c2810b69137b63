"""A server without its pages that runs workflows, and may be killed at any moment.

`main` with "begin" starts a run of each sort and waits for ever; with "end" it starts again over the
same folder, sees everything through, and says what became of it.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from app.services import container
from app.services.container import Services
from app.settings import load_settings
from tests.crash import run_nodes
from tests.crash.lives import Say

IDS = "ids.json"


async def begin(say: Say, services: Services, folder: Path) -> None:
    """Start what is to be killed."""
    runs, five = services.runs, run_nodes.counting("a", "b", "c", "d", "e", hold="c")
    stored = await services.workflows.create(five)
    ids = {
        "api": await runs.start(graph=five, input_data={"who": "api"}, trigger="api"),
        "page": await runs.start(graph=five, input_data={"who": "page"}, trigger="page"),
        "ask": await runs.start(graph=run_nodes.asking(), input_data={"who": "ask"}),
    }
    batch = await services.batches.start(
        stored.workflow_id, [{"who": f"row{n}"} for n in range(4)], concurrency=2
    )
    ids["batch"] = batch.batch_id
    while (await runs.get(ids["ask"])).status != "waiting":
        await asyncio.sleep(0.02)
    # There once it is whole: whoever sees it kills.
    (folder / "writing").write_text(json.dumps(ids))
    (folder / "writing").rename(folder / IDS)
    await asyncio.Event().wait()


async def end(say: Say, services: Services, folder: Path) -> None:
    """See everything through."""
    ids = json.loads((folder / IDS).read_text())
    runs = services.runs
    interrupted = (await runs.get(ids["page"])).status
    await runs.resume(ids["page"])
    while (await runs.get(ids["ask"])).status != "waiting":
        await asyncio.sleep(0.02)
    (folder / "go").touch()
    await runs.decide(ids["ask"], "ask", {"approved": True})
    batch = await services.batches.wait(ids["batch"])
    ended = {name: await runs.wait(ids[name]) for name in ("api", "page", "ask")}
    outcome = {
        "page_was": interrupted,
        "statuses": {name: run.status for name, run in ended.items()},
        "outputs": {name: run.outputs for name, run in ended.items()},
        "batch": batch.status,
        "rows": [row.status for row in batch.rows],
    }
    say(json.dumps(outcome))


async def main(say: Say, data: Path, what: str) -> None:
    """Open, do, and close."""
    os.environ[run_nodes.FOLDER] = str(data)
    container.register_all = run_nodes.register
    settings = load_settings(
        environ={}, data=data, demo=False, log_level="error", max_concurrent_runs=8
    )
    services = await Services.open(settings, background=False)
    await {"begin": begin, "end": end}[what](say, services, data)
    await services.close()
