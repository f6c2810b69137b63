"""The pipeline of a knowledge base over REST."""

from __future__ import annotations

from typing import Any

import httpx

from app.services.workflows import templates


def filling(knowledge_base: str) -> dict[str, Any]:
    return templates.copy_of(templates.get("fill-knowledge-base"), [knowledge_base])


async def test_a_pipeline_is_set_pinned_and_taken_away(client: httpx.AsyncClient) -> None:
    kb = (await client.post("/api/v1/knowledge_bases", json={"name": "Docs"})).json()
    href = f"/api/v1/knowledge_bases/{kb['knowledge_base_id']}"
    workflow = (await client.post("/api/v1/workflows", json=filling("Docs"))).json()["workflow_id"]
    config = {"pipeline": {"workflow_id": workflow}}
    changed = await client.patch(href, json={"config": config})
    assert changed.status_code == 200, changed.text
    assert changed.json()["config"]["pipeline"] == {"workflow_id": workflow, "revision": 1}
    # Other settings leave it as it is.
    other = await client.patch(href, json={"config": {"chunk_size": 200}})
    assert other.json()["config"]["pipeline"] == {"workflow_id": workflow, "revision": 1}
    sent = await client.post(f"{href}/documents", files={"files": ("a.txt", b"Ducks swim. " * 40)})
    assert sent.json()["status"] == "success", sent.text
    # It stays as long as files go through it.
    refused = await client.delete(f"/api/v1/workflows/{workflow}")
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "workflow_in_use"
    assert "Files of “Docs” go through this workflow." in error["message"]
    assert "Choose another pipeline" in error["message"]
    assert error["details"] == [{"knowledge_bases": ["Docs"]}]
    gone = await client.patch(href, json={"config": {"pipeline": None}})
    assert gone.json()["config"]["pipeline"] is None
    assert (await client.delete(f"/api/v1/workflows/{workflow}")).status_code == 204
    # One that is gone is not brought into use again before it is back.
    taken = await client.patch(href, json={"config": config})
    assert taken.status_code == 404


async def test_what_cannot_be_a_pipeline_is_refused_with_reasons(client: httpx.AsyncClient) -> None:
    kb = (await client.post("/api/v1/knowledge_bases", json={"name": "Docs"})).json()
    href = f"/api/v1/knowledge_bases/{kb['knowledge_base_id']}"
    graph = filling("Docs")
    graph["nodes"] = [n for n in graph["nodes"] if n["type"] != "files"]
    graph["edges"] = [e for e in graph["edges"] if e["source"] != "files"]
    workflow = (await client.post("/api/v1/workflows", json=graph)).json()["workflow_id"]
    answer = await client.patch(href, json={"config": {"pipeline": {"workflow_id": workflow}}})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_pipeline"
    assert "no_files_node" in {detail["code"] for detail in error["details"]}
    for wrong in ({"workflow_id": "nothing"}, {"workflow_id": workflow, "revision": 99}):
        answer = await client.patch(href, json={"config": {"pipeline": wrong}})
        assert answer.status_code == 404, answer.text
    for odd in ("x", {"workflow": "x"}, {"workflow_id": workflow, "revision": 0}):
        answer = await client.patch(href, json={"config": {"pipeline": odd}})
        assert answer.status_code == 422, answer.text
    assert (await client.get(href)).json()["config"]["pipeline"] is None
