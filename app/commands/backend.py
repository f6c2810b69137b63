"""What commands work on: the services in this process, or the server that holds the data folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from app.engine.events import Event
from app.engine.problems import RagloomError
from app.services.sources.views import SourceView
from app.services.views import BranchView, DeletedBranch, JobView, SearchConfig, TaskView

if TYPE_CHECKING:
    from app.services.container import Services
    from app.settings import Settings


class Backend(Protocol):
    """Everything that the commands need; data has the shape of REST."""

    async def find_workflow(self, name: str) -> str:
        """Id of a workflow by id or name. Raises RagloomError “not_found”."""

    async def workflows(self) -> list[dict[str, Any]]:
        """All workflows, without graphs."""

    async def export_workflow(self, workflow_id: str, format: str) -> bytes:
        """A workflow as a file of a format."""

    async def import_workflow(self, data: bytes) -> dict[str, Any]:
        """Keep a workflow of this or another system; {"workflow_id", "report"}."""

    def execute(
        self, workflow: str | dict[str, Any], input_data: Mapping[str, Any], *, use_cache: bool
    ) -> AsyncIterator[Event]:
        """Run a workflow (id, or a graph) and follow it."""

    async def execution(self, run_id: str) -> dict[str, Any]:
        """A run with its steps."""

    async def search(self, kb: str, query: str, config: SearchConfig) -> dict[str, Any]:
        """Search a knowledge base."""

    async def ensure_knowledge_base(self, kb: str) -> tuple[str, bool]:
        """Id of a knowledge base by id or name, and whether it was made now."""

    async def branches(self, kb: str) -> list[BranchView]:
        """Branches of a knowledge base, `main` first."""

    async def delete_branch(self, kb: str, branch: str) -> DeletedBranch:
        """Take a branch away."""

    async def submit(
        self, kb: str, files: Sequence[tuple[str, Path]], processing: dict[str, Any]
    ) -> JobView:
        """Hand files in, by name and path; durable when it returns."""

    def follow(self, job_id: str) -> AsyncIterator[TaskView | JobView]:
        """Files of a job as they change, and the job with its progress, until it ends."""

    async def job(self, job_id: str) -> JobView:
        """A job."""

    async def jobs(self, kb: str | None, statuses: Sequence[str], limit: int) -> list[JobView]:
        """Jobs without their files, newest first."""

    async def steer(self, job_id: str, what: str) -> JobView:
        """Pause, resume, cancel or retry (what failed of) a job."""

    async def give_password(self, kb: str, document_id: str, password: str) -> JobView:
        """Try an encrypted file once more with its password."""

    async def sources(self, kb: str) -> list[SourceView]:
        """Sources of a knowledge base."""

    async def add_source(self, kb: str, given: Mapping[str, Any]) -> SourceView:
        """Add a source; it is refreshed at once unless `given["refresh"]` is False."""

    async def refresh_source(self, kb: str, source_id: str, *, full: bool) -> SourceView:
        """Begin to refresh a source."""

    async def remove_source(self, kb: str, source_id: str, *, documents: bool) -> None:
        """Forget a source, and take its documents out if so wanted."""


@asynccontextmanager
async def open_backend(settings: Settings) -> AsyncIterator[Backend]:
    """The server that holds the data folder, else the services themselves."""
    from app.services.neighbour import find_neighbour

    neighbour = find_neighbour(settings)
    if neighbour is not None:
        from app.commands.remote import RemoteBackend

        async with RemoteBackend(neighbour.url, neighbour.key) as remote:
            yield remote
        return
    from app.services.container import Services

    services = await Services.open(settings)
    try:
        yield LocalBackend(services)
    finally:
        await services.close()


class LocalBackend:
    """The services in this process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def find_workflow(self, name: str) -> str:
        """Id of a workflow by id or name."""
        return choose(name, await self.workflows())

    async def workflows(self) -> list[dict[str, Any]]:
        """All workflows, without graphs."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._services.workflows.list(limit=200, offset=len(found))
            found += [item.model_dump(mode="json") for item in page.items]
            if not page.items or len(found) >= page.total:
                return found

    async def export_workflow(self, workflow_id: str, format: str) -> bytes:
        """A workflow as a file of a format."""
        return (await self._services.exports.export(workflow_id, format)).content

    async def import_workflow(self, data: bytes) -> dict[str, Any]:
        """Keep a workflow of this or another system; {"workflow_id", "report"}."""
        from app.services.importers.service import import_workflow

        imported = await import_workflow(self._services, data, author="cli")
        return imported.model_dump(mode="json")

    async def execute(
        self, workflow: str | dict[str, Any], input_data: Mapping[str, Any], *, use_cache: bool
    ) -> AsyncIterator[Event]:
        """Run a workflow and follow it."""
        runs = self._services.runs
        what: dict[str, Any] = {"workflow_id": workflow}
        if isinstance(workflow, dict):
            what = {"graph": (await self._services.workflows.parse(workflow))[0]}
        run_id = await runs.start(**what, input_data=input_data, trigger="cli", use_cache=use_cache)
        try:
            async for event in runs.watch(run_id):
                yield event
        finally:
            await runs.cancel(run_id)

    async def execution(self, run_id: str) -> dict[str, Any]:
        """A run with its steps."""
        from app.services.runs.outputs import execution_data

        return execution_data(await self._services.runs.get(run_id))

    async def search(self, kb: str, query: str, config: SearchConfig) -> dict[str, Any]:
        """Search a knowledge base."""
        from app.services.runs.outputs import search_result

        found = await self._services.search.search(kb, query, config)
        results = [search_result(chunk, config.include_metadata) for chunk in found.results]
        return {"results": results, "metadata": found.metadata}

    async def ensure_knowledge_base(self, kb: str) -> tuple[str, bool]:
        """Id of a knowledge base, and whether it was made now."""
        from storage.errors import NotFound

        try:
            return (await self._services.knowledge.get(kb)).knowledge_base_id, False
        except NotFound:
            if kb.startswith("kb_"):
                raise
        return (await self._services.knowledge.create(kb)).knowledge_base_id, True

    async def branches(self, kb: str) -> list[BranchView]:
        """Branches of a knowledge base, `main` first."""
        return (await self._services.branches.list(kb)).items

    async def delete_branch(self, kb: str, branch: str) -> DeletedBranch:
        """Take a branch away."""
        return await self._services.branches.delete(kb, branch)

    async def sources(self, kb: str) -> list[SourceView]:
        """Sources of a knowledge base."""
        return await self._services.sources.list(kb)

    async def add_source(self, kb: str, given: Mapping[str, Any]) -> SourceView:
        """Add a source."""
        values = dict(given)
        kind, location = values.pop("kind"), values.pop("location")
        return await self._services.sources.add(kb, kind, location, trigger="cli", **values)

    async def refresh_source(self, kb: str, source_id: str, *, full: bool) -> SourceView:
        """Begin to refresh a source."""
        return await self._services.sources.refresh(kb, source_id, full=full, trigger="cli")

    async def remove_source(self, kb: str, source_id: str, *, documents: bool) -> None:
        """Forget a source."""
        await self._services.sources.remove(kb, source_id, documents=documents, author="cli")

    async def submit(
        self, kb: str, files: Sequence[tuple[str, Path]], processing: dict[str, Any]
    ) -> JobView:
        """Hand files in."""
        from app.services.ingestion.service import IncomingFile

        incoming = [IncomingFile(filename=name, path=path) for name, path in files]
        return await self._services.ingest.submit(kb, incoming, processing, author="cli")

    async def follow(self, job_id: str) -> AsyncIterator[TaskView | JobView]:
        """Files of a job as they change, and the job with its progress, until it ends."""
        async for view in self._services.ingest.follow(job_id):
            yield view

    async def job(self, job_id: str) -> JobView:
        """A job."""
        return await self._services.ingest.job(job_id)

    async def jobs(self, kb: str | None, statuses: Sequence[str], limit: int) -> list[JobView]:
        """Jobs without their files, newest first."""
        return (await self._services.ingest.jobs(kb, statuses, limit)).items

    async def steer(self, job_id: str, what: str) -> JobView:
        """Pause, resume, cancel or retry (what failed of) a job."""
        ingest = self._services.ingest
        ways = {
            "pause": ingest.pause,
            "resume": ingest.resume,
            "cancel": ingest.cancel,
            "retry": ingest.retry_failed,
        }
        return await ways[what](job_id)

    async def give_password(self, kb: str, document_id: str, password: str) -> JobView:
        """Try an encrypted file once more with its password."""
        return await self._services.ingest.give_password(kb, document_id, password)


def choose(name: str, workflows: Sequence[Mapping[str, Any]]) -> str:
    """The id that a name stands for. Raises RagloomError “not_found” or “ambiguous”."""
    ids = [w["workflow_id"] for w in workflows if name in (w["workflow_id"], w["name"])]
    if not ids:
        ids = [w["workflow_id"] for w in workflows if w["name"].casefold() == name.casefold()]
    if len(ids) == 1:
        return str(ids[0])
    if ids:
        raise RagloomError(
            f"{len(ids)} workflows are called “{name}”.",
            code="ambiguous",
            fix=f"Use one of their ids: {', '.join(ids)}.",
        )
    raise RagloomError(
        f"There is no workflow “{name}”, and no file of that name.",
        code="not_found",
        fix="`ragloom workflows list` shows what there is.",
    )


def read_workflow_file(path: Path) -> dict[str, Any] | None:
    """The JSON data of a workflow file, None without such a file. Raises RagloomError “not_json”."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RagloomError(
            f"{path} is not a workflow file: {error}.",
            code="not_json",
            fix="A workflow file is JSON; export one from the canvas to see its shape.",
        ) from error
    if not isinstance(data, dict):
        raise RagloomError(
            f"{path} is not a workflow file: it holds no JSON object.",
            code="not_json",
            fix="Export one from the canvas to see its shape.",
        )
    return data
