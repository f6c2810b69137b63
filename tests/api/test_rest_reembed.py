"""Embedding a knowledge base anew over REST."""

from __future__ import annotations

import httpx

from app.services.container import Services

KB = "/api/v1/knowledge_bases"
GERMAN = "Der Hafen von Emden ist bei Ebbe trocken, und die Fischer warten auf die nächste Flut."


async def test_a_branch_with_another_model(client: httpx.AsyncClient, services: Services) -> None:
    made = await client.post(KB, json={"name": "Notes"})
    kb = made.json()["knowledge_base_id"]
    files = [("files", ("hafen.md", GERMAN.encode()))]
    await client.post(f"{KB}/{kb}/documents", files=files)
    refused = await client.patch(f"{KB}/{kb}", json={"config": {"embedding_model": "multilingual"}})
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "model_mismatch"
    assert f"{KB}/{kb}/reembed" in error["message"]

    body = {"embedding_model": "multilingual", "branch": "try/many languages"}
    assert (await client.post(f"{KB}/{kb}/reembed", json=body)).status_code == 409
    body["branch"] = "try/languages"
    started = await client.post(f"{KB}/{kb}/reembed", json=body)
    assert started.status_code == 202
    place = started.headers["Location"]
    assert place == f"{KB}/{kb}/reembed/try/languages"
    await services.reembedding.wait(kb, "try/languages")
    done = (await client.get(place)).json()
    assert (done["status"], done["documents"], done["done"]) == ("completed", 1, 1)
    config = {"search_type": "semantic", "ref": "try/languages"}
    found = await client.post(
        f"{KB}/{kb}/search", json={"query": "When is the harbour dry?", "config": config}
    )
    assert found.json()["results"][0]["document_name"] == "hafen.md"
    assert found.json()["metadata"]["embedding_models"] == ["multilingual"]
    assert (await client.delete(place)).json()["status"] == "completed"
    # It becomes what is used, and that is taken back.
    query = {"query": "When is the harbour dry?", "config": {"search_type": "semantic"}}
    taken = await client.post(f"{KB}/{kb}/adopt", json={"branch": "try/languages"})
    assert taken.status_code == 200, taken.text
    assert taken.json()["commit"]["message"] == "Use “try/languages” from now on"
    assert taken.json()["reembedding"]["branch"] == "main"
    await services.reembedding.wait(kb, "main")
    found = await client.post(f"{KB}/{kb}/search", json=query)
    assert found.json()["metadata"]["embedding_models"] == ["multilingual"]
    assert (await client.get(f"{KB}/{kb}")).json()["config"]["embedding_model"] == "multilingual"
    back = await client.post(f"{KB}/{kb}/restore", json={"commit": taken.json()["before"]})
    assert back.status_code == 200, back.text
    found = await client.post(f"{KB}/{kb}/search", json=query)
    assert found.json()["metadata"]["embedding_models"] != ["multilingual"]
    for href, wrong, status in (
        ("adopt", {"branch": "nowhere"}, 404),
        ("adopt", {"branch": "main"}, 409),
        ("adopt", {"branch": "try/languages", "prefer": "neither"}, 422),
        ("restore", {"commit": "0000000"}, 404),
    ):
        assert (await client.post(f"{KB}/{kb}/{href}", json=wrong)).status_code == status
    assert (await client.get(f"{KB}/{kb}/reembed/nowhere")).status_code == 404
    for wrong in ({}, {**body, "more": 1}, {**body, "language_models": {"Deutsch": "default"}}):
        assert (await client.post(f"{KB}/{kb}/reembed", json=wrong)).status_code == 422
    listed = (await client.get(f"{KB}/{kb}/branches")).json()
    assert [(b["branch"], b["in_use"]) for b in listed["items"]] == [
        ("main", True), ("try/languages", False),
    ]  # fmt: skip
    refused = await client.delete(f"{KB}/{kb}/branches/main")
    assert refused.status_code == 409
    assert "main is what search, workflows and pages use" in refused.json()["error"]["message"]
    gone = await client.delete(f"{KB}/{kb}/branches/try/languages")
    assert gone.json() == {"branch": "try/languages", "commit": listed["items"][1]["commit"]}
    assert (await client.delete(f"{KB}/{kb}/branches/try/languages")).status_code == 404
    assert (await client.get(f"{KB}/{kb}/branches")).json()["total"] == 1
    body["embedding_model"] = "nobody/nothing"
    assert (await client.post(f"{KB}/{kb}/reembed", json=body)).status_code == 422
