"""A running server as the commands see it, over REST."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import TypeAdapter

from app.commands.backend import choose
from app.engine.events import Event
from app.engine.problems import RagloomError
from app.services.sources.views import SourceView
from app.services.views import BranchView, DeletedBranch, JobView, SearchConfig, TaskView

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
#: As many as are asked for at once.
_PAGE = 200
_STREAM = {"Accept": "text/event-stream"}


class RemoteBackend:
    """REST calls with one key; errors of the server are raised as they were there."""

    def __init__(self, url: str, key: str) -> None:
        # The server is on this machine: no proxy of the environment is asked.
        self._client = httpx.AsyncClient(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(None, connect=5),
            trust_env=False,
        )

    async def __aenter__(self) -> RemoteBackend:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def find_workflow(self, name: str) -> str:
        """Id of a workflow by id or name."""
        return choose(name, await self.workflows())

    async def workflows(self) -> list[dict[str, Any]]:
        """All workflows, without graphs."""
        return await self._all("/workflows")

    async def export_workflow(self, workflow_id: str, format: str) -> bytes:
        """A workflow as a file of a format."""
        answer = await self._request(
            "GET", f"/workflows/{workflow_id}/export", params={"format": format}
        )
        return answer.content

    async def import_workflow(self, data: bytes) -> dict[str, Any]:
        """Keep a workflow of this or another system; {"workflow_id", "report"}."""
        return await self._json("POST", "/workflows/import", content=data)

    async def execute(
        self, workflow: str | dict[str, Any], input_data: Mapping[str, Any], *, use_cache: bool
    ) -> AsyncIterator[Event]:
        """Run a workflow and follow it; leaving the iteration early cancels the run."""
        path = "/workflow_executions"
        body: dict[str, Any] = {
            "input_data": dict(input_data),
            "use_cache": use_cache,
            "trigger": "cli",
        }
        if isinstance(workflow, str):
            path = f"/workflows/{workflow}/execute"
        else:
            body["workflow"] = workflow
        run_id, ended = "", False
        try:
            async for name, data in self._events("POST", path, json=body):
                event = _EVENT.validate_json(data)
                run_id, ended = event.run_id, name == "run_finished"
                yield event
        finally:
            if run_id and not ended:
                await self._client.delete(f"/workflow_executions/{run_id}")

    async def execution(self, run_id: str) -> dict[str, Any]:
        """A run with its steps."""
        return await self._json("GET", f"/workflow_executions/{run_id}")

    async def search(self, kb: str, query: str, config: SearchConfig) -> dict[str, Any]:
        """Search a knowledge base."""
        body = {"query": query, "config": config.model_dump(mode="json")}
        return await self._json("POST", f"/knowledge_bases/{_quoted(kb)}/search", json=body)

    async def ensure_knowledge_base(self, kb: str) -> tuple[str, bool]:
        """Id of a knowledge base, and whether it was made now."""
        try:
            found = await self._json("GET", f"/knowledge_bases/{_quoted(kb)}")
        except RagloomError as error:
            if error.code != "not_found" or kb.startswith("kb_"):
                raise
            found = await self._json("POST", "/knowledge_bases", json={"name": kb})
            return str(found["knowledge_base_id"]), True
        return str(found["knowledge_base_id"]), False

    async def branches(self, kb: str) -> list[BranchView]:
        """Branches of a knowledge base, `main` first."""
        found = await self._all(f"/knowledge_bases/{_quoted(kb)}/branches")
        return [BranchView.model_validate(item) for item in found]

    async def delete_branch(self, kb: str, branch: str) -> DeletedBranch:
        """Take a branch away."""
        path = f"/knowledge_bases/{_quoted(kb)}/branches/{_quoted(branch)}"
        return DeletedBranch.model_validate(await self._json("DELETE", path))

    async def sources(self, kb: str) -> list[SourceView]:
        """Sources of a knowledge base."""
        found = await self._all(f"/knowledge_bases/{_quoted(kb)}/sources")
        return [SourceView.model_validate(item) for item in found]

    async def add_source(self, kb: str, given: Mapping[str, Any]) -> SourceView:
        """Add a source."""
        path = f"/knowledge_bases/{_quoted(kb)}/sources"
        return SourceView.model_validate(await self._json("POST", path, json=dict(given)))

    async def refresh_source(self, kb: str, source_id: str, *, full: bool) -> SourceView:
        """Begin to refresh a source."""
        found = await self._json(
            "POST",
            f"/knowledge_bases/{_quoted(kb)}/sources/{source_id}/refresh",
            json={"full": full},
            headers={"Prefer": "respond-async"},
        )
        return SourceView.model_validate(found)

    async def remove_source(self, kb: str, source_id: str, *, documents: bool) -> None:
        """Forget a source."""
        await self._request(
            "DELETE",
            f"/knowledge_bases/{_quoted(kb)}/sources/{source_id}",
            params={"documents": documents},
        )

    async def submit(
        self, kb: str, files: Sequence[tuple[str, Path]], processing: dict[str, Any]
    ) -> JobView:
        """Hand files in."""
        import json

        with ExitStack() as opened:
            parts = [
                ("files", (name, opened.enter_context(path.open("rb")), "application/octet-stream"))
                for name, path in files
            ]
            response = await self._client.post(
                f"/knowledge_bases/{_quoted(kb)}/documents",
                files=parts,
                data={"processing_config": json.dumps(processing)},
                headers={"Prefer": "respond-async"},
            )
        body = response.json()
        if "job_id" not in body:
            _raise(response)
        return await self.job(body["job_id"])

    async def follow(self, job_id: str) -> AsyncIterator[TaskView | JobView]:
        """Files of a job as they change, and the job with its progress, until it ends."""
        async for name, data in self._events("GET", f"/jobs/{job_id}"):
            if name == "document":
                yield TaskView.model_validate_json(data)
            elif name == "progress":
                yield JobView.model_validate_json(data)

    async def job(self, job_id: str) -> JobView:
        """A job."""
        return JobView.model_validate(await self._json("GET", f"/jobs/{_quoted(job_id)}"))

    async def jobs(self, kb: str | None, statuses: Sequence[str], limit: int) -> list[JobView]:
        """Jobs without their files, newest first."""
        asked = {"knowledge_base": kb, "status": list(statuses), "limit": limit}
        given = {key: value for key, value in asked.items() if value is not None}
        page = await self._json("GET", "/jobs", params=given)
        return [JobView.model_validate(item) for item in page["items"]]

    async def steer(self, job_id: str, what: str) -> JobView:
        """Pause, resume, cancel or retry (what failed of) a job."""
        return JobView.model_validate(await self._json("POST", f"/jobs/{_quoted(job_id)}/{what}"))

    async def give_password(self, kb: str, document_id: str, password: str) -> JobView:
        """Try an encrypted file once more with its password."""
        path = f"/knowledge_bases/{_quoted(kb)}/documents/{_quoted(document_id)}/password"
        return JobView.model_validate(await self._json("POST", path, json={"password": password}))

    async def _all(self, path: str) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self._json("GET", path, params={"limit": _PAGE, "offset": len(found)})
            found += page["items"]
            if not page["items"] or len(found) >= page["total"]:
                return found

    async def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        data: dict[str, Any] = (await self._request(method, path, **request)).json()
        return data

    async def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if response.is_error:
            _raise(response)
        return response

    async def _events(
        self, method: str, path: str, **request: Any
    ) -> AsyncIterator[tuple[str, str]]:
        """(name, data) of server-sent events."""
        try:
            async with self._client.stream(method, path, headers=_STREAM, **request) as response:
                if response.is_error:
                    await response.aread()
                    _raise(response)
                name = ""
                async for line in response.aiter_lines():
                    kind, _, value = line.partition(": ")
                    if kind == "event":
                        name = value
                    elif kind == "data" and name == "error":
                        error = json.loads(value)["error"]
                        raise RagloomError(error["message"], code=error["code"])
                    elif kind == "data":
                        yield name, value
        except httpx.TransportError as error:
            raise _unreachable(error) from error


def _quoted(part: str) -> str:
    from urllib.parse import quote

    return quote(part, safe="")


def _unreachable(error: Exception) -> RagloomError:
    return RagloomError(
        f"The server that holds the data folder does not answer: {error}.",
        code="unreachable",
        fix="See its log; if it hangs, stop it and try again.",
    )


def _raise(response: httpx.Response) -> None:
    try:
        error = response.json()["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        message, code = f"The server answered {response.status_code}.", "error"
    raise RagloomError(message, code=code)
