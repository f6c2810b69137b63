"""The history of a workflow over REST: listed, named, compared, restored."""

from __future__ import annotations

import copy
from typing import Any

import httpx

WF = "/api/v1/workflows"
GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Echo", "outputs": {"said": ["output", "value"]}},
    "nodes": [
        {"id": "text", "type": "text_input", "config": {"default": "hello"}, "position": [0, 0]},
        {"id": "output", "type": "output", "config": {}, "position": [300, 0]},
    ],
    "edges": [{"source": "text", "target": "output", "key": "text>value"}],
}


def saying(text: str, **parts: Any) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH) | parts
    graph["nodes"][0]["config"]["default"] = text
    return graph


async def make(client: httpx.AsyncClient, *texts: str) -> str:
    made = (await client.post(WF, json=saying(texts[0]))).json()
    for number, text in enumerate(texts[1:], 1):
        saved = await client.put(
            f"{WF}/{made['workflow_id']}", json=saying(text), params={"base_revision": number}
        )
        assert saved.status_code == 200
    return f"{WF}/{made['workflow_id']}"


async def test_revisions_are_listed_named_and_read(client: httpx.AsyncClient) -> None:
    place = await make(client, "one", "two", "three")
    listed = (await client.get(f"{place}/revisions", params={"limit": 2})).json()
    assert listed["total"] == 3
    assert [r["number"] for r in listed["items"]] == [3, 2]
    assert listed["items"][0] | {"created_at": ""} == {
        "number": 3, "name": "", "author": "tests", "message": "", "created_at": "",
        "node_count": 2, "restored_from": None, "summary": {"changed": 1},
    }  # fmt: skip
    named = await client.patch(
        f"{place}/revisions/2", json={"name": "Before the move", "message": "It worked"}
    )
    assert named.status_code == 200
    assert (named.json()["name"], named.json()["message"]) == ("Before the move", "It worked")
    only = (await client.get(f"{place}/revisions", params={"named": True})).json()
    assert [r["number"] for r in only["items"]] == [2]
    renamed = (await client.patch(f"{place}/revisions/2", json={"name": ""})).json()
    assert (renamed["name"], renamed["message"]) == ("", "It worked")
    second = (await client.get(f"{place}/revisions/2")).json()
    assert second["graph"]["nodes"][0]["config"]["default"] == "two"
    for number in (0, 9, 10**30):
        missing = await client.get(f"{place}/revisions/{number}")
        assert missing.status_code == 404, missing.text
    refused = await client.patch(f"{place}/revisions/2", json={"name": "x" * 201})
    assert refused.status_code == 422
    assert (await client.get(f"{WF}/wf_none/revisions")).status_code == 404


async def test_two_revisions_are_compared(client: httpx.AsyncClient) -> None:
    place = await make(client, "one", "two", "one")
    answer = await client.get(f"{place}/diff", params={"from": 1, "to": 2})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["from_revision"], body["to_revision"], body["equal"]) == (1, 2, False)
    assert body["marks"] == {"nodes": {"text": "changed"}, "edges": {}}
    (change,) = body["diff"]["nodes"][0]["changes"]
    assert (change["path"], change["before"], change["after"]) == ("config.default", "one", "two")
    same = (await client.get(f"{place}/diff", params={"from": 1})).json()
    assert (same["to_revision"], same["equal"]) == (3, True)
    assert (await client.get(f"{place}/diff", params={"from": 1, "to": 4})).status_code == 404
    assert (await client.get(f"{place}/diff")).status_code == 422


async def test_an_older_revision_comes_back_as_a_new_one(client: httpx.AsyncClient) -> None:
    place = await make(client, "one", "two")
    stale = await client.post(f"{place}/restore", json={"revision": 1, "base_revision": 1})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "conflict")
    restored = await client.post(f"{place}/restore", json={"revision": 1, "base_revision": 2})
    assert restored.status_code == 200
    body = restored.json()
    assert (body["number"], body["restored_from"], body["author"]) == (3, 1, "tests")
    now = (await client.get(place)).json()
    assert (now["revision"], now["graph"]) == (3, body["graph"])
    assert now["graph"]["nodes"][0]["config"]["default"] == "one"
    # What was there in between is still there.
    between = (await client.get(f"{place}/revisions/2")).json()
    assert between["graph"]["nodes"][0]["config"]["default"] == "two"
    again = await client.post(f"{place}/restore", json={"revision": 3})
    assert again.json()["number"] == 3
    assert (await client.post(f"{place}/restore", json={"revision": 7})).status_code == 404
    assert (await client.post(f"{place}/restore", json={})).status_code == 422


async def test_a_workflow_is_exported_in_every_format(client: httpx.AsyncClient) -> None:
    place = await make(client, "one", "two")
    for format_, media_type, ending, start in (
        ("json", "application/json", "json", b"{"),
        ("mermaid", "text/vnd.mermaid; charset=utf-8", "mmd", b"---\ntitle"),
        ("svg", "image/svg+xml", "svg", b"<svg xmlns"),
        ("png", "image/png", "png", b"\x89PNG"),
        ("python", "text/x-python; charset=utf-8", "py", b"#!/usr/bin/env python3"),
    ):
        answer = await client.get(f"{place}/export", params={"format": format_, "revision": 1})
        assert answer.status_code == 200, format_
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"] == f'attachment; filename="echo.{ending}"'
        assert answer.content.startswith(start), format_
        if format_ in ("json", "python"):
            assert b'"default": "one"' in answer.content, format_
        dark = await client.get(
            f"{place}/export", params={"format": format_, "revision": 1, "theme": "dark"}
        )
        assert (dark.content != answer.content) == (format_ in ("svg", "png")), format_
    assert (await client.get(f"{place}/export", params={"format": "gif"})).status_code == 422


async def test_two_runs_are_compared(client: httpx.AsyncClient) -> None:
    place = await make(client, "one", "two")
    runs = [
        (await client.post(f"{place}/execute", json=body)).json()["execution_id"]
        for body in ({"revision": 1}, {}, {"input_data": {"text": "three"}})
    ]
    at = f"/api/v1/workflow_executions/{runs[0]}/compare"
    found = (await client.get(f"{at}/{runs[1]}")).json()
    assert found["first_difference"] == {
        "node_id": "text", "kind": "config", "what": "default “one” → “two”",
    }  # fmt: skip
    assert found["nodes"] == {"text": "config", "output": "input"}
    assert (found["a"]["revision"], found["b"]["revision"]) == (1, 2)
    assert (await client.get(f"{at}/{runs[0]}")).json()["equal"] is True
    again = f"/api/v1/workflow_executions/{runs[1]}/compare/{runs[2]}"
    assert (await client.get(again)).json()["nodes"] == {"text": "input", "output": "input"}
    node = (await client.get(f"{again}/nodes", params={"node": "output"})).json()
    assert [part["op"] for part in node["outputs"][0]["text"]] == ["removed", "added"]
    assert (await client.get(f"{at}/run_none")).status_code == 404
