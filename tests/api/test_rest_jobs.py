"""Jobs over REST: listed, followed, steered; documents processed anew; passwords."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from app.services.container import Services
from tests.api.test_rest_knowledge import KB, NOTE, error_of, make, upload
from tests.services.running import until

JOBS = "/api/v1/jobs"
LATER = {"Prefer": "respond-async"}


async def events(client: httpx.AsyncClient, job: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    async with client.stream(
        "GET", f"{JOBS}/{job}", headers={"Accept": "text/event-stream"}
    ) as stream:
        name = ""
        async for line in stream.aiter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                yield name, json.loads(value)


async def test_a_job_is_listed_followed_and_tried_again(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    files = [("a.md", NOTE), ("b.md", NOTE + b"More."), ("c.pdf", b"%PDF-1.7 rubbish")]
    job = (await upload(client, kb, *files, headers=LATER)).json()["job_id"]
    seen = [event async for event in events(client, job)]
    assert {name for name, _ in seen} == {"document", "progress", "job"}
    progress = [data for name, data in seen if name == "progress"]
    assert progress[-1]["progress"]["done"] == 2
    assert progress[-1]["progress"]["failed"] == 1
    assert set(progress[-1]["progress"]) == {
        "total", "done", "failed", "locked", "cancelled", "stages", "files_per_s", "chunks_per_s",
        "eta_s",
    }  # fmt: skip
    assert progress[-1]["results"] == []
    assert (seen[-1][0], len(seen[-1][1]["results"])) == ("job", 3)
    listed = (await client.get(JOBS, params={"knowledge_base": "Notes", "limit": 1})).json()
    assert listed["total"] == 1
    assert (listed["items"][0]["job_id"], listed["items"][0]["kind"]) == (job, "upload")
    assert (await client.get(JOBS, params={"status": ["paused", "running"]})).json()["total"] == 0
    again = (await client.post(f"{JOBS}/{job}/retry")).json()
    assert [r["status"] for r in again["results"]][:2] == ["success", "success"]
    assert [event async for event in events(client, job)][-1][1]["progress"]["failed"] == 1
    # Whoever heard of its end is told nothing more; an end before it was tried again is not that.
    accept = {"Accept": "text/event-stream"}
    stream = await client.get(f"{JOBS}/{job}", headers=accept)
    last = [line[4:] for line in stream.text.splitlines() if line.startswith("id: ")][-1]
    for known, status in ((last, 204), ("1", 200), ("end-2020-01-01T00:00:00Z", 200)):
        headers = {**accept, "Last-Event-ID": known}
        assert (await client.get(f"{JOBS}/{job}", headers=headers)).status_code == status
    for what in ("pause", "resume"):
        refused = await client.post(f"{JOBS}/{job}/{what}")
        assert refused.status_code == 409
        assert error_of(refused)["code"] == "conflict"
        assert (await client.post(f"{JOBS}/job_x/{what}")).status_code == 404
    assert (await client.get(JOBS, params={"status": "odd"})).status_code == 422


async def test_a_job_is_paused_resumed_and_cancelled(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    files = [(f"{n}.md", NOTE + str(n).encode() * 20_000) for n in range(8)]
    job = (await upload(client, kb, *files, headers=LATER)).json()["job_id"]
    paused = await client.post(f"{JOBS}/{job}/pause")
    assert paused.status_code == 200, paused.text
    assert (paused.json()["status"], paused.json()["reason"]) == ("paused", None)
    assert (await client.get(JOBS, params={"status": "paused"})).json()["total"] == 1
    resumed = (await client.post(f"{JOBS}/{job}/resume")).json()
    assert resumed["status"] in ("queued", "running")
    cancelled = (await client.post(f"{JOBS}/{job}/cancel")).json()
    assert cancelled["status"] == "cancelled"
    assert (await client.get(f"{JOBS}/{job}")).json()["progress"]["cancelled"] > 0


async def test_a_stream_of_something_that_is_deleted_says_so(
    client: httpx.AsyncClient, services: Services
) -> None:
    kb = await make(client)
    sent = await upload(client, kb, ("a.md", NOTE * 2_000), ("b.md", NOTE), headers=LATER)
    job = sent.json()["job_id"]
    await client.post(f"{JOBS}/{job}/pause")
    before = len(services.ingest._updates._watchers)

    async def follow() -> list[tuple[str, dict[str, Any]]]:
        return [event async for event in events(client, job)]

    following = asyncio.create_task(follow())
    await until(lambda: len(services.ingest._updates._watchers) > before)
    assert (await client.delete(f"{KB}/{kb}")).status_code == 204
    seen = await following
    assert seen[-1][0] == "error"
    assert seen[-1][1]["error"]["code"] == "not_found"


async def test_documents_are_processed_anew(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    text = b"# Long\n\n" + b" ".join(b"Sentence %d of it." % n for n in range(100))
    first = (await upload(client, kb, ("a.md", text), ("b.md", NOTE))).json()
    document = first["results"][0]["document_id"]
    body = {"documents": [document], "processing_config": {"chunk_size": 40, "overlap": 0}}
    sent = await client.post(f"{KB}/{kb}/reprocess", json=body)
    assert (sent.status_code, sent.json()["kind"]) == (202, "reprocess")
    ended = [event async for event in events(client, sent.json()["job_id"])][-1][1]
    assert [r["change"] for r in ended["results"]] == ["updated"]
    assert ended["results"][0]["chunks_created"] > first["results"][0]["chunks_created"]
    for wrong, status in (({"documents": ["doc_x"]}, 404), ({"processing_config": {"x": 1}}, 422)):
        assert (await client.post(f"{KB}/{kb}/reprocess", json=wrong)).status_code == status


async def test_an_encrypted_document_takes_its_password(
    client: httpx.AsyncClient, shared_data: Path
) -> None:
    kb = await make(client)
    locked = (shared_data / "hostile-docs" / "r6-user-password.pdf").read_bytes()
    sent = await upload(client, kb, ("locked.pdf", locked))
    assert sent.json()["error"]["code"] == "encrypted"
    assert "Give its password" in sent.json()["error"]["message"]
    place = f"{KB}/{kb}/documents/{sent.json()['document_id']}"
    assert (await client.post(f"{place}/password", json={})).status_code == 422
    given = await client.post(f"{place}/password", json={"password": "asdfzxcv"})
    assert given.status_code == 202, given.text
    ended = [event async for event in events(client, given.json()["job_id"])][-1][1]
    assert ended["results"][0]["status"] == "success"
    again = await client.post(f"{place}/password", json={"password": "asdfzxcv"})
    assert (again.status_code, error_of(again)["code"]) == (422, "not_encrypted")
