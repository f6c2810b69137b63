"""Workflows and their executions over REST, and bad files of every kind."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi.responses import StreamingResponse

from app.api.sse import Sent, event_stream
from app.engine.events import TokenEvent
from app.services.container import Services

WF = "/api/v1/workflows"
RUNS = "/api/v1/workflow_executions"
GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {
        "format": "ragloom/1",
        "name": "Echo",
        "description": "Says what it was told",
        "outputs": {"said": ["output", "value"]},
    },
    "nodes": [
        {"id": "text", "type": "text_input", "config": {"default": "hello"}, "position": [0, 0]},
        {"id": "output", "type": "output", "config": {}, "position": [300, 0]},
    ],
    "edges": [{"source": "text", "target": "output", "key": "text>value"}],
}


def changed(**parts: Any) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    graph.update(parts)
    return graph


async def make(client: httpx.AsyncClient, graph: Any = GRAPH) -> str:
    made = await client.post(WF, json=graph)
    assert made.status_code == 201, made.text
    return str(made.json()["workflow_id"])


async def test_a_workflow_from_its_making_to_its_end(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    got = (await client.get(f"{WF}/{workflow}")).json()
    assert (got["name"], got["revision"], got["node_count"]) == ("Echo", 1, 2)
    newer = copy.deepcopy(got["graph"])
    newer["graph"]["name"] = "Echo 2"
    saved = await client.put(f"{WF}/{workflow}", json={"graph": newer, "base_revision": 1})
    assert (saved.status_code, saved.json()["revision"]) == (200, 2)
    stale = await client.put(f"{WF}/{workflow}", json=got["graph"], params={"base_revision": 1})
    assert stale.status_code == 409
    assert stale.json()["error"]["code"] == "conflict"
    assert "revision 2" in stale.json()["error"]["message"]
    old = (await client.get(f"{WF}/{workflow}", params={"revision": 1})).json()
    assert old["graph"]["graph"]["name"] == "Echo"
    revisions = (await client.get(f"{WF}/{workflow}/revisions")).json()
    assert [r["number"] for r in revisions["items"]] == [2, 1]
    assert revisions["items"][0]["author"] == "tests"
    assert (await client.delete(f"{WF}/{workflow}")).status_code == 204
    assert (await client.get(f"{WF}/{workflow}")).status_code == 404


async def test_export_and_import_lose_nothing(client: httpx.AsyncClient) -> None:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"].append({"id": "x", "type": "not_of_ours", "config": {"a": [1]}, "colour": "red"})
    graph["vendor"] = {"note": "kept"}
    first = await client.get(f"{WF}/{await make(client, graph)}/export")
    assert first.headers["content-disposition"] == 'attachment; filename="echo.json"'
    again = await client.get(f"{WF}/{await make(client, first.json())}/export")
    assert again.json() == first.json()
    assert first.json()["vendor"] == {"note": "kept"}


async def test_a_workflow_as_it_is_handed_out_is_taken_again(client: httpx.AsyncClient) -> None:
    got = (await client.get(f"{WF}/{await make(client)}")).json()
    copied = (await client.get(f"{WF}/{await make(client, got)}")).json()
    assert copied["graph"] == got["graph"]
    named = (await client.get(f"{WF}/{await make(client, got | {'name': 'New'})}")).json()
    assert (named["name"], named["graph"]["graph"]["name"]) == ("New", "New")
    assert named["description"] == got["description"] == "Says what it was told"
    place = f"{WF}/{named['workflow_id']}"
    around = {"name": "Newer", "description": "What it is", "base_revision": 1}
    assert (await client.put(place, json={"graph": got["graph"], **around})).status_code == 200
    saved = (await client.get(place)).json()
    assert (saved["name"], saved["description"]) == ("Newer", "What it is")
    checked = await client.post(f"{WF}/validate", json={"graph": got["graph"]})
    assert checked.json() == {"valid": True, "problems": []}


async def test_executing_answers_outputs_and_steps(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    ran = await client.post(f"{WF}/{workflow}/execute", json={"input_data": {"text": "hi"}})
    assert ran.status_code == 200
    body = ran.json()
    assert (body["status"], body["outputs"]) == ("completed", {"said": "hi"})
    assert [step["node_id"] for step in body["steps"]] == ["text", "output"]
    assert body["steps"][1]["inputs"] == {"value": {"text": "hi"}}
    assert {
        "name",
        "type",
        "status",
        "started_at",
        "duration_ms",
        "outputs",
        "error",
        "cached",
    } <= set(body["steps"][0])
    kept = (await client.get(f"{RUNS}/{body['execution_id']}")).json()
    assert kept == body
    listed = (await client.get(RUNS, params={"workflow_id": workflow})).json()
    assert listed["total"] == 1
    assert listed["items"][0]["steps"] == []
    again = await client.post(f"{WF}/{workflow}/execute", json={"input_data": {"text": "hi"}})
    assert all(step["cached"] for step in again.json()["steps"])
    assert (await client.get(f"{RUNS}/run_x")).status_code == 404
    wrong = await client.post(f"{WF}/{workflow}/execute", json={"workflow_id": "wf_other"})
    assert wrong.status_code == 422
    for path, body in ((f"{WF}/{workflow}/execute", {}), (RUNS, {"workflow": GRAPH})):
        lost = await client.post(path, json={**body, "base_run": "run_x"})
        assert (lost.status_code, lost.json()["error"]["code"]) == (404, "not_found")


async def test_executing_without_waiting(client: httpx.AsyncClient, services: Services) -> None:
    workflow = await make(client)
    started = await client.post(
        f"{WF}/{workflow}/execute", json={}, headers={"Prefer": "respond-async"}
    )
    assert started.status_code in (200, 202)
    run_id = started.json()["execution_id"]
    assert started.headers["location"] == f"{RUNS}/{run_id}"
    await services.runs.wait(run_id)
    assert (await client.get(f"{RUNS}/{run_id}")).json()["status"] == "completed"
    assert (await client.delete(f"{RUNS}/{run_id}")).json()["status"] == "completed"


async def test_events_of_a_run_are_streamed_and_replayed(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    accept = {"Accept": "text/event-stream"}
    streams = [
        await client.post(f"{WF}/{workflow}/execute", json={}, headers=accept),
    ]
    run_id = streams[0].headers["location"].rsplit("/", 1)[1]
    streams.append(await client.get(f"{RUNS}/{run_id}", headers=accept))
    for stream in streams:
        assert stream.headers["content-type"].startswith("text/event-stream")
        blocks = [block for block in stream.text.split("\n\n") if block]
        events, ids = [], []
        for block in blocks:
            lines = dict(line.split(": ", 1) for line in block.splitlines())
            ids.append(lines["id"])
            data = json.loads(lines["data"])
            assert data["kind"] == lines["event"]
            events.append(data)
        assert events[0]["kind"] == "run_started"
        assert events[-1]["kind"] == "run_finished"
        assert events[-1]["outputs"] == {"said": {"text": "hello"}}
        assert [e["node_id"] for e in events if e["kind"] == "node_finished"] == ["text", "output"]
        # Whoever was cut off gets the rest under the same ids, and nothing after the last.
        for place, last in enumerate(ids, 1):
            rest = await client.get(f"{RUNS}/{run_id}", headers={**accept, "Last-Event-ID": last})
            assert [b for b in rest.text.split("\n\n") if b] == blocks[place:]
            assert rest.status_code == (204 if last == ids[-1] else 200)
        assert len(set(ids)) == len(ids)
    for unknown in ("3", "no-1", f"{ids[0].partition('-')[0]}-99", "-", "ö-²"):
        headers = {**accept, "Last-Event-ID": unknown.encode("latin-1")}
        anew = await client.get(f"{RUNS}/{run_id}", headers=headers)
        assert anew.text == streams[1].text


async def test_what_cannot_be_written_ends_a_stream_with_a_word() -> None:
    async def source() -> AsyncIterator[Sent]:
        yield "token", TokenEvent(run_id="r", node_id="a", text="fine"), "log-1"
        yield "token", TokenEvent(run_id="r", node_id="a", text="half \ud83d"), "log-2"

    stream = event_stream(source())
    assert isinstance(stream, StreamingResponse)
    body: Any = stream.body_iterator
    blocks = [str(bytes(block), "utf-8") async for block in body]
    assert len(blocks) == 2
    assert blocks[0].startswith("id: log-1\nevent: token\n")
    assert blocks[1].startswith("event: error\ndata: ")
    assert json.loads(blocks[1].split("data: ")[1])["error"]["code"]


async def test_a_workflow_that_is_not_kept_can_run(client: httpx.AsyncClient) -> None:
    ran = await client.post(RUNS, json={"workflow": GRAPH, "input_data": {"text": "once"}})
    assert ran.json()["outputs"] == {"said": "once"}
    assert ran.json()["workflow_id"] is None
    assert (await client.get(WF)).json()["total"] == 0


async def test_a_run_that_fails_says_why(client: httpx.AsyncClient) -> None:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][0]["config"] = {"required": True}
    ran = await client.post(f"{WF}/{await make(client, graph)}/execute", json={})
    assert ran.status_code == 200
    assert ran.json()["status"] == "failed"
    assert ran.json()["error"]["code"] == "missing_input"
    assert ran.json()["error"]["fix"]
    failed = (await client.get("/api/v1/workflow_executions", params={"status": "failed"})).json()
    assert [run["execution_id"] for run in failed["items"]] == [ran.json()["execution_id"]]
    done = await client.get("/api/v1/workflow_executions", params={"status": "completed"})
    assert done.json()["total"] == 0
    odd = await client.get("/api/v1/workflow_executions", params={"status": "odd"})
    assert odd.status_code == 422
    assert "it has to be “running”" in odd.json()["error"]["message"]


async def test_validation_names_every_problem(client: httpx.AsyncClient) -> None:
    broken = changed(
        nodes=[
            *GRAPH["nodes"],
            {"id": "rerank", "type": "rerank", "config": {"top_k": 0}},
            {"id": "magic", "type": "magic", "config": {}},
        ],
        edges=[*GRAPH["edges"], {"source": "text", "target": "rerank", "key": "text>chunks"}],
    )
    workflow = await make(client, broken)
    for place, body in ((f"{WF}/{workflow}/validate", None), (f"{WF}/validate", broken)):
        checked = (await client.post(place, json=body)).json()
        assert checked["valid"] is False
        codes = {problem["code"] for problem in checked["problems"]}
        assert {"unknown_type", "type_mismatch", "unconnected_input"} <= codes
        assert all(problem["message"] and "node" in problem for problem in checked["problems"])
    refused = await client.post(f"{WF}/{workflow}/execute", json={})
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "invalid_workflow"
    assert len(refused.json()["error"]["details"]) >= 3


async def test_a_cycle_is_kept_reported_and_not_run(client: httpx.AsyncClient) -> None:
    cycle = changed(
        nodes=[{"id": n, "type": "output", "config": {}} for n in ("a", "b")],
        edges=[
            {"source": "a", "target": "b", "key": "value>value"},
            {"source": "b", "target": "a", "key": "value>value"},
        ],
        graph={"format": "ragloom/1", "name": "Round", "outputs": {}},
    )
    made = await client.post(WF, json=cycle)
    assert made.status_code == 201
    assert "cycle" in {problem["code"] for problem in made.json()["problems"]}
    ran = await client.post(f"{WF}/{made.json()['workflow_id']}/execute", json={})
    assert ran.status_code == 422


async def test_what_is_no_workflow_is_refused_with_the_reason(client: httpx.AsyncClient) -> None:
    texts = {
        "not_json": (b"", b"junk", b"\x00\xff\xfe", b"[" * 50_000, b'{"a": NaN}'),
        "invalid_workflow": (
            b"[]",
            b"null",
            b'"text"',
            b"{}",
            *(json.dumps(body).encode() for body in (
                changed(graph={"format": "ragloom/2", "name": "Later"}),
                changed(nodes="none"),
                changed(nodes=[{"id": 3}]),
                changed(nodes=[GRAPH["nodes"][0]] * 2),
                changed(edges=[{"source": "a"}]),
                {"name": "x", "steps": [{"type": 1}]},
            )),
        ),
    }  # fmt: skip
    for code, body in ((code, body) for code, bodies in texts.items() for body in bodies):
        case = (code, body[:60], body[-60:])
        refused = await client.post(WF, content=body, headers={"Content-Type": "application/json"})
        assert refused.status_code == 422, case
        error = refused.json()["error"]
        assert error["code"] == code, case
        assert len(error["message"]) > 20, case
        assert (await client.get(WF)).json()["total"] == 0, case


async def test_a_newer_format_says_to_update(client: httpx.AsyncClient) -> None:
    later = changed(graph={"format": "ragloom/2", "name": "Later"})
    refused = (await client.post(WF, json=later)).json()["error"]
    assert "ragloom/2" in refused["message"]
    assert refused["details"][0]["code"] == "newer_format"


async def test_ten_megabytes_of_junk_are_refused(client: httpx.AsyncClient) -> None:
    for body in (b"x" * 10_000_000, b"[" + b"1," * 5_000_000 + b"1]"):
        refused = await client.post(WF, content=body)
        assert refused.status_code in (413, 422)
        assert refused.json()["error"]["code"] in ("invalid_workflow", "not_json", "too_large")

    async def endless() -> Any:
        while True:
            yield b"x" * 1_000_000

    for content in (b"x" * 11_000_000, endless()):
        refused = await client.post(WF, content=content)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "too_large"


async def test_node_types_and_models_are_listed(client: httpx.AsyncClient) -> None:
    types = (await client.get("/api/v1/node_types")).json()
    assert types["total"] == len(types["items"]) >= 15
    retrieve = next(item for item in types["items"] if item["type"] == "retrieve")
    assert retrieve["inputs"][0]["name"] == "query"
    assert retrieve["config_schema"]["properties"]["k"]["description"]
    assert {item["name"] for item in types["port_types"]} >= {"Query", "Chunks", "Answer"}
    models = (await client.get("/api/v1/models")).json()
    assert any(model["name"] == "extractive" and model["ready"] for model in models["items"])


async def test_runs_and_documents_are_counted(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    await client.post(f"{WF}/{workflow}/execute", json={})
    await client.post(f"{WF}/{workflow}/execute", json={})
    kb = (await client.post("/api/v1/knowledge_bases", json={"name": "Counted"})).json()
    place = f"/api/v1/knowledge_bases/{kb['knowledge_base_id']}/documents"
    await client.post(place, files={"files": ("a.md", b"One note.")})
    page = (await client.get("/metrics")).text
    assert 'ragloom_runs_total{status="completed"} 2.0' in page
    assert 'ragloom_node_seconds_count{type="text_input"} 1.0' in page
    assert 'ragloom_node_results_reused_total{type="text_input"} 1.0' in page
    assert 'ragloom_documents_ingested_total{status="success"} 1.0' in page


async def test_a_client_can_say_how_long_it_waits(
    client: httpx.AsyncClient, services: Services
) -> None:
    slow = copy.deepcopy(GRAPH)
    slow["nodes"][0]["timeout_s"] = 60
    workflow = await make(client, slow)
    ran = await client.post(
        f"{WF}/{workflow}/execute", json={}, headers={"Prefer": "wait=20, handling=lenient"}
    )
    assert (ran.status_code, ran.json()["status"]) == (200, "completed")
    at_once = await client.post(
        f"{WF}/{workflow}/execute", json={"use_cache": False}, headers={"Prefer": "wait=0"}
    )
    assert at_once.status_code in (200, 202)
    await services.runs.wait(at_once.json()["execution_id"])


async def test_a_list_of_steps_without_validation_has_a_confidence_too(
    client: httpx.AsyncClient,
) -> None:
    kb = (await client.post("/api/v1/knowledge_bases", json={"name": "Notes"})).json()
    place = f"/api/v1/knowledge_bases/{kb['knowledge_base_id']}/documents"
    await client.post(place, files={"files": ("a.md", b"Backups run every night at three.")})
    steps = {
        "name": "Short",
        "steps": [
            {"type": "knowledge_base_search", "config": {"knowledge_base_id": "Notes", "k": 2}},
            {"type": "answer_generation", "config": {}},
        ],
        "output_format": {"answer": "string", "confidence": "float", "mood": "string"},
    }
    made = await client.post(WF, json=steps)
    assert made.status_code == 201, made.text
    assert any("mood" in warning for warning in made.json()["warnings"])
    ran = await client.post(
        f"{WF}/{made.json()['workflow_id']}/execute",
        json={"input_data": {"query": "When do backups run?"}},
    )
    assert "night at three" in ran.json()["outputs"]["answer"]
    assert ran.json()["outputs"]["confidence"] > 0
