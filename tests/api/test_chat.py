"""Chats over REST and through links."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.services.chats.views import checked_origins, conversation, outcome
from app.services.container import Services
from app.services.ingestion.service import IncomingFile
from tests.api.conftest import client_of
from tests.api.test_rest_workflows import GRAPH, changed, make
from tests.services.conftest import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

WF = "/api/v1/workflows"
ANSWERING: dict[str, Any] = {
    **GRAPH,
    "graph": {"format": "ragloom/1", "name": "Ask", "outputs": {"answer": ["say", "answer"]}},
    "nodes": [
        {"id": "ask", "type": "question", "config": {"default": "How high is the tide?"}},
        {"id": "find", "type": "retrieve", "config": {"knowledge_base": "Sea"}},
        {"id": "say", "type": "generate", "config": {}},
    ],
    "edges": [
        {"source": "ask", "target": "find", "key": "query>query"},
        {"source": "ask", "target": "say", "key": "query>query"},
        {"source": "find", "target": "say", "key": "chunks>chunks"},
    ],
}
VISITOR = {"X-Visitor": "a" * 32}


def events(text: str) -> Iterator[tuple[str, Any]]:
    for block in text.split("\n\n"):
        if found := re.search(r"event: (\w+)\ndata: (.*)", block):
            yield found[1], json.loads(found[2])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """One server for all of them, and what it knows of the sea; workflows are their own."""
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        kb = (await services.knowledge.create("Sea")).knowledge_base_id
        text = b"The tide at Lowick is seven metres high. The harbour opens at six in the morning."
        job = await services.ingest.submit(kb, [IncomingFile("tides.txt", data=text)])
        await services.ingest.wait(job.job_id, 60)
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(services) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def workflow(client: httpx.AsyncClient) -> str:
    return await make(client, ANSWERING)


async def test_a_conversation_is_answered_with_sources_kept_and_rated(
    client: httpx.AsyncClient, workflow: str
) -> None:
    chats = f"{WF}/{workflow}/chats"
    chat = (await client.post(chats)).json()
    assert chat["messages"] == []
    assert (await client.get(chats)).json()["total"] == 0  # nothing was said yet
    messages = f"{chats}/{chat['chat_id']}/messages"
    answer = (await client.post(messages, json={"text": "How high is the tide at Lowick?"})).json()
    assert (answer["role"], answer["status"]) == ("assistant", "done")
    assert "seven metres" in answer["text"]
    assert answer["answer"]["citations"][0]["document_name"] == "tides.txt"
    run = (await client.get(f"/api/v1/workflow_executions/{answer['execution_id']}")).json()
    assert run["trigger"] == "chat"
    assert run["input_data"]["history"] == []

    second = (await client.post(messages, json={"text": "When does the harbour open?"})).json()
    run = (await client.get(f"/api/v1/workflow_executions/{second['execution_id']}")).json()
    assert [turn["role"] for turn in run["input_data"]["history"]] == ["user", "assistant"]

    rating = f"{messages}/{second['message_id']}/rating"
    rated = await client.put(rating, json={"rating": -1, "comment": "At six."})
    assert rated.json()["rating"] == -1
    [case] = (await client.get(f"{WF}/{workflow}/evaluation_set")).json()["items"]
    assert case["question"] == "When does the harbour open?"
    assert (case["rating"], case["comment"]) == (-1, "At six.")
    await client.put(rating, json={"rating": None})
    assert (await client.get(f"{WF}/{workflow}/evaluation_set")).json()["total"] == 0

    [listed] = (await client.get(chats)).json()["items"]
    assert listed["title"] == "How high is the tide at Lowick?"
    kept = (await client.get(f"{chats}/{chat['chat_id']}")).json()
    assert [m["role"] for m in kept["messages"]] == ["user", "assistant"] * 2
    assert (await client.delete(f"{chats}/{chat['chat_id']}")).status_code == 204
    assert (await client.get(f"{chats}/{chat['chat_id']}")).status_code == 404


async def test_an_answer_comes_as_events(client: httpx.AsyncClient, workflow: str) -> None:
    chats = f"{WF}/{workflow}/chats"
    chat = (await client.post(chats)).json()["chat_id"]
    reply = await client.post(
        f"{chats}/{chat}/messages",
        json={"text": "How high is the tide?"},
        headers={"Accept": "text/event-stream"},
    )
    said = list(events(reply.text))
    assert [said[0][0], said[-1][0]] == ["begin", "message"]
    tokens = "".join(data["text"] for name, data in said if name == "token")
    assert "seven metres" in tokens
    assert said[-1][1]["status"] == "done"
    again = await client.get(f"{chats}/{chat}/messages/{said[-1][1]['message_id']}/events")
    assert [name for name, _ in events(again.text)] == ["message"]
    heard = await client.get(again.request.url, headers={"Last-Event-ID": "end"})
    assert (heard.status_code, heard.text) == (204, "")
    for nothing in (f"{chat}/messages/none", "none/messages/none"):
        lost = await client.get(f"{chats}/{nothing}/events")
        assert (lost.status_code, lost.json()["error"]["code"]) == (404, "not_found")


async def test_a_link_opens_one_chat_and_nothing_else(
    client: httpx.AsyncClient, workflow: str
) -> None:
    body = {"name": "<b>Sea</b>", "greeting": "Ahoy", "origins": ["https://Example.org/"]}
    link = (await client.post(f"{WF}/{workflow}/chat_links", json=body)).json()
    assert link["origins"] == ["https://example.org"]
    del client.headers["Authorization"]
    page = await client.get(link["path"])
    assert "&lt;b&gt;Sea&lt;/b&gt;" in page.text
    assert "<b>Sea" not in page.text
    assert "How high is the tide?" in page.text
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'self' https://example.org" in policy
    assert "unsafe" not in policy
    # In a frame of a site that is not named, a sentence stands in its place, and nothing else.
    framed, known, other = (
        {"Sec-Fetch-Dest": "iframe"},
        "https://example.org",
        "https://other.example",
    )

    async def status(site: str = "", **headers: str) -> int:
        address = f"{link['path']}?site={site}" if site else link["path"]
        return (await client.get(address, headers=headers)).status_code

    assert await status(known) == 200
    assert await status(f"{known}:443") == 200
    assert await status(f"{other}<b>", **framed) == 200
    assert await status(Referer=f"{known}/page", **framed) == 200
    assert await status(Referer=f"{other}/page") == 200
    assert await status(Referer=f"{other}/page", **framed) == 403
    refused = await client.get(f"{link['path']}?site={other}")
    assert refused.status_code == 403
    assert f"names {other} among the sites" in refused.text
    assert "Sea" not in refused.text
    assert "Ahoy" not in refused.text
    assert "frame-ancestors *" in refused.headers["content-security-policy"]
    for name in ("chat.js", "chat.css", "embed.js"):
        assert (await client.get(f"/c/_/{name}")).status_code == 200

    chat = (await client.post(f"{link['path']}/chats", headers=VISITOR)).json()["chat_id"]
    answer = await client.post(
        f"{link['path']}/chats/{chat}/messages", json={"text": "How high?"}, headers=VISITOR
    )
    assert answer.json()["status"] == "done"
    stranger = {"X-Visitor": "b" * 32}
    assert (await client.get(f"{link['path']}/chats", headers=stranger)).json()["total"] == 0
    lost = await client.get(f"{link['path']}/chats/{chat}", headers=stranger)
    assert lost.status_code == 404
    assert (await client.get(f"{WF}/{workflow}")).status_code == 401
    assert (await client.get(f"/_chat/{workflow}/chats")).status_code == 401
    forged = link["path"][:-1] + ("0" if link["path"][-1] != "0" else "1")
    assert (await client.get(forged)).status_code == 404
    assert (await client.get(f"{link['path']}é")).status_code == 404


async def test_a_closed_link_stays_closed(
    client: httpx.AsyncClient, services: Services, workflow: str
) -> None:
    link = (await client.post(f"{WF}/{workflow}/chat_links", json={})).json()
    links = f"{WF}/{workflow}/chat_links"
    assert (await client.get(links)).json()["items"] == [link]
    assert (await client.get(f"{links}?offset=1")).json() == {"items": [], "total": 1}
    gone = await client.delete(f"{WF}/{workflow}/chat_links/{link['link_id']}")
    assert gone.status_code == 204
    assert (await client.get(links)).json() == {"items": [], "total": 0}
    closed = await client.get(link["path"])
    assert (closed.status_code, "Ask whoever sent it" in closed.text) == (404, True)


async def test_a_visitor_of_a_link_is_slowed_down(client: httpx.AsyncClient, workflow: str) -> None:
    link = (await client.post(f"{WF}/{workflow}/chat_links", json={})).json()
    chat = (await client.post(f"{link['path']}/chats", headers=VISITOR)).json()["chat_id"]
    codes = []
    for _ in range(21):
        # Refused before anything runs, yet counted.
        reply = await client.post(
            f"{link['path']}/chats/nowhere/messages", json={"text": "x"}, headers=VISITOR
        )
        codes.append(reply.status_code)
    assert codes == [404] * 20 + [429]
    assert chat


async def test_what_cannot_be_answered_says_why(client: httpx.AsyncClient) -> None:
    silent = await make(
        client,
        changed(
            nodes=[
                {"id": "text", "type": "file_input", "config": {}},
                {"id": "output", "type": "output", "config": {}},
            ],
            edges=[{"source": "text", "target": "output", "key": "files>value"}],
        ),
    )
    chats = f"{WF}/{silent}/chats"
    chat = (await client.post(chats)).json()["chat_id"]
    refused = await client.post(f"{chats}/{chat}/messages", json={"text": "Hello?"})
    assert refused.status_code == 422
    assert "takes no question" in refused.json()["error"]["message"]
    assert (await client.post(f"{WF}/wf_none/chats")).status_code == 404
    for nothing in ("chats", "chat_links", "batches", "schedules", "webhooks"):
        lost = await client.get(f"{WF}/wf_none/{nothing}")
        assert (lost.status_code, lost.json()["error"]["code"]) == (404, "not_found"), nothing
    long = await client.post(f"{chats}/{chat}/messages", json={"text": "x" * 4_001})
    assert long.status_code == 422


async def test_a_failed_run_is_said_in_the_chat_and_can_be_asked_again(
    client: httpx.AsyncClient, services: Services
) -> None:
    broken = json.loads(json.dumps(ANSWERING))
    broken["nodes"][1]["config"]["knowledge_base"] = "Gone"
    workflow = await make(client, broken)
    chats = f"{WF}/{workflow}/chats"
    chat = (await client.post(chats)).json()["chat_id"]
    answer = (await client.post(f"{chats}/{chat}/messages", json={"text": "How high?"})).json()
    assert answer["status"] == "failed"
    assert "Gone" in answer["error"]["message"]
    link = (await client.post(f"{WF}/{workflow}/chat_links", json={})).json()["path"]
    told = (await client.post(f"{link}/chats", headers=VISITOR)).json()["chat_id"]
    messages = f"{link}/chats/{told}/messages"
    stranger = (await client.post(messages, json={"text": "How?"}, headers=VISITOR)).json()
    assert (stranger["status"], stranger["execution_id"]) == ("failed", None)
    assert "Gone" not in str(stranger)
    assert "Gone" not in (await client.get(f"{link}/chats/{told}", headers=VISITOR)).text
    await services.knowledge.create("Gone")
    answer = (await client.post(f"{chats}/{chat}/messages", json={"text": "How high?"})).json()
    assert answer["status"] == "done"
    assert answer["answer"]["abstained"]


async def test_only_addresses_of_sites_may_frame_a_chat() -> None:
    assert checked_origins(["http://a.example:8080", "http://a.example:8080/"]) == [
        "http://a.example:8080"
    ]
    for bad in ("example.org", "https://x.org/path", "javascript:alert(1)", "https://a b", "*",
                "https://x.org; script-src *", "https://me@x.org", "http://[::1"):  # fmt: skip
        with pytest.raises(Exception, match="not the address of a site"):
            checked_origins([bad])


async def test_runs_without_an_answer_speak_in_words() -> None:
    from app.services.views import ExecutionView

    run = ExecutionView(
        execution_id="r", workflow_id="w", workflow_name="", revision=1, trigger="chat",
        status="completed", input_data={}, outputs={"said": {"text": "hello"}}, error=None,
        started_at="2026-01-01T00:00:00+00:00", duration_ms=1.0,
    )  # fmt: skip
    assert outcome(run)["text"] == "hello"
    empty = run.model_copy(update={"outputs": {"said": None}})
    assert "without an answer" in outcome(empty)["text"]
    assert conversation([]) == []
