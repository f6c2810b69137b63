"""Re-runs, approvals, schedules, webhooks and batches over REST."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import httpx

from app.services.container import Services

WF = "/api/v1/workflows"
RUNS = "/api/v1/workflow_executions"


def graph(*, asking: bool = False) -> dict[str, Any]:
    nodes = [
        {"id": "text", "type": "text_input", "config": {"default": "hello"}},
        {"id": "output", "type": "output", "config": {}},
    ]
    edges = [{"source": "text", "target": "output", "key": "text>value"}]
    if asking:
        nodes.insert(1, {"id": "ask", "type": "approval", "config": {"message": "Send it?"}})
        edges = [
            {"source": "text", "target": "ask", "key": "text>value"},
            {"source": "ask", "target": "output", "key": "approved>value"},
        ]
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "Echo", "outputs": {"said": ["output", "value"]}},
        "nodes": nodes,
        "edges": edges,
    }


async def make(client: httpx.AsyncClient, **kind: bool) -> str:
    made = await client.post(WF, json=graph(**kind))
    assert made.status_code == 201, made.text
    return str(made.json()["workflow_id"])


async def test_what_follows_a_workflow_inside_counts_by_what_came_out(
    client: httpx.AsyncClient,
) -> None:
    def inner(word: str) -> dict[str, Any]:
        made = graph()
        made["nodes"][0]["config"] = {"default": word}
        return made

    named = (await client.post(WF, json=inner("first"))).json()["workflow_id"]
    outer = graph()
    interface = {"inputs": [], "outputs": [{"name": "said", "type": "Text"}]}
    outer["nodes"] = [
        {
            "id": "in",
            "type": "workflow",
            "config": {"body": {"workflow": named, "interface": interface}},
        },
        *({"id": i, "type": "prompt", "config": {"template": i + " {{ texts[0] }}"}} for i in "cd"),
        {"id": "output", "type": "output", "config": {}},
    ]
    outer["edges"] = [
        {"source": "in", "target": "c", "key": "said>texts"},
        {"source": "c", "target": "d", "key": "prompt>texts"},
        {"source": "d", "target": "output", "key": "prompt>value"},
    ]
    workflow = (await client.post(WF, json=outer)).json()["workflow_id"]
    for word in ("first", "second"):
        # The workflow inside is not pinned to a revision: it says something else the second time.
        assert (await client.put(f"{WF}/{named}", json=inner(word))).status_code == 200
        run = (await client.post(f"{WF}/{workflow}/execute", json={"input_data": {}})).json()
        assert run["outputs"] == {"said": f"d c {word}"}, run
        place = f"{RUNS}/{run['execution_id']}"
        again = (await client.post(f"{place}/rerun", json={"from": "c"})).json()
        assert again["outputs"] == run["outputs"]
        assert [s["cached"] for s in again["steps"]] == [True, False, True, True]


async def test_a_run_is_run_again_from_a_node_and_with_pins(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    past = (
        await client.post(f"{WF}/{workflow}/execute", json={"input_data": {"text": "hi"}})
    ).json()
    place = f"{RUNS}/{past['execution_id']}"
    again = await client.post(f"{place}/rerun", json={"from": "output", "config": {}, "pin": {}})
    assert again.status_code == 200, again.text
    run = again.json()
    assert (run["outputs"], run["parent_run"]) == ({"said": "hi"}, past["execution_id"])
    assert run["options"]["start_from"] == "output"
    assert [(s["node_id"], s["status"], s["cached"]) for s in run["steps"]] == [
        ("text", "completed", True),
        ("output", "completed", False),
    ]
    assert all(s["reason"] for s in run["steps"])
    pinned = await client.post(
        f"{place}/rerun", json={"from": None, "pin": {"text": {"text": {"text": "pinned"}}}}
    )
    assert pinned.json()["outputs"] == {"said": "pinned"}
    late = await client.post(f"{place}/rerun", json={}, headers={"Prefer": "respond-async"})
    assert late.status_code == 202
    assert late.headers["location"].startswith(RUNS)
    for body, status in (({"from": "no"}, 422), ({"config": {"no": {}}}, 422), ({"form": 1}, 422)):
        assert (await client.post(f"{place}/rerun", json=body)).status_code == status
    assert (await client.post(f"{RUNS}/run_no/rerun", json={})).status_code == 404
    ended = await client.post(f"{place}/resume")
    assert (ended.status_code, ended.json()["error"]["code"]) == (409, "not_running")


async def test_an_execution_says_what_it_used_and_which_inputs_it_did_not_read(
    client: httpx.AsyncClient,
) -> None:
    workflow = await make(client)
    body = {"input_data": {"text": "hi", "txet": "typo"}}
    run = (await client.post(f"{WF}/{workflow}/execute", json=body)).json()
    assert (run["status"], len(run["warnings"])) == ("completed", 1)
    assert "“txet”" in run["warnings"][0]
    assert "“text”" in run["warnings"][0]
    assert run["durable"] is True
    kept = (await client.get(f"{RUNS}/{run['execution_id']}")).json()
    assert kept["warnings"] == run["warnings"]
    assert {"usage", "saved"} <= kept.keys()
    assert all({"usage", "saved", "cached", "reason", "waiting"} <= s.keys() for s in kept["steps"])
    only = {
        "only": ["output"],
        "inputs": {"output": {"value": {"type": "Text", "value": {"text": "x"}}}},
    }
    part = await client.post(f"{WF}/{workflow}/execute", json={"options": only})
    assert part.json()["outputs"] == {"said": "x"}, part.text


async def test_a_person_decides(client: httpx.AsyncClient) -> None:
    workflow = await make(client, asking=True)
    asked = await client.post(f"{WF}/{workflow}/execute", json={})
    # The answer does not wait for the person.
    assert (asked.status_code, asked.json()["status"]) == (202, "waiting")
    run_id = asked.json()["execution_id"]
    listed = (await client.get("/api/v1/approvals", params={"workflow_id": workflow})).json()
    assert [(q["execution_id"], q["node_id"]) for q in listed["items"]] == [(run_id, "ask")]
    assert "Send it?" in listed["items"][0]["message"]
    decide = f"{RUNS}/{run_id}/decide"
    unknown = await client.post(decide, json={"node_id": "other", "approved": True})
    assert unknown.status_code == 404
    said = await client.post(decide, json={"node_id": "ask", "approved": True, "comment": "ok"})
    assert said.status_code == 200, said.text
    twice = await client.post(decide, json={"node_id": "ask", "approved": False})
    assert twice.status_code == 409
    run = (await ended(client, run_id)).json()
    assert (run["status"], run["outputs"]) == ("completed", {"said": "hello"})
    decided = (await client.get("/api/v1/approvals", params={"status": "decided"})).json()
    assert decided["items"][0]["decision"]["by"] == "tests"


async def ended(client: httpx.AsyncClient, run_id: str) -> httpx.Response:
    async with asyncio.timeout(30):
        while True:
            run = await client.get(f"{RUNS}/{run_id}")
            if run.json()["status"] not in ("running", "waiting"):
                return run
            await asyncio.sleep(0.02)


async def test_schedules_are_kept_changed_and_run(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    place = f"{WF}/{workflow}/schedules"
    made = await client.post(
        place, json={"cron": "0 9 * * *", "timezone": "Europe/Berlin", "input_data": {"text": "x"}}
    )
    assert made.status_code == 201, made.text
    schedule = made.json()
    assert (schedule["description"], schedule["enabled"]) == ("Every day at 09:00", True)
    one = f"{place}/{schedule['schedule_id']}"
    paused = await client.patch(one, json={"enabled": False})
    assert paused.json()["next_at"] is None
    ran = await client.post(f"{one}/run")
    assert ran.json()["outputs"] == {"said": "x"}
    assert ran.json()["trigger"] == "schedule"
    [listed] = (await client.get(place)).json()["items"]
    assert listed["last_run_id"] == ran.json()["execution_id"]
    bad = await client.post(place, json={"cron": "whenever"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (422, "bad_schedule")
    other = await make(client)
    elsewhere = f"{WF}/{other}/schedules/{schedule['schedule_id']}"
    assert (await client.delete(elsewhere)).status_code == 404
    assert (await client.delete(one)).status_code == 204
    assert (await client.get(place)).json() == {"items": [], "total": 0}


async def test_a_webhook_needs_no_key_but_its_token(
    client: httpx.AsyncClient, services: Services
) -> None:
    workflow = await make(client)
    made = await client.post(f"{WF}/{workflow}/webhooks", json={"mapping": {"text": "a.b"}})
    assert made.status_code == 201, made.text
    url = made.json()["url"]
    assert url.startswith("http://localhost/hooks/")
    nobody = {"Authorization": ""}
    called = await client.post(url, json={"a": {"b": "hey"}}, headers=nobody)
    assert called.status_code == 202, called.text
    run = (await ended(client, called.json()["execution_id"])).json()
    assert (run["outputs"], run["trigger"]) == ({"said": "hey"}, "webhook")
    waited = await client.post(
        url, json={"a": {"b": "ho"}}, headers={**nobody, "Prefer": "wait=20"}
    )
    assert (waited.status_code, waited.json()["outputs"]) == (200, {"said": "ho"})
    assert called.json()["warnings"] == []
    wrong = await client.post(f"{url}x", json={}, headers=nobody)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "not_found")
    looked = await client.get(url, headers=nobody)
    assert (looked.status_code, looked.headers["allow"]) == (405, "POST")
    assert "inputs as a JSON object" in looked.json()["error"]["message"]
    large = await client.post(url, content=b"x" * 1_100_000, headers=nobody)
    assert large.status_code == 413
    # Pages of other sites cannot post here behind somebody's back.
    foreign = await client.post(url, json={}, headers={**nobody, "Origin": "https://evil.example"})
    assert foreign.status_code == 403
    hooks = f"{WF}/{workflow}/webhooks"
    [listed] = (await client.get(hooks)).json()["items"]
    assert (await client.get(f"{hooks}?offset=1")).json() == {"items": [], "total": 1}
    assert (listed["calls"], listed["url"]) == (2, None)
    signed = (await client.post(f"{WF}/{workflow}/webhooks", json={"signed": True})).json()
    assert signed["secret"]
    unsigned = await client.post(signed["url"], json={}, headers=nobody)
    assert unsigned.status_code == 401
    hook = f"{WF}/{workflow}/webhooks/{listed['webhook_id']}"
    assert (await client.patch(hook, json={"enabled": False})).json()["enabled"] is False
    assert (await client.post(url, json={}, headers=nobody)).status_code == 404
    assert (await client.delete(hook)).status_code == 204
    # What nothing reads is said at once.
    other = (await client.post(f"{WF}/{workflow}/webhooks", json={})).json()["url"]
    for prefer in ("respond-async", "wait=20"):
        missed = await client.post(other, json={"txt": "hey"}, headers={**nobody, "Prefer": prefer})
        [warning] = missed.json()["warnings"]
        assert "“txt”" in warning
        assert "Did you mean “text”?" in warning


async def test_a_table_goes_in_and_comes_out(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    started = await client.post(f"{WF}/{workflow}/batches", json={"csv": "text\none\ntwo\n"})
    assert started.status_code == 202, started.text
    batch = f"/api/v1/batches/{started.json()['batch_id']}"
    async with asyncio.timeout(30):
        while (state := (await client.get(batch)).json())["status"] == "running":
            await asyncio.sleep(0.02)
    assert state["counts"] == {"completed": 2}
    assert [row["outputs"] for row in state["rows"]] == [{"said": "one"}, {"said": "two"}]
    table = await client.get(f"{batch}/csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(r["text"], r["said"], r["status"]) for r in rows] == [
        ("one", "one", "completed"),
        ("two", "two", "completed"),
    ]
    listed = (await client.get(f"{WF}/{workflow}/batches")).json()
    assert listed["total"] == 1
    assert (await client.delete(batch)).json()["status"] == "completed"
    assert (await client.get("/api/v1/batches/batch_no")).status_code == 404
    assert (await client.post(f"{WF}/wf_no/batches", json={"rows": [{}]})).status_code == 404


async def test_tables_that_cannot_be_run_are_refused(client: httpx.AsyncClient) -> None:
    workflow = await make(client)
    bodies: tuple[tuple[dict[str, Any], int], ...] = (
        ({"rows": []}, 422),
        ({"rows": [1]}, 422),
        ({"csv": "a,a\n1,2\n"}, 422),
        ({"rows": [{}], "concurrency": 0}, 422),
        ({"rows": [{}] * 10_001}, 413),
    )
    for body, status in bodies:
        refused = await client.post(f"{WF}/{workflow}/batches", json=body)
        assert refused.status_code == status, (str(body)[:60], refused.text)
