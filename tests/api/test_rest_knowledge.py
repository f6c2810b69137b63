"""Knowledge bases, documents, jobs and search over REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from app.services.container import Services

KB = "/api/v1/knowledge_bases"
NOTE = b"# Storage\n\nThe database of the server lies in the data folder. Backups run at night.\n"


async def make(client: httpx.AsyncClient, name: str = "Notes", **config: Any) -> str:
    made = await client.post(KB, json={"name": name, "config": config})
    assert made.status_code == 201, made.text
    return str(made.json()["knowledge_base_id"])


async def upload(
    client: httpx.AsyncClient, kb: str, *files: tuple[str, bytes], **more: Any
) -> httpx.Response:
    parts = [("files", (name, content)) for name, content in files]
    return await client.post(f"{KB}/{kb}/documents", files=parts, **more)


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    return error


async def test_a_knowledge_base_from_its_making_to_its_end(client: httpx.AsyncClient) -> None:
    kb = await make(client, search_engine="elasticsearch")
    got = (await client.get(f"{KB}/{kb}")).json()
    assert got["name"] == "Notes"
    assert any("elasticsearch" in warning for warning in got["warnings"])
    changed = await client.patch(f"{KB}/{kb}", json={"description": "Mine", "name": "Mine"})
    assert changed.json()["description"] == "Mine"
    assert (await client.get(f"{KB}/Mine")).json()["knowledge_base_id"] == kb
    listed = (await client.get(KB, params={"limit": 1})).json()
    assert listed["total"] == 1
    assert [item["knowledge_base_id"] for item in listed["items"]] == [kb]
    stats = (await client.get(f"{KB}/{kb}/stats")).json()
    assert (stats["document_count"], stats["chunk_count"]) == (0, 0)
    assert {"index_size", "last_updated"} <= set(stats)
    assert (await client.delete(f"{KB}/{kb}")).status_code == 204
    gone = await client.get(f"{KB}/{kb}")
    assert gone.status_code == 404
    assert error_of(gone)["code"] == "not_found"


async def test_names_are_unique_and_settings_are_checked(client: httpx.AsyncClient) -> None:
    await make(client)
    again = await client.post(KB, json={"name": "Notes"})
    assert again.status_code == 409
    assert "another name" in error_of(again)["message"]
    bad = await client.post(KB, json={"name": "Other", "config": {"chunk_sise": 3}})
    assert bad.status_code == 422
    assert "chunk_size" in error_of(bad)["message"]
    unknown = await client.post(KB, json={"name": "Other", "colour": "red"})
    assert unknown.status_code == 422
    assert "colour" in error_of(unknown)["message"]


async def test_a_body_that_is_no_json_is_refused_with_the_reason(client: httpx.AsyncClient) -> None:
    for body, said in (
        (b'{"name":', "line 1, column 9"),
        (b'{"name": "\xff"}', "UTF-8"),
        (b'{"name": "a\\uD800b"}', "surrogate"),
        (b'{"name": "deep", "config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
        (b'{"name": "x", "config": {"chunk_size": NaN}}', "NaN"),
        (b'{"name": "x", "config": {"chunk_size": ' + b"9" * 5_000 + b"}}", "too long"),
        (b"[]", "Send a JSON object"),
        (b"", "Send a JSON object"),
    ):
        refused = await client.post(KB, content=body, headers={"Content-Type": "application/json"})
        assert refused.status_code == 422, body[:50]
        assert said in error_of(refused)["message"], body[:50]


async def test_a_body_of_another_type_says_which_header_is_missing(
    client: httpx.AsyncClient,
) -> None:
    refused = await client.post(
        KB,
        content=b'{"name": "x"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert refused.status_code == 422
    assert "Content-Type: application/json" in error_of(refused)["message"]


async def test_a_body_past_the_limit_without_a_declared_size(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    refused = await client.post(KB, content=endless(), headers={"Content-Type": "application/json"})
    assert refused.status_code == 413
    assert "max_request_mb" in error_of(refused)["message"]


async def test_a_document_from_upload_to_deletion(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    sent = await upload(client, kb, ("notes.md", NOTE), data={"processing_config": "{}"})
    assert sent.status_code == 200, sent.text
    body = sent.json()
    assert body["results"][0]["status"] == body["status"] == "success"
    assert body["chunks_created"] == body["results"][0]["chunks_created"] == 1
    assert sent.headers["location"] == f"/api/v1/jobs/{body['job_id']}"
    place = f"{KB}/{kb}/documents/{body['document_id']}"
    document = (await client.get(place)).json()
    assert (document["filename"], document["status"]) == ("notes.md", "ready")
    assert document["chunk_count"] == 1
    chunks = (await client.get(f"{place}/chunks")).json()
    assert chunks["total"] == 1
    chunk = chunks["items"][0]
    assert "Backups run at night" in chunk["content"]
    assert {"chunk_id", "page", "headings", "boxes", "metadata"} <= set(chunk)
    same = (await client.get(f"{KB}/{kb}/chunks/{chunk['chunk_id']}")).json()
    assert same["content"] == chunk["content"]
    text = (await client.get(f"{place}/text")).json()
    assert "Backups" in text["text"]
    original = await client.get(f"{place}/original")
    assert original.content == NOTE
    assert original.headers["content-disposition"].startswith("attachment")
    assert original.headers["content-type"] == "application/octet-stream"
    # New content under the same name, by PUT and by another upload.
    put = await client.put(place, files={"files": ("other.md", b"# New\n\nAll of it is new.")})
    assert put.status_code == 200, put.text
    assert put.json()["document_id"] == body["document_id"]
    assert put.json()["filename"] == "notes.md"
    commits = (await client.get(f"{KB}/{kb}/commits")).json()
    assert commits["total"] == 3
    assert commits["items"][0]["author"] == "tests"
    assert (await client.delete(place)).json()["removed"] == 1
    assert (await client.get(place)).status_code == 404
    listed = (await client.get(f"{KB}/{kb}/documents")).json()
    assert listed == {"items": [], "total": 0}


async def test_an_upload_can_be_left_to_a_job(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    sent = await upload(
        client, kb, ("a.md", NOTE), ("b/a.md", NOTE), headers={"Prefer": "respond-async"}
    )
    assert sent.status_code == 202
    job = sent.json()["job_id"]
    assert "document_id" not in sent.json()
    async with client.stream(
        "GET", f"/api/v1/jobs/{job}", headers={"Accept": "text/event-stream"}
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        names = [line async for line in stream.aiter_lines() if line.startswith("event: ")]
    assert names[-1] == "event: job"
    assert "event: document" in names
    done = (await client.get(f"/api/v1/jobs/{job}")).json()
    assert done["status"] == "completed"
    assert [r["filename"] for r in done["results"]] == ["a.md", "b/a.md"]
    assert (await client.delete(f"/api/v1/jobs/{job}")).json()["status"] == "completed"
    assert (await client.get("/api/v1/jobs/job_x")).status_code == 404


async def test_a_multipart_body_labelled_json_is_read_by_its_first_line(
    client: httpx.AsyncClient,
) -> None:
    kb = await make(client)
    boundary = b"b0undary"
    body = (
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="files"; '
        b'filename="notes.md"\r\n\r\n' + NOTE + b"\r\n--" + boundary + b"--\r\n"
    )

    async def slowly() -> Any:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    sent = await client.post(
        f"{KB}/{kb}/documents", content=slowly(), headers={"Content-Type": "application/json"}
    )
    assert sent.status_code == 200, sent.text
    assert sent.json()["filename"] == "notes.md"


async def test_a_broken_upload_is_explained_and_leaves_nothing(
    client: httpx.AsyncClient, services: Services
) -> None:
    kb = await make(client)
    for body, kind, code in (
        (b"", "application/json", "bad_upload"),
        (b'{"files": []}', "application/json", "bad_upload"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", "bad_upload"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\ncut',
            "multipart/form-data; boundary=x",
            "bad_upload",
        ),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "no_files"),
    ):
        sent = await client.post(
            f"{KB}/{kb}/documents", content=body, headers={"Content-Type": kind}
        )
        assert sent.status_code == 422, (body, kind)
        assert error_of(sent)["code"] == code, (body, kind)
        folder = services.folder.path / "uploads"
        assert not folder.exists() or list(folder.iterdir()) == [], (body, kind)


async def test_files_that_are_refused_do_not_hold_up_the_others(
    client: httpx.AsyncClient, services: Services
) -> None:
    kb = await make(client)
    mixed = await upload(client, kb, ("empty.md", b""), ("notes.md", NOTE))
    assert mixed.status_code == 200
    states = {r["filename"]: r for r in mixed.json()["results"]}
    assert states["notes.md"]["status"] == "success"
    assert states["empty.md"]["status"] == "error"
    assert "0 bytes" in states["empty.md"]["error_message"]
    alone = await upload(client, kb, ("empty.md", b""))
    assert alone.status_code == 422
    assert alone.json()["error"]["code"] == "empty"
    assert "0 bytes" in alone.json()["error_message"]
    damaged = await upload(client, kb, ("damaged.pdf", b"%PDF-1.7 and then nothing"))
    assert damaged.status_code in (415, 422)
    assert damaged.json()["results"][0]["error_message"]
    assert list((services.folder.path / "uploads").iterdir()) == []


async def test_a_wrong_processing_config_is_refused(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    for config in ("[1]", "{", '{"chunk_size": 2}', '{"unknown": 1}'):
        sent = await upload(client, kb, ("a.md", NOTE), data={"processing_config": config})
        assert sent.status_code == 422, config
        assert error_of(sent)["code"] == "invalid_config"
    assert (await client.get(f"{KB}/{kb}/documents")).json()["total"] == 0


async def test_search_in_every_way(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    await upload(client, kb, ("notes.md", NOTE), ("cats.md", b"Cats sleep most of the day."))
    for kind in ("semantic", "keyword", "hybrid", "adaptive"):
        body = {"query": "When do backups run?", "config": {"search_type": kind, "k": 1}}
        found = (await client.post(f"{KB}/{kb}/search", json=body)).json()
        best = found["results"][0]
        assert best["document_name"] == "notes.md", kind
        assert set(best) == {
            "chunk_id",
            "document_id",
            "document_name",
            "content",
            "score",
            "scores",
            "page",
            "metadata",
        }
        assert found["metadata"]["commit"]
        assert found["metadata"]["took_ms"] >= 0


async def test_search_at_an_older_commit_and_with_filters(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    await upload(client, kb, ("notes.md", NOTE))
    commit = (await client.get(f"{KB}/{kb}/commits")).json()["items"][0]["commit_id"]
    await upload(client, kb, ("night.md", b"Backups run at noon, says the newer note."))

    async def names(**config: Any) -> set[str]:
        body = {"query": "backups", "config": {"k": 10, **config}}
        found = await client.post(f"{KB}/{kb}/search", json=body)
        assert found.status_code == 200, found.text
        return {result["document_name"] for result in found.json()["results"]}

    assert await names() == {"notes.md", "night.md"}
    assert await names(ref=commit) == {"notes.md"}
    assert await names(filters={"filename": "night.md"}) == {"night.md"}
    bare = await client.post(
        f"{KB}/{kb}/search",
        json={"query": "backups", "config": {"include_metadata": False, "rerank": True}},
    )
    assert bare.json()["results"][0]["metadata"] == {}
    assert "rerank" in bare.json()["results"][0]["scores"]


async def test_searches_that_make_no_sense_are_refused(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    bodies: tuple[tuple[dict[str, Any], int], ...] = (
        ({"query": ""}, 422),
        ({"query": "x" * 5_000}, 422),
        ({"query": "x", "config": {"k": 0}}, 422),
        ({"query": "x", "config": {"search_type": "magic"}}, 422),
        ({"query": "x", "config": {"ref": "nowhere"}}, 404),
        ({}, 422),
    )
    for body, status in bodies:
        refused = await client.post(f"{KB}/{kb}/search", json=body)
        assert refused.status_code == status, (str(body)[:60], refused.text)
        error_of(refused)


async def test_lists_are_paged(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    files = [(f"{n}.md", f"# Note {n}\n\nText of note {n}.".encode()) for n in range(5)]
    await upload(client, kb, *files)
    place = f"{KB}/{kb}/documents"
    first = (await client.get(place, params={"limit": 2})).json()
    rest = (await client.get(place, params={"limit": 10, "offset": 2})).json()
    assert first["total"] == rest["total"] == 5
    names = [item["filename"] for item in first["items"] + rest["items"]]
    assert names == [f"{n}.md" for n in range(5)]
    assert (await client.get(place, params={"text": "3"})).json()["total"] == 1
    assert (await client.get(place, params={"limit": 0})).status_code == 422
    assert (await client.get(place, params={"offset": -1})).status_code == 422
    for number in (2**31, 2**64, 10**30):
        far = await client.get(KB, params={"offset": number})
        assert far.status_code == 422
        assert "offset" in error_of(far)["message"]


async def test_parallel_uploads_are_all_taken_in(client: httpx.AsyncClient) -> None:
    kb = await make(client)
    sent = await asyncio.gather(
        *(upload(client, kb, (f"{n}.md", f"Note number {n}.".encode())) for n in range(8))
    )
    assert {response.status_code for response in sent} == {200}
    assert (await client.get(f"{KB}/{kb}/stats")).json()["document_count"] == 8


async def test_answers_are_json_that_anybody_reads(client: httpx.AsyncClient) -> None:
    kb = await make(client, name="Größe 大")
    sent = await upload(client, kb, ("Füße 大.md", "Füße sind groß. 大きい。".encode()))
    assert sent.json()["filename"] == "Füße 大.md"
    assert json.loads(sent.content)["status"] == "success"
    got = await client.get(f"{KB}/Größe 大")
    assert got.json()["knowledge_base_id"] == kb
