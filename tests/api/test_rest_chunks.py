"""Corrections of chunks over REST."""

from __future__ import annotations

import httpx

from tests.api.test_rest_knowledge import KB, NOTE, error_of, make, upload


async def test_a_chunk_is_corrected_split_merged_disabled_and_restored(
    client: httpx.AsyncClient,
) -> None:
    kb = await make(client, "Corrections")
    document = (await upload(client, kb, ("storage.md", NOTE))).json()["document_id"]
    place = f"{KB}/{kb}/documents/{document}"
    first = (await client.get(f"{place}/chunks")).json()["items"][0]
    chunk = f"{place}/chunks/{first['chunk_id']}"

    changed = await client.patch(chunk, json={"content": "Backups run at dawn, every day."})
    assert changed.status_code == 200, changed.text
    done = changed.json()
    assert done["chunks"][0]["content"] == "Backups run at dawn, every day."
    stale = await client.patch(chunk, json={"content": "By somebody else"})
    assert stale.status_code == 409
    assert "Load the chunks" in error_of(stale)["message"]

    now = done["chunks"][0]["chunk_id"]
    split = (await client.post(f"{place}/chunks/{now}/split", json={"at": 20})).json()
    assert [c["content"] for c in split["chunks"]] == ["Backups run at dawn,", "every day."]
    ids = [c["chunk_id"] for c in split["chunks"]]
    merged = (await client.post(f"{place}/chunks/merge", json={"chunk_ids": ids})).json()
    assert merged["chunks"][0]["content"] == "Backups run at dawn, every day."

    now = merged["chunks"][0]["chunk_id"]
    hidden = await client.patch(f"{place}/chunks/{now}", json={"disabled": True})
    assert hidden.json()["chunks"][0]["disabled"] is True
    found = await client.post(f"{KB}/{kb}/search", json={"query": "dawn"})
    assert found.json()["results"] == []

    back = await client.post(f"{place}/restore", json={"version_id": done["previous_version_id"]})
    assert back.status_code == 200, back.text
    assert (await client.get(f"{place}/chunks")).json()["items"] == [first]
    commits = (await client.get(f"{place}/commits")).json()
    assert commits["total"] == 6
    assert commits["items"][0]["version_id"] == done["previous_version_id"]


async def test_what_cannot_be_done_to_a_chunk_is_said(client: httpx.AsyncClient) -> None:
    kb = await make(client, "Refusals")
    document = (await upload(client, kb, ("storage.md", NOTE))).json()["document_id"]
    place = f"{KB}/{kb}/documents/{document}"
    chunk = (await client.get(f"{place}/chunks")).json()["items"][0]["chunk_id"]
    for method, path, body, status in (
        ("PATCH", f"/chunks/{chunk}", {}, 422),
        ("PATCH", f"/chunks/{chunk}", {"content": " "}, 422),
        ("PATCH", f"/chunks/{chunk}", {"text": "x"}, 422),
        ("PATCH", f"/chunks/{chunk}?ref=nowhere", {"content": "x"}, 404),
        ("PATCH", "/chunks/0000", {"content": "x"}, 404),
        ("POST", f"/chunks/{chunk}/split", {"at": 100_000}, 422),
        ("POST", "/chunks/merge", {"chunk_ids": [chunk]}, 422),
        ("POST", "/conflicts/0", {"action": "drop"}, 404),
        ("POST", "/restore", {"version_id": "0000"}, 404),
    ):
        answer = await client.request(method, place + path, json=body)
        assert answer.status_code == status, (path, answer.text)
        assert error_of(answer)["message"]
